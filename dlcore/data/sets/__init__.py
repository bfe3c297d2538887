"""Data sets: built in, by name, synthetic."""
