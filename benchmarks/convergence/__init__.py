"""The main job: how batch and stochastic gradient descent converge."""
