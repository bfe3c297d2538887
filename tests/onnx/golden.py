"""The cases that the test suite computes, in one file: `python -m tests.onnx --golden` writes it."""

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from tests.onnx.case import NODE_TOLERANCE, Case

PATH = pathlib.Path(__file__).parents[1] / "golden" / "onnx.npz"

# Quick ones, each with something that no other has.
NAMES = (
    "test_conv_with_strides_and_asymmetric_padding",
    "test_conv_with_autopad_same",
    "test_convtranspose_pad",
    "test_convtranspose_dilations",
    "test_convtranspose_group_2",
    "test_convtranspose_autopad_same",
    "test_maxpool_2d_uint8",
    "test_maxpool_2d_dilations",
    "test_maxpool_2d_ceil",
    "test_averagepool_2d_precomputed_pads",
    "test_averagepool_2d_precomputed_pads_count_include_pad",
    "test_averagepool_2d_dilations",
    "test_simple_rnn_reverse",
    "test_lstm_with_peepholes",
    "test_lstm_bidirectional",
    "test_gru_with_initial_bias",
    "test_batchnorm_epsilon",
    "test_batchnorm_epsilon_training_mode",
    "test_group_normalization_epsilon",
    "test_instancenorm_epsilon",
    "test_layer_normalization_3d_axis1_epsilon",
    "test_attention_3d_gqa_scaled",
    "test_sce_mean_weight_ii",
    "test_sce_none_weights",
    "test_nonmaxsuppression_two_classes",
    "test_nonmaxsuppression_iou_threshold_boundary",
    "test_gelu_default_1",
    "test_leakyrelu",
    "test_softmax_large_number",
)


def chosen(cases: Sequence[Case]) -> list[Case]:
    """Those of the cases that the test suite computes."""
    return [case for case in cases if case.name in NAMES]


def write(cases: Sequence[Case]) -> None:
    """Make the file of them."""
    arrays = {}
    for case in cases:
        given = {key: value.decode() if isinstance(value, bytes) else value for key, value in case.attributes.items()}
        text = [key for key, value in case.attributes.items() if isinstance(value, bytes)]
        head = {"operator": case.operator, "attributes": given, "bytes": text}
        arrays[f"{case.name}/head"] = np.array(json.dumps(head | {"sizes": [len(case.inputs), len(case.outputs)]}))
        for kind, values in (("input", case.inputs), ("output", case.outputs)):
            arrays |= {f"{case.name}/{kind}{i}": x for i, x in enumerate(values) if x is not None}
    np.savez_compressed(PATH, **arrays)


def read() -> dict[str, Case]:
    """Name to case."""
    cases = {}
    with np.load(PATH) as arrays:
        for name in [key.removesuffix("/head") for key in arrays if key.endswith("/head")]:
            head = json.loads(str(arrays[f"{name}/head"]))
            attributes = {
                key: value.encode() if key in head["bytes"] else value for key, value in head["attributes"].items()
            }
            parts = [
                [arrays.get(f"{name}/{kind}{i}") for i in range(count)]
                for kind, count in zip(("input", "output"), head["sizes"], strict=True)
            ]
            cases[name] = Case(name, head["operator"], attributes, *parts, NODE_TOLERANCE)
    return cases
