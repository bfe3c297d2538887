"""Tasks of pairs of sequences."""

import jax
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import DataError, described
from dlcore.core.model import Model
from dlcore.core.task import DATASET, MODEL, PENALTY, Penalty, Task, weighted_mean
from dlcore.data.prepare.vocabulary import END, PAD, START, mask
from dlcore.losses import masked_cross_entropy
from dlcore.losses.checks import check_range
from dlcore.metrics import exact_match, masked_accuracy
from dlcore.tasks.outputs import output_of


@arguments(model=MODEL, data=DATASET, penalty=PENALTY)
def translation(model: Model, data: Dataset, *, penalty: Penalty | None = None) -> Task:
    """A target sequence for each source sequence, by the cross-entropy of each token given those before it.

    The model sees the true target up to a token to predict it (teacher forcing), in the reports too: `token_accuracy`,
    and `exact_match`, the share of sentences right at every token. `dl.generation.translate` predicts without them.

    Args:
      model: of `dl.models.sequence_to_sequence`, or any of (source ids [B, S], decoder inputs [B, T]) to logits
        [B, T, K].
      data: inputs int [N, S]; targets int [N, T + 1], between the marks `<start>` and `<end>`; both padded with 0.
        Weights of the pairs count in the loss.
      penalty: as in `supervised`.

    Raises:
      DataError: data that are not ids, targets without the marks, an id that the model or the vocabulary has no place
        for, an output of another shape.

    Example:
      >>> data = dl.data.Dataset((np.array([[4, 5]]), dl.data.framed(np.array([[4, 5]]))))
      >>> task = dl.tasks.translation(dl.models.sequence_to_sequence(6, 6), data)
    """
    for part in ("inputs", "targets"):
        one_array(data, part, "translation")
    for split in data.splits:
        _check(data, split)
    num_tokens = _num_tokens(model, data)
    for split in data.splits:
        inputs, targets = getattr(data, split)[:2]
        check_range(f"translation, targets of the {split} split", targets, num_tokens)
        if data.input_vocabulary is not None:
            check_range(f"translation, inputs of the {split} split", inputs, len(data.input_vocabulary))

    def forward(params, state, batch, *, key=None, train=False):
        return model.apply(params, state, (batch.inputs, batch.targets[:, :-1]), key=key, train=train)

    def report(params, logits, batch):
        labels = batch.targets[:, 1:]
        there = mask(labels)
        value = weighted_mean(masked_cross_entropy(logits, labels, there), batch.weights)
        metrics = {
            "token_accuracy": masked_accuracy(logits, labels, there),
            "exact_match": exact_match(logits, labels, there),
        }
        return value if penalty is None else value + penalty(params), metrics

    return Task(model, data, forward, report)


def _num_tokens(model: Model, data: Dataset) -> int:
    """Width of the model's logits."""
    inputs, targets = data.train.inputs, data.train.targets[:, :-1]
    ids = tuple(jax.ShapeDtypeStruct((2, each.shape[1]), each.dtype) for each in (inputs, targets))
    logits = output_of(model, data, ids)
    if len(logits.shape) != 3 or logits.shape[:2] != ids[1].shape:
        raise DataError(
            f"the model's output is {described(logits)} for decoder inputs {list(ids[1].shape)}; translation expects "
            f"logits {[*ids[1].shape, 'num_tokens']}. Use dl.models.sequence_to_sequence."
        )
    return logits.shape[2]


def _check(data: Dataset, split: str) -> None:
    inputs, targets = getattr(data, split)[:2]
    for part, ids in {"inputs": inputs, "targets": targets}.items():
        negative = isinstance(ids, np.ndarray) and (ids < 0).any()
        if ids.dtype.kind not in "iu" or ids.ndim != 2 or negative:
            raise DataError(
                f"{part} of the {split} split are {described(ids)}{', some below 0' * bool(negative)}; translation "
                "expects integer ids, padded with 0. Encode text with dl.data.from_aligned_text."
            )
    if targets.shape[1] < 2:
        raise DataError(f"targets of the {split} split are {described(targets)}; expects <start>, <end> and tokens.")
    if isinstance(targets, Tracer):
        return
    values = np.asarray(targets)
    last = values.shape[1] - 1 - np.argmax(values[:, ::-1] != PAD, axis=1)
    ended = (values[np.arange(len(values)), last] == END) & ((values == END).sum(axis=1) == 1)
    wrong = (values[:, 0] != START) | ~ended
    if wrong.any():
        raise DataError(
            f"targets of the {split} split, row {int(np.argmax(wrong))}: not between <start> ({START}) and <end> "
            f"({END}). Frame them with dl.data.framed(ids)."
        )
