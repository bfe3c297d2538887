"""Inputs beyond the cases of the onnx package, for its reference evaluator: (attributes, inputs) of an operator."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(0)
EDGES = np.array(
    [0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.5, -0.5, 3, -3, 20, -20, 88, -88, 104, -104, 1e4, -1e4, 1e30, -1e30],
    np.float32,
)
Node = tuple[dict[str, Any], list[Any]]


def normal(*shape: int) -> np.ndarray:
    """Normal numbers, float32."""
    return RANDOM.normal(size=shape).astype(np.float32)


def elementwise(operator: str) -> Iterator[Node]:
    """Edges and random numbers, with and without options."""
    options = {
        "LeakyRelu": [{}, {"alpha": 0.3}],
        "Elu": [{}, {"alpha": 0.5}],
        "Gelu": [{}, {"approximate": "none"}],
        "Swish": [{}, {"alpha": 1.0}],
    }
    for attributes in options.get(operator, [{}]):
        for x in (EDGES, normal(3, 4, 5), 1e3 * normal(7)):
            yield attributes, [x, np.array([0.25], np.float32)] if operator == "PRelu" else [x]


def over_an_axis(operator: str) -> Iterator[Node]:
    """Every axis; large numbers, of whose softmax the evaluator's logarithm is finite; one class."""
    for axis, scale in itertools.product((0, 1, -1), (1, 50, 100) if operator == "LogSoftmax" else (1, 1e3, 1e30)):
        yield {"axis": axis}, [(scale * normal(2, 3, 4)).astype(np.float32)]
    yield {}, [normal(3, 1)]


def convolutions(operator: str) -> Iterator[Node]:
    """Ranks, strides, dilations, groups, paddings."""
    for rank, stride, dilation, groups in itertools.product((1, 2), (1, 2, 3), (1, 2), (1, 2, 4)):
        sizes, window = (8, 7)[:rank], (3, 2)[:rank]
        outputs = 8 // groups if operator == "ConvTranspose" else 4 // groups
        kernel = normal(4 if operator == "ConvTranspose" else 8, outputs, *window)
        attributes = {"strides": [stride] * rank, "dilations": [dilation] * rank, "group": groups}
        pads = [[0] * 2 * rank, [1, 0, 2, 1][: 2 * rank]]
        if operator == "ConvTranspose" and stride > 1:
            attributes["output_padding"] = [1] * rank
        for pad in pads:
            yield attributes | {"pads": pad}, [normal(2, 4, *sizes), kernel, normal(8)]


def pools(operator: str) -> Iterator[Node]:
    """Ranks, windows, strides, dilations, paddings, and whether they count."""
    for rank, size, stride, dilation in itertools.product((1, 2), (2, 3), (1, 2), (1, 2)):
        attributes = {"kernel_shape": [size] * rank, "strides": [stride] * rank, "dilations": [dilation] * rank}
        for pad in ([0] * 2 * rank, [1] * 2 * rank):
            for counts in (0, 1) if operator == "AveragePool" else (0,):
                more = {"count_include_pad": counts} if counts else {}
                yield attributes | {"pads": pad} | more, [normal(2, 3, *(7, 6)[:rank])]


def whole_pools(operator: str) -> Iterator[Node]:
    """One to three dimensions; of the largest the evaluator is right in two only."""
    for rank in (2,) if operator == "GlobalMaxPool" else (1, 2, 3):
        yield {}, [normal(2, 3, *(4, 1, 3)[:rank])]


def recurrent(operator: str) -> Iterator[Node]:
    """Directions, first states, peepholes, both places of the reset."""
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[operator]
    options = [{}]
    if operator == "GRU":
        options = [{"linear_before_reset": 0}, {"linear_before_reset": 1}]
    for attributes, direction in itertools.product(options, ("forward", "reverse", "bidirectional")):
        ways = 1 + (direction == "bidirectional")
        weights = [normal(5, 2, 3), normal(ways, gates * 4, 3), normal(ways, gates * 4, 4), normal(ways, 2 * gates * 4)]
        first = [None, normal(ways, 2, 4)]
        more = [normal(ways, 2, 4), normal(ways, 12)] if operator == "LSTM" else []
        given = attributes | {"hidden_size": 4, "direction": direction}
        yield given, [*weights, *first, *more[:1]]
        if more:
            yield given, [*weights, *first, *more]


def normalizations(operator: str) -> Iterator[Node]:
    """Epsilons, groups, axes; values far from 0, where a mean of squares cancels, as the evaluator's of groups does."""
    far = 3.0 if operator == "GroupNormalization" else 30.0
    for epsilon, offset in itertools.product((1e-5, 1e-2), (0.0, far)):
        x, scale, bias = normal(4, 6, 3, 2) + np.float32(offset), normal(6), normal(6)
        attributes = {"epsilon": epsilon}
        if operator == "BatchNormalization":
            statistics = [normal(6), np.abs(normal(6)) + np.float32(0.1)]
            yield attributes, [x, scale, bias, *statistics]
            yield attributes | {"training_mode": 1, "momentum": 0.75}, [x, scale, bias, *statistics]
        elif operator == "GroupNormalization":
            for groups in (1, 2, 3, 6):
                yield attributes | {"num_groups": groups}, [x, scale, bias]
        elif operator == "LayerNormalization":
            for axis in (1, 2, -1):
                yield attributes | {"axis": axis}, [x, normal(*x.shape[axis:]), normal(*x.shape[axis:])]
        else:
            yield attributes, [x, scale, bias]


def losses(operator: str) -> Iterator[Node]:
    """Weights, labels to ignore, reductions; logits that saturate."""
    for reduction, weighted, ignored, scale in itertools.product(
        ("none", "sum", "mean"), (False, True), (None, 1), (1, 100)
    ):
        logits = scale * normal(6, 4)
        if operator == "NegativeLogLikelihoodLoss":
            logits = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        attributes = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
        inputs = [logits.astype(np.float32), np.array([0, 1, 2, 3, 1, 2])]
        yield attributes, inputs + [np.abs(normal(4))] * weighted


def attention(operator: str) -> Iterator[Node]:
    """Scales, heads, more keys than queries."""
    for scale in (None, 1.0, 0.3):
        attributes = {} if scale is None else {"scale": scale}
        yield attributes, [normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 7)]
        heads = {"q_num_heads": 4, "kv_num_heads": 2}
        yield attributes | heads, [normal(2, 3, 8), normal(2, 5, 4), normal(2, 5, 4)]


def boxes(operator: str) -> Iterator[Node]:
    """Random boxes of two images and classes."""
    for overlap, most in itertools.product((0.1, 0.5), (2, 6)):
        low = RANDOM.uniform(0, 4, size=(2, 8, 2))
        corners = np.concatenate([low, low + RANDOM.uniform(0.5, 3, size=(2, 8, 2))], axis=-1).astype(np.float32)
        scores = RANDOM.uniform(size=(2, 2, 8)).astype(np.float32)
        numbers = [np.array([most]), np.array([overlap], np.float32), np.array([0.2], np.float32)]
        yield {}, [corners, scores, *numbers]


def others(operator: str) -> Iterator[Node]:
    """Small functions."""
    x = normal(3, 4, 5)
    yield from {
        "Dropout": [({}, [x])],
        "LpNormalization": [({"axis": axis, "p": 2}, [scale * x]) for axis in (0, -1) for scale in (1, 1e-3, 1e3)],
        "MeanVarianceNormalization": [({"axes": axes}, [x[..., None]]) for axes in ([0, 2, 3], [0], [0, 1, 2, 3])],
        "OneHot": [({}, [np.array([[0, 2], [1, 1]]), np.array(3), np.array([-1, 2], np.float32)])],
        "Flatten": [({}, [x]), ({"axis": 1}, [x[..., None]])],
        "Gemm": [({}, [x[0], normal(5, 2), normal(2)]), ({"transB": 1}, [x[0], normal(2, 5), normal(1, 2)])],
    }[operator]


RECTIFIERS = ("Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Softplus", "Gelu", "Swish")
ELEMENTWISE = ("Identity", "Sigmoid", "Tanh", "Softsign", *RECTIFIERS)
KINDS = {
    elementwise: ELEMENTWISE,
    over_an_axis: ("Softmax", "LogSoftmax"),
    convolutions: ("Conv", "ConvTranspose"),
    pools: ("MaxPool", "AveragePool"),
    whole_pools: ("GlobalMaxPool", "GlobalAveragePool"),
    recurrent: ("RNN", "LSTM", "GRU"),
    normalizations: ("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"),
    losses: ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"),
    attention: ("Attention",),
    boxes: ("NonMaxSuppression",),
    others: ("Dropout", "LpNormalization", "MeanVarianceNormalization", "OneHot", "Flatten", "Gemm"),
}
GENERATORS = {operator: kind for kind, names in KINDS.items() for operator in names}
NUM_OUTPUTS = {"LSTM": 3, "RNN": 2, "GRU": 2}


def nodes(operator: str) -> Iterator[Node]:
    """The attributes and inputs of cases of an operator."""
    yield from GENERATORS[operator](operator)


def num_outputs(operator: str, attributes: dict[str, Any]) -> int:
    """How many outputs a case of it asks for."""
    return 3 if attributes.get("training_mode") else NUM_OUTPUTS.get(operator, 1)
