"""Data sets: pure arrays in memory, checked when made."""

from dlcore.data.builtin import breast_cancer, diabetes, digits, iris, wine
from dlcore.data.dataset import Dataset, Split, from_arrays, standardize

__all__ = ["Dataset", "Split", "breast_cancer", "diabetes", "digits", "from_arrays", "iris", "standardize", "wine"]
