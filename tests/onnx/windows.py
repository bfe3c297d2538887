"""Convolution and pooling: arrays with channels second, kernels [outputs, inputs, *window], pads all before, then all
after.
"""

import functools

import numpy as np

from dlcore.nn.convolution import add_bias, convolve, convolve_transposed
from dlcore.nn.pooling import average_pool, max_pool
from tests.onnx.case import Case, NotExpressibleError, Operator, channels_first, channels_last


def padding(case: Case, sizes, extent, strides):
    """Padding of dlcore."""
    kind = case.get("auto_pad", b"NOTSET").decode()
    if kind in ("SAME_UPPER", "VALID"):
        return {"SAME_UPPER": "SAME", "VALID": "VALID"}[kind]
    if kind == "SAME_LOWER":
        needed = [max((-(-n // s) - 1) * s + e - n, 0) for n, e, s in zip(sizes, extent, strides, strict=True)]
        return [(total - total // 2, total // 2) for total in needed]
    pads = case.get("pads", [0] * 2 * len(sizes))
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))


def geometry(case: Case, window):
    """(strides, dilations, pixels that a window reaches over)."""
    strides = case.get("strides", [1] * len(window))
    dilations = case.get("dilations", [1] * len(window))
    return strides, dilations, [(size - 1) * step + 1 for size, step in zip(window, dilations, strict=True)]


def with_bias(y, bias):
    """The output with its bias, if any, in ONNX's arrangement."""
    return [channels_first(y if bias is None else add_bias(y, bias))]


def convolution(case: Case, *, form: str):
    """All options."""
    x, kernel, bias = channels_last(case.input(0)), np.moveaxis(case.input(1), (0, 1), (-1, -2)), case.input(2)
    strides, dilations, extent = geometry(case, kernel.shape[:-2])
    pads = padding(case, x.shape[1:-1], extent, strides)
    options = {"kernel_dilation": dilations, "num_groups": case.get("group", 1), "form": form}
    return with_bias(convolve(x, kernel, strides, pads, **options), bias)


def transposed_convolution(case: Case, *, form: str):
    """All options; the kernel [inputs, outputs / groups, *window] is not flipped, and pads are cut off."""
    x, kernel, bias, groups = channels_last(case.input(0)), case.input(1), case.input(2), case.get("group", 1)
    window = kernel.shape[2:]
    blocks = np.flip(kernel.reshape(groups, -1, *kernel.shape[1:]), range(3, 3 + len(window)))
    kernel = np.moveaxis(blocks, (1, 0, 2), (-3, -2, -1))  # [*window, inputs / groups, groups, outputs / groups]
    kernel = kernel.reshape(*kernel.shape[:-2], -1)
    strides, dilations, extent = geometry(case, window)
    more = case.get("output_padding", [0] * len(window))
    cut = cut_off(case, x.shape[1:-1], extent, strides, more)
    pads = [(e - 1 - low, e - 1 - high + extra) for e, (low, high), extra in zip(extent, cut, more, strict=True)]
    options = {"kernel_dilation": dilations, "num_groups": groups, "form": form}
    return with_bias(convolve_transposed(x, kernel, strides, pads, **options), bias)


def cut_off(case: Case, sizes, extent, strides, more):
    """Pixels that are cut off before and after."""
    kind, shape = case.get("auto_pad", b"NOTSET").decode(), case.get("output_shape")
    if kind in ("SAME_UPPER", "SAME_LOWER") and shape is None:
        shape = [n * s for n, s in zip(sizes, strides, strict=True)]
    if shape is None:
        return padding(case, sizes, extent, strides) if kind == "NOTSET" else [(0, 0)] * len(sizes)
    axes = zip(sizes, strides, more, extent, shape[-len(sizes) :], strict=True)
    totals = [s * (n - 1) + extra + e - wanted for n, s, extra, e, wanted in axes]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if kind == "SAME_UPPER" else [pair[::-1] for pair in halves]


def pooling(case: Case, pool, **options):
    """Without the places of the largest."""
    x, window = channels_last(case.input(0)), case.get("kernel_shape")
    strides, dilations, extent = geometry(case, window)
    pads = padding(case, x.shape[1:-1], extent, strides)
    if case.get("ceil_mode", 0) and not isinstance(pads, str):
        pads = rounded_up(x.shape[1:-1], extent, strides, pads)
        if options.get("counts_padding") and pads != padding(case, x.shape[1:-1], extent, strides):
            raise NotExpressibleError("ceil_mode with count_include_pad: the rest of the last window does not count")
    y = pool(x, window, strides, pads, dilation=dilations, **options)
    return [channels_first(y), *[None] * (len(case.outputs) - 1)]


def rounded_up(sizes, extent, strides, pads):
    """Pads with what fills the last windows, if these begin in front of the padding after the pixels."""
    filled = []
    for n, e, s, (low, high) in zip(sizes, extent, strides, pads, strict=True):
        count = -(-(n + low + high - e) // s) + 1
        count -= (count - 1) * s >= n + low
        filled.append((low, max(high, (count - 1) * s + e - n - low)))
    return filled


def average(case: Case):
    """Padding counts or does not."""
    return pooling(case, average_pool, counts_padding=bool(case.get("count_include_pad", 0)))


def whole(case: Case, pool):
    """One window over all pixels."""
    x = channels_last(case.input(0))
    return [channels_first(pool(x, x.shape[1:-1]))]


OPERATORS: dict[str, Operator] = {
    "Conv (slices)": functools.partial(convolution, form="slices"),
    "Conv (native)": functools.partial(convolution, form="native"),
    "ConvTranspose (slices)": functools.partial(transposed_convolution, form="slices"),
    "ConvTranspose (native)": functools.partial(transposed_convolution, form="native"),
    "MaxPool": functools.partial(pooling, pool=max_pool),
    "AveragePool": average,
    "GlobalMaxPool": functools.partial(whole, pool=max_pool),
    "GlobalAveragePool": functools.partial(whole, pool=average_pool),
}
