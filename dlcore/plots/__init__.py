"""Figures."""

from dlcore.plots.samples import samples

__all__ = ["samples"]
