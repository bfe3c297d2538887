"""Metrics of text."""

from collections.abc import Sequence
from typing import Any

from dlcore.core.arguments import ANYTHING, NONE, arguments, boolean, mapping, number, one_of, sequence, text
from dlcore.core.errors import ArgumentError, DataError, install_advice

OPTIONS = {
    "smooth_method": one_of("exp", "floor", "add-k", "none"),
    "smooth_value": number(0) | NONE,
    "force": boolean,
    "lowercase": boolean,
    "tokenize": one_of("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab"),  # others download models
    "use_effective_order": boolean,
}


@arguments(
    predictions=sequence(text, 1, text="lines"),
    references=sequence(text | sequence(text, 1, text="lines"), 1, text="lines, or sequences of lines"),
    options=mapping(ANYTHING, keys=OPTIONS),
)
def bleu(predictions: Sequence[str], references: Sequence[str | Sequence[str]], **options: Any) -> float:
    """BLEU of a whole corpus in [0, 100], by sacrebleu.

    Args:
      predictions: detokenized lines. references: one line for each, or a sequence of lines that are all right.
      options: of `sacrebleu.corpus_bleu`: `tokenize`, `lowercase`, `smooth_method`, ... Tokenizers that it would
        download are left out; those for Japanese and Korean need its extras.

    Raises:
      ArgumentError: sacrebleu, or what the tokenizer needs, is not installed; options that it does not take.
      DataError: no lines, or not one entry of references for each.
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
    options = {name: OPTIONS[name].check(f"bleu: {name}", value) for name, value in options.items()}
    if options.get("smooth_value") is not None and options.get("smooth_method", "exp") not in ("floor", "add-k"):
        raise ArgumentError(
            f"bleu: smooth_value is {options['smooth_value']}; expects smooth_method='floor' or 'add-k': the others "
            "have no use for it."
        )
    listed = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
    # sacrebleu wants one list for each column of references, None where a line has fewer.
    columns: Any = [[entry[i] if i < len(entry) else None for entry in listed] for i in range(max(map(len, listed)))]
    try:
        return sacrebleu.corpus_bleu(list(predictions), columns, **options).score
    except (ImportError, RuntimeError) as error:  # what a tokenizer that lacks its library raises
        if "mecab" not in options.get("tokenize", ""):
            raise
        extra = options["tokenize"][:2]
        raise ArgumentError(
            f"bleu: tokenize={options['tokenize']!r} needs pip install 'sacrebleu[{extra}]'."
        ) from error
