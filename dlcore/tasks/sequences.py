"""Tasks of a label for every step of a sequence."""

from collections.abc import Mapping

import numpy as np
from jax.core import Tracer

from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import Metric, Penalty, Task, output_of, supervised
from dlcore.data.prepare.vocabulary import PAD
from dlcore.losses.sequences import masked_cross_entropy
from dlcore.metrics.sequences import masked_accuracy, perplexity


def token_prediction(
    model: Model,
    data: Dataset,
    *,
    padding: int | None = PAD,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """A token for every step, e.g. the next, by cross-entropy; reports `accuracy` and `perplexity` too.

    The loss is the mean over rows of the mean over the row's real steps; the metrics are means over all real steps.

    Args:
      model: output [B, T, num_tokens] logits.
      data: integer targets [N, T] in [0, num_tokens), e.g. `dl.data.english()`.
      padding: the target that does not count; None if all do.
      metrics: further metrics of (logits, targets).

    Raises:
      DataError: targets that are not integers [N, T], a target out of range, an output of another shape.
    """
    output, targets = output_of(model, data), data.train.targets
    if targets.dtype.kind not in "iu" or targets.ndim != 2:
        raise DataError(
            f"targets are {targets.dtype}{list(targets.shape)}; token_prediction expects integer tokens [N, T]. "
            "For one label a sequence use dl.tasks.classification."
        )
    if len(output.shape) != 3 or output.shape[1] != targets.shape[1]:
        raise DataError(
            f"the model's output is {list(output.shape)}, the targets are {list(targets.shape)}; token_prediction "
            'expects logits [B, T, num_tokens]. Build the recurrent model with output="all".'
        )
    num_tokens = output.shape[2]
    for split in data.splits:
        tokens = getattr(data, split).targets
        if isinstance(tokens, Tracer):
            continue  # made inside the compiled run: there are no values yet
        wrong = (np.asarray(tokens) < 0) | (np.asarray(tokens) >= num_tokens)
        if wrong.any():
            row, step = np.argwhere(wrong)[0]
            raise DataError(
                f"targets must lie in [0, {num_tokens}), found {int(tokens[row, step])} at row {row}, step {step} of "
                f"the {split} split. Widen the model's output (now {num_tokens})."
            )

    def real(tokens):
        return tokens == tokens if padding is None else tokens != padding

    return supervised(
        model,
        data,
        lambda logits, tokens: masked_cross_entropy(logits, tokens, real(tokens)),
        metrics={
            "accuracy": lambda logits, tokens: masked_accuracy(logits, tokens, real(tokens)),
            "perplexity": lambda logits, tokens: perplexity(logits, tokens, real(tokens)),
            **(metrics or {}),
        },
        penalty=penalty,
    )
