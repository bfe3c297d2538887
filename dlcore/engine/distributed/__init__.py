"""Blocks of a study on the workers of an executor."""
