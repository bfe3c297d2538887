"""Tasks of a label for every step of a sequence."""

from collections.abc import Mapping

import jax.numpy as jnp

from dlcore.core.arguments import NONE, arguments, integer
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.data.prepare.vocabulary import PAD
from dlcore.losses.checks import check_range
from dlcore.losses.sequences import masked_cross_entropy
from dlcore.metrics.sequences import masked_accuracy, perplexity
from dlcore.nn.masked import checked_mask
from dlcore.tasks.outputs import output_of


@arguments(model=MODEL, data=DATASET, padding=integer(0) | NONE, metrics=METRICS, penalty=PENALTY)
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
      DataError: targets that are not integers [N, T], a target out of range, a row of nothing but
        padding, an output of another shape.

    Example:
      >>> data = dl.data.Dataset((np.array([[1, 2, 1]]), np.array([[2, 1, 2]])))
      >>> task = dl.tasks.token_prediction(dl.models.recurrent(3, 4, 3, num_tokens=3, output="all"), data)
    """
    targets = one_array(data, "targets", "token_prediction")
    output = output_of(model, data)
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

    def real(tokens):  # as wide integers: next to 8-bit tokens `padding` might not be one
        return jnp.ones(tokens.shape, bool) if padding is None else tokens.astype(int) != padding

    for split in data.splits:
        tokens = getattr(data, split).targets
        check_range(f"token_prediction, {split} split", tokens, output.shape[2])
        checked_mask(real(tokens), tokens.shape, f"token_prediction, {split} split")

    return supervised_task(
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
