"""Experiments: one question a file; see `python -m experiments list`."""
