"""Experiments: one question a file, in folders by part of the handbook; see `python -m experiments list`."""
