"""Metrics of text."""

from collections.abc import Sequence
from typing import Any

from dlcore.core.arguments import ANYTHING, arguments, mapping, sequence, text
from dlcore.core.errors import ArgumentError, DataError, install_advice

OPTIONS = ("smooth_method", "smooth_value", "force", "lowercase", "tokenize", "use_effective_order")


@arguments(
    predictions=sequence(text, 1, text="lines"),
    references=sequence(text | sequence(text, 1, text="lines"), 1, text="lines, or sequences of lines"),
    options=mapping(ANYTHING, keys=OPTIONS),
)
def bleu(predictions: Sequence[str], references: Sequence[str | Sequence[str]], **options: Any) -> float:
    """BLEU of a whole corpus in [0, 100], by sacrebleu.

    Args:
      predictions: detokenized lines. references: one line for each, or a sequence of lines that are all right.
      options: of `sacrebleu.corpus_bleu`: `tokenize`, `lowercase`, `smooth_method`, ...

    Raises:
      ArgumentError: sacrebleu is not installed. DataError: no lines, or not one entry of references for each.
    Reference: Papineni et al., BLEU, ACL 2002; Post, A call for clarity in reporting BLEU scores, 2018.

    Example:
      >>> round(dl.metrics.bleu(["the cat sat on the mat"], ["the cat sat on the mat"]))
      100
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ArgumentError(f"bleu needs sacrebleu, which is not installed. {install_advice('text')}") from error
    if len(predictions) != len(references):
        raise DataError(
            f"bleu: there are {len(predictions)} predictions and {len(references)} references; expects as many, at "
            "least one."
        )
    listed = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
    # sacrebleu wants one list for each column of references, None where a line has fewer.
    columns: Any = [[entry[i] if i < len(entry) else None for entry in listed] for i in range(max(map(len, listed)))]
    return sacrebleu.corpus_bleu(list(predictions), columns, **options).score
