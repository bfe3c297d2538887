"""Splits, groups, windows and batches."""
