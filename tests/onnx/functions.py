"""Activations, losses and small functions."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from flax import nnx

import dlcore as dl
from dlcore.nn.dropout import Dropout
from dlcore.nn.embeddings import unit_vectors
from tests.onnx.case import Case, NotExpressibleError, Operator


def plain(name: str, **attributes) -> Operator:
    """The activation of that name, of one input; attributes: the only values it can have."""

    def run(case: Case):
        case.refuse(**attributes)
        return [dl.activations.by_name(name)(case.input(0))]

    return run


def leaky_relu(case: Case):
    """An attribute for the slope."""
    return [dl.activations.leaky_relu(case.input(0), case.get("alpha", 0.01))]


def elu(case: Case):
    """An attribute for the limit."""
    return [dl.activations.elu(case.input(0), case.get("alpha", 1.0))]


def prelu(case: Case):
    """A learned slope; one for all numbers."""
    if np.size(case.input(1)) != 1:
        raise NotExpressibleError("a slope for each channel or number")
    return [dl.activations.prelu(case.input(0), float(np.ravel(case.input(1))[0]))]


def softmax(case: Case):
    """Over any axis, by moving it to the end."""
    axis = case.get("axis", -1)
    return [np.moveaxis(dl.activations.softmax(np.moveaxis(case.input(0), axis, -1)), -1, axis)]


def log_softmax(case: Case):
    """Minus the cross-entropy with each class as the label."""
    axis = case.get("axis", -1)
    return [np.moveaxis(_log_probabilities(np.moveaxis(case.input(0), axis, -1)), -1, axis)]


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    shape = logits.shape[:-1]
    losses = [dl.losses.softmax_cross_entropy(jnp.asarray(logits), np.full(shape, k)) for k in range(logits.shape[-1])]
    return -np.stack(losses, axis=-1)


def cross_entropy(case: Case, *, takes_logits: bool = True):
    """Weights of classes, labels that are ignored, any reduction; classes on axis 1."""
    logits, labels, weights = np.moveaxis(case.input(0), 1, -1), case.input(1), case.input(2)
    if not takes_logits and np.abs(np.logaddexp.reduce(logits, axis=-1)).max() > 1e-3:
        raise NotExpressibleError("log probabilities that are not normalized: our losses take logits")
    kept = labels != case.get("ignore_index", labels.max() + 1)
    if weights is None:
        losses = dl.losses.softmax_cross_entropy(logits[kept], labels[kept])
    else:
        losses = dl.losses.weighted_cross_entropy(logits[kept], labels[kept], class_weights=weights)
    reduction = case.get("reduction", b"mean").decode()
    if reduction == "none":
        reduced = np.zeros(labels.shape, np.float32)
        reduced[kept] = losses
    elif reduction == "sum":
        reduced = losses.sum()
    elif weights is None and labels.ndim == 1 and not kept.all():
        reduced = dl.losses.masked_cross_entropy(logits[None], labels[None], kept[None])[0]
    else:
        reduced = losses.sum() / (kept.sum() if weights is None else weights[labels[kept]].sum())
    return [reduced, *([np.moveaxis(_log_probabilities(logits), -1, 1)] if len(case.outputs) > 1 else [])]


def dropout(case: Case):
    """In evaluation, or of no number."""
    ratio, training = case.input(1), bool(case.input(2)) if case.input(2) is not None else False
    rate = case.get("ratio", 0.5 if ratio is None else float(ratio))
    if training and rate > 0:
        raise NotExpressibleError("random numbers of another generator")
    layer = Dropout(rate, rngs=nnx.Rngs(0))
    layer.deterministic = not training
    return [layer(jnp.asarray(case.input(0))), *[None] * (len(case.outputs) - 1)]


def unit(case: Case):
    """Vectors divided by their length."""
    case.refuse(p=2)
    axis = case.get("axis", -1)
    return [np.moveaxis(unit_vectors(jnp.asarray(np.moveaxis(case.input(0), axis, -1))), -1, axis)]


def mean_variance(case: Case):
    """Columns to mean 0 and variance 1, over all axes that are given."""
    x, axes = case.input(0), case.get("axes", [0, 2, 3])
    kept = [axis for axis in range(x.ndim) if axis not in [a % x.ndim for a in axes]]
    moved = np.moveaxis(x, kept, range(-len(kept), 0))
    rows = moved.reshape(-1, math.prod(x.shape[axis] for axis in kept))
    normalizer = dl.data.z_score()
    scaled = np.asarray(normalizer.apply(normalizer.fit(rows), rows)).reshape(moved.shape)
    return [np.moveaxis(scaled, range(-len(kept), 0), kept)]


def one_hot(case: Case):
    """Of indices that are in range, in rows."""
    indices, depth, values = case.inputs
    depth, axis = int(np.ravel(depth)[0]), case.get("axis", -1)
    if indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= depth)).any():
        raise NotExpressibleError("indices that are floats, negative or too large")
    hot = np.asarray(dl.data.one_hot(depth)(jnp.asarray(indices.reshape(1, -1)))).reshape(*indices.shape, depth)
    return [np.moveaxis(values[0] + hot * (values[1] - values[0]), -1, axis)]


def flatten(case: Case):
    """All axes but the first."""
    if case.get("axis", 1) % case.input(0).ndim != 1:
        raise NotExpressibleError("axis other than 1")
    return [dl.data.flatten(jnp.asarray(case.input(0)))]


def affine(case: Case):
    """A linear layer: x times a kernel, plus a bias."""
    case.refuse(alpha=1.0, beta=1.0, transA=0)
    x, kernel, bias = case.input(0), case.input(1), case.input(2)
    kernel = kernel.T if case.get("transB", 0) else kernel
    bias = np.zeros(1, np.float32) if bias is None else bias
    if bias.ndim > 1 and bias.shape[0] > 1:
        raise NotExpressibleError("a bias for each row")
    layer = {"kernel": jnp.asarray(kernel), "bias": jnp.broadcast_to(jnp.ravel(bias), kernel.shape[1:])}
    return [dl.models.linear(*kernel.shape).apply({"layers": {0: layer}}, {}, jnp.asarray(x))[0]]


OPERATORS: dict[str, Operator] = {
    "Identity": plain("identity"),
    "Sigmoid": plain("sigmoid"),
    "Tanh": plain("tanh"),
    "Relu": plain("relu"),
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Elu": elu,
    "Celu": plain("elu", alpha=1.0),
    "Selu": plain("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "Softplus": plain("softplus"),
    "Softsign": plain("softsign"),
    "Gelu": plain("gelu", approximate=b"none"),
    "Swish": plain("silu", alpha=1.0),
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "NegativeLogLikelihoodLoss": functools.partial(cross_entropy, takes_logits=False),
    "Dropout": dropout,
    "LpNormalization": unit,
    "MeanVarianceNormalization": mean_variance,
    "OneHot": one_hot,
    "Flatten": flatten,
    "Gemm": affine,
}
