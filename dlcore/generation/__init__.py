"""Sequences out of models that predict one step at a time."""

from dlcore.generation.search import Hypotheses, beam_search, greedy_search, repeat_rows, translate
from dlcore.generation.strokes import sample_strokes
from dlcore.generation.text import generate, generate_greedily

__all__ = [
    "Hypotheses",
    "beam_search",
    "generate",
    "generate_greedily",
    "greedy_search",
    "repeat_rows",
    "sample_strokes",
    "translate",
]
