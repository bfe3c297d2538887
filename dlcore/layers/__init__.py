"""Layers that Flax lacks, or has in a form that is slow where we run them; NNX modules and pure functions."""
