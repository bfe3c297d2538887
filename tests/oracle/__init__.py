"""Golden values by PyTorch and scikit-learn; see `__main__`."""
