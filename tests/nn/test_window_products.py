"""Convolutions by XLA's library: the same numbers and derivatives as the other forms, without copies of columns."""

import functools
import re

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.nn import convolution as conv

NUM_INPUTS, NUM_OUTPUTS = 4, 20  # so many that the library takes them
small = st.integers(1, 3)


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def images(size=6, rows=18):
    return drawn(rows, size, size, NUM_INPUTS)


def kernels(window=(3, 3)):
    return drawn(*window, NUM_INPUTS, NUM_OUTPUTS, seed=1) / 6


def compiled(function, *arguments):
    """The text of the compiled program."""
    return str(jax.jit(function).lower(*arguments).compile().as_text())


def loss(kernel, x, form: conv.Form = "library", **options):
    return jnp.sum(jnp.sin(conv.convolve(x, kernel, form=form, **options)))


@settings(max_examples=8)
@given(
    window=st.tuples(small, small),
    strides=st.tuples(small, small),
    dilation=st.sampled_from([(1, 1), (2, 1)]),
    padding=st.sampled_from(["SAME", "VALID", ((2, 0), (1, 3)), ((4, 4), (0, 0))]),
    rows=st.sampled_from([1, 18]),
)
def test_it_is_a_convolution(window, strides, dilation, padding, rows):
    """Catches pads of a gradient that are off, places left over by strides, a kernel that is not flipped."""
    options = {"strides": strides, "padding": padding, "kernel_dilation": dilation}

    def run(form):
        return jax.jit(jax.value_and_grad(functools.partial(loss, form=form, **options), (0, 1)))(
            kernels(window), images(7, rows)
        )

    golden_values.assert_matches(run("library"), run("native"), 2e-5)


def test_no_columns_are_written():
    """Catches a gradient in a form that XLA's library does not take, for which slices are copied side by side."""
    text = compiled(jax.value_and_grad(loss, (0, 1)), kernels(), images())
    assert len(re.findall(r" convolution\(", text)) == 3
    assert "concatenate(" not in text


def test_few_channels_are_slices():
    """Catches channels that the library does not take, for which XLA's own convolution would be slow."""
    x, kernel = drawn(18, 6, 6, 3), drawn(3, 3, 3, NUM_OUTPUTS)
    assert " convolution(" not in compiled(jax.grad(loss), kernel, x)


def test_derivatives_of_every_kind():
    """Catches a rule of one of the three products that is not that of the others, forward, reverse or second order."""
    x, kernel = images(), kernels()
    direction = drawn(*kernel.shape, seed=2), drawn(*x.shape, seed=3)

    def every(form):
        f = functools.partial(loss, form=form)
        gradient = jax.grad(f, (0, 1))
        return (
            jax.jvp(f, (kernel, x), direction),
            jax.jvp(gradient, (kernel, x), direction)[1],
            jax.linearize(gradient, kernel, x)[1](*direction),
            jax.grad(lambda *at: sum(map(jnp.vdot, gradient(*at), direction)), (0, 1))(kernel, x),
        )

    ours, slices = (jax.jit(functools.partial(every, form))() for form in ("library", "slices"))
    golden_values.assert_matches(ours, slices, 5e-5)
    golden_values.assert_matches(ours[1], ours[3], 5e-5)


def test_networks_side_by_side():
    """Catches lanes that are mixed up, whichever of images and kernels is mapped, inside or outside of the gradient."""
    kernel, x = jnp.stack([kernels(), -kernels(), 2 * kernels()]), images()
    several = jnp.stack([x, x[::-1], 2 * x])
    gradient = jax.grad(loss, (0, 1))
    for axes in ((0, None), (None, 0), (0, 0)):
        pair = tuple(a if axis == 0 else a[0] for a, axis in zip((kernel, several), axes, strict=True))
        each = [gradient(*(a[i] if axis == 0 else a for a, axis in zip(pair, axes, strict=True))) for i in range(3)]
        mapped = jax.jit(jax.vmap(gradient, axes))(*pair)
        golden_values.assert_matches(mapped, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each), 2e-5)
    total = jax.grad(lambda kernel: jax.vmap(loss, (0, None))(kernel, x).sum())(kernel)
    golden_values.assert_matches(total, jax.vmap(jax.grad(loss), (0, None))(kernel, x), 2e-5)


def test_a_lane_does_not_see_its_neighbors():
    """Catches a product over lanes, which NaN would get through."""
    run = jax.jit(jax.vmap(jax.grad(loss), (0, None)))
    kernel, x = kernels(), images()
    one, other = (run(jnp.stack([kernel, neighbor]), x)[0] for neighbor in (kernel, jnp.nan * kernel))
    np.testing.assert_array_equal(one, other)


def test_gradient_of_what_devices_share():
    """Catches a gradient that is not summed over the devices of a `shard_map`."""
    kernel, x = kernels(), images()
    mesh = jax.make_mesh((jax.device_count(),), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, everywhere = jax.sharding.PartitionSpec("rows"), jax.sharding.PartitionSpec()
    x = jnp.concatenate([x] * jax.device_count())
    shared = jax.shard_map(jax.grad(loss), mesh=mesh, in_specs=(everywhere, rows), out_specs=everywhere)
    golden_values.assert_matches(jax.jit(shared)(kernel, x), jax.grad(loss)(kernel, x), 2e-5)
