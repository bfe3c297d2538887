"""Metrics of token sequences and of text."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlcore.checks import check_labels
from dlcore.errors import ArgumentError, DataError, shown
from dlcore.layers.masked import checked_mask


def masked_accuracy(logits: jax.Array, labels: jax.Array, mask: Any) -> jax.Array:
    """Share of all real steps whose largest logit is the label: [N, T, num_classes], [N, T] -> [].

    Args:
      labels: integers; of any value where the mask is False.
      mask: [N, T], True where there is a step. Where it is traced and hides all steps, the result is 0.

    Raises:
      DataError: labels or mask that do not fit the logits, a row without a step.
    """
    mask = checked_mask(mask, labels.shape, "masked_accuracy")
    check_labels("masked_accuracy", logits, labels, where=mask)
    return jnp.sum(mask & (jnp.argmax(logits, axis=-1) == labels)) / jnp.maximum(mask.sum(), 1)


def perplexity(logits: jax.Array, labels: jax.Array, mask: Any = None) -> jax.Array:
    """Exp of the mean cross-entropy over all real steps: [N, T, num_classes], [N, T] -> [].

    num_classes for even predictions, 1 for perfect ones. Longer rows weigh more, other than in the mean over rows of
    `masked_cross_entropy`.

    Args, Raises: as `masked_accuracy`; without a mask all steps are real. Where all are hidden the result is 1.
    """
    mask = jnp.ones(labels.shape, bool) if mask is None else checked_mask(mask, labels.shape, "perplexity")
    check_labels("perplexity", logits, labels, where=mask)
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, jnp.where(mask, labels, 0))
    return jnp.exp(jnp.sum(jnp.where(mask, losses, 0)) / jnp.maximum(mask.sum(), 1))


def bleu(predictions: Sequence[str], references: Sequence[str | Sequence[str]], **options: Any) -> float:
    """BLEU of a whole corpus in [0, 100], by sacrebleu.

    Args:
      predictions: detokenised lines. references: one line for each, or a sequence of lines that are all right.
      options: of `sacrebleu.corpus_bleu`: `tokenize`, `lowercase`, `smooth_method`, ...

    Raises:
      ArgumentError: sacrebleu is not installed. DataError: no lines, or not one entry of references for each.
    Source: Papineni et al., BLEU, ACL 2002; Post, A call for clarity in reporting BLEU scores, 2018.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ArgumentError("bleu needs sacrebleu, which is not installed. Use pip install 'dlcore[text]'.") from error
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
