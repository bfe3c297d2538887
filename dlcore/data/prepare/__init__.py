"""Preparation of inputs and targets."""
