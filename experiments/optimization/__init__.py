"""Optimization, gradients, initialization, activations."""
