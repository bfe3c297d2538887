"""Metrics of text."""

from collections.abc import Sequence
from typing import Any

from dlcore.core.errors import ArgumentError, DataError, install_advice, shown


def bleu(predictions: Sequence[str], references: Sequence[str | Sequence[str]], **options: Any) -> float:
    """BLEU of a whole corpus in [0, 100], by sacrebleu.

    Args:
      predictions: detokenized lines. references: one line for each, or a sequence of lines that are all right.
      options: of `sacrebleu.corpus_bleu`: `tokenize`, `lowercase`, `smooth_method`, ...

    Raises:
      ArgumentError: sacrebleu is not installed. DataError: no lines, or not one entry of references for each.
    Reference: Papineni et al., BLEU, ACL 2002; Post, A call for clarity in reporting BLEU scores, 2018.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ArgumentError(f"bleu needs sacrebleu, which is not installed. {install_advice('text')}") from error
    if isinstance(predictions, str) or isinstance(references, str):
        raise DataError("bleu: got one string; expects sequences of lines. Use [prediction] and [reference].")
    if len(predictions) != len(references) or not predictions:
        raise DataError(
            f"bleu: there are {len(predictions)} predictions and {len(references)} references; expects as many, at "
            "least one."
        )
    listed = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
    if empty := [entry for entry in listed if not entry]:
        raise DataError(f"bleu: references hold {shown(empty[0])}; expects at least one line for each prediction.")
    # sacrebleu wants one list for each column of references, None where a line has fewer.
    columns: Any = [[entry[i] if i < len(entry) else None for entry in listed] for i in range(max(map(len, listed)))]
    return sacrebleu.corpus_bleu(list(predictions), columns, **options).score
