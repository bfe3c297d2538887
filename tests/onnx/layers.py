"""Recurrent layers, normalizations, attention, and boxes."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from flax import nnx

import dlcore as dl
from dlcore.nn.attention import DotAttention, attended
from dlcore.nn.normalization import normalization_layer
from dlcore.nn.recurrent import Recurrent
from tests.onnx.case import Case, NotExpressibleError, Operator, channels_first, channels_last

GATES = {"simple": [0], "lstm": [0, 2, 3, 1], "gru": [1, 0, 2]}  # ours in ONNX's order: h; i, o, f, c; z, r, h
DEFAULTS = {"simple": [b"Tanh"], "lstm": [b"Sigmoid", b"Tanh", b"Tanh"], "gru": [b"Sigmoid", b"Tanh"]}


def recurrent(case: Case, cell: str):
    """[T, B, features], one layer in either or both directions, with the lengths of the sequences as a mask."""
    if case.get("clip") is not None or case.get("input_forget", 0):
        raise NotExpressibleError("clip, input_forget")
    directions = {b"forward": [False], b"reverse": [True], b"bidirectional": [False, True]}
    ways = directions[case.get("direction", b"forward")]
    if case.get("activations", DEFAULTS[cell] * len(ways)) != DEFAULTS[cell] * len(ways):
        raise NotExpressibleError("other activations")
    batch_first = bool(case.get("layout", 0))
    x = case.input(0) if batch_first else case.input(0).swapaxes(0, 1)
    lengths = case.input(4)
    mask = None if lengths is None else jnp.arange(x.shape[1])[None] < jnp.asarray(lengths)[:, None]
    runs = [_one_way(case, cell, way, reverse, batch_first, x, mask) for way, reverse in enumerate(ways)]
    outputs = np.stack([np.asarray(y) for y, _ in runs], axis=2)  # [B, T, ways, H]
    last = [np.stack([np.asarray(carry[part]) for _, carry in runs], axis=1) for part in range(len(runs[0][1]))]
    if not batch_first:
        outputs, last = np.moveaxis(outputs, 0, 2), [part.swapaxes(0, 1) for part in last]
    return [outputs, *last]


def _one_way(case: Case, cell: str, way: int, reverse: bool, batch_first: bool, x, mask):
    num_units = case.input(2).shape[-1]
    first = [case.input(5), case.input(6)][: 2 if cell == "lstm" else 1]
    if any(part is not None for part in first):
        rows = [None if part is None else (part[:, way] if batch_first else part[way]) for part in first]
        first = tuple(jnp.zeros((len(x), num_units)) if part is None else jnp.asarray(part) for part in rows)
    else:
        first = None
    before = cell == "gru" and not case.get("linear_before_reset", 0)
    peephole = cell == "lstm" and case.input(7) is not None
    kind = cell + "_reset_before" * before + "_peephole" * peephole
    sizes = x.shape[-1], num_units
    layer = nnx.eval_shape(lambda: Recurrent(kind, *sizes, rngs=nnx.Rngs(0), reverse=reverse))  # weights are given
    gates = GATES[cell]
    for name, place in (("input_kernel", 1), ("recurrent_kernel", 2)):
        blocks = np.split(case.input(place)[way], len(gates))
        getattr(layer, name).set_value(jnp.asarray(np.concatenate([blocks[gate] for gate in gates]).T))
    bias = np.zeros(2 * len(gates) * num_units, np.float32) if case.input(3) is None else case.input(3)[way]
    ours, theirs = np.split(bias.reshape(2 * len(gates), -1), 2)
    both = (ours + theirs)[gates]
    if cell == "gru" and not before:
        both = np.concatenate([both[:2], ours[2:], theirs[2:]])
    layer.bias.set_value(jnp.asarray(both.ravel()))
    if peephole:
        i, o, f = np.split(case.input(7)[way], 3)
        layer.peepholes.set_value(jnp.asarray(np.concatenate([i, f, o])))
    return layer(jnp.asarray(x), mask, first)


def normalized(x, scale, bias, specification, axes):
    """The layer of a specification, on an array with channels last."""
    layer = normalization_layer(specification, x.shape[-1], axes, nnx.Rngs(0))
    layer.scale.set_value(jnp.asarray(scale))
    layer.bias.set_value(jnp.zeros_like(scale) if bias is None else jnp.asarray(bias))
    return layer


def batch_normalization(case: Case):
    """In training with the new running averages, or in evaluation."""
    x, scale, bias, mean, variance = case.inputs
    training = bool(case.get("training_mode", 0))
    options = {"epsilon": case.get("epsilon", 1e-5), "momentum": case.get("momentum", 0.9)}
    layer = normalized(channels_last(x), scale, bias, dl.models.batch_norm(**options), ())
    layer.mean.set_value(jnp.asarray(mean))
    layer.var.set_value(jnp.asarray(variance))
    y = layer(jnp.asarray(channels_last(x)), use_running_average=not training)
    return [channels_first(y), *([layer.mean[...], layer.var[...]] if training else [])]


def group_normalization(case: Case, *, instance: bool = False):
    """Groups of channels; in instance normalization each channel is one."""
    x, scale, bias = case.inputs
    groups = x.shape[1] if instance else case.get("num_groups")
    if len(scale) != x.shape[1]:
        raise NotExpressibleError("a scale for each group")
    specification = dl.models.group_norm(groups, epsilon=case.get("epsilon", 1e-5))
    y = normalized(channels_last(x), scale, bias, specification, ())(jnp.asarray(channels_last(x)))
    return [channels_first(y)]


def layer_normalization(case: Case):
    """Over the last axes, flattened."""
    x, scale, bias = case.input(0), case.input(1), case.input(2)
    axis = case.get("axis", -1) % x.ndim
    width = math.prod(x.shape[axis:])
    if scale.size != width or (bias is not None and bias.size != width):
        raise NotExpressibleError("a scale that is broadcast")
    rows = x.reshape(-1, width)
    specification = dl.models.layer_norm(epsilon=case.get("epsilon", 1e-5))
    bias = None if bias is None else bias.ravel()
    y = normalized(rows, scale.ravel(), bias, specification, (-1,))(jnp.asarray(rows))
    return [np.asarray(y).reshape(x.shape), *[None] * (len(case.outputs) - 1)]


ATTENTION = {"is_causal", "softcap", "scale", "q_num_heads", "kv_num_heads"}


def attention(case: Case):
    """Dot attention, whose scores have no scale of their own, with a mask of steps; heads are rows of the batch."""
    case.refuse(is_causal=0, softcap=0.0)
    if unknown := set(case.attributes) - ATTENTION:
        raise NotExpressibleError(", ".join(sorted(unknown)))
    q, k, v, mask = case.input(0), case.input(1), case.input(2), case.input(3)
    if any(given is not None for given in case.inputs[4:]) or len(case.outputs) > 1:
        raise NotExpressibleError("past keys, lengths of keys, products as outputs")
    if mask is not None:
        raise NotExpressibleError("a mask or an addition for each query: ours hides steps from all queries")
    flat = q.ndim == 3
    if flat:
        q, k, v = (_heads(x, case.get(n)) for x, n in ((q, "q_num_heads"), (k, "kv_num_heads"), (v, "kv_num_heads")))
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    rows = [
        x.reshape(-1, *x.shape[2:]) for x in (q * np.asarray(case.get("scale", q.shape[-1] ** -0.5), q.dtype), k, v)
    ]
    there = jnp.ones(rows[1].shape[:2], bool)
    weights = DotAttention()(jnp.asarray(rows[0]), jnp.asarray(rows[1]), there)
    y = np.asarray(attended(weights, rows[2], there)).reshape(*q.shape[:3], -1)
    return [y.swapaxes(1, 2).reshape(len(y), q.shape[2], -1) if flat else y]


def _heads(x, count):
    return x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2)


def non_max_suppression(case: Case):
    """The boxes that are left of each class, in place of their indices."""
    boxes, scores, most, overlap, least = (case.input(place) for place in range(5))
    case.refuse(center_point_box=0)
    if most is None or int(np.ravel(most)[0]) == 0:
        raise NotExpressibleError("no boxes at all")
    found = []
    for kind in range(scores.shape[1]):
        shown = scores[:, kind]
        shown = np.where(shown > (0 if least is None else np.ravel(least)[0]), shown, 0)
        left = dl.models.non_max_suppression(
            boxes,
            shown,
            np.zeros(shown.shape, int),
            max_boxes=int(np.ravel(most)[0]),
            iou_threshold=float(0 if overlap is None else np.ravel(overlap)[0]),
        )
        found.append((np.asarray(left.boxes), np.asarray(left.scores) > 0))
    rows = [
        kept[image][there[image]] for image in range(len(boxes)) for kept, there in found
    ]  # ONNX lists images, then classes
    return [np.concatenate(rows)]


OPERATORS: dict[str, Operator] = {
    "RNN": functools.partial(recurrent, cell="simple"),
    "LSTM": functools.partial(recurrent, cell="lstm"),
    "GRU": functools.partial(recurrent, cell="gru"),
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": functools.partial(group_normalization, instance=True),
    "LayerNormalization": layer_normalization,
    "Attention": attention,
    "NonMaxSuppression": non_max_suppression,
}
