"""Convolutional networks: a general one, and LeNet-5 and those of DeepOBS in terms of it."""

from collections.abc import Sequence
from itertools import pairwise

import jax
from flax import nnx

from dlcore.core.arguments import NONE, arguments, boolean, sequence
from dlcore.core.errors import ArgumentError
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import (
    PADDING,
    POOL,
    WIDTH,
    WINDOW,
    ConvolutionalBlock,
    Pooling,
    dense_head,
    repeated,
    shrunk,
)
from dlcore.nn.convolution import check_groups
from dlcore.nn.dropout import DROPOUT
from dlcore.nn.images import IMAGE_SHAPE, as_images, with_channels
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.normalization import NORMALIZATION, Normalization, check_normalized

CHANNELS = sequence(WIDTH, 1, 1000, text="1 to 1000 positive integers")


class Convolutional(nnx.Module):
    """Blocks of convolution, then dense layers: images -> [B, widths[-1]].

    Args:
      blocks: for each, (kernel size, padding, groups of the convolution).
      pooling: after each block.
      features: numbers that the head gets; its widths follow.
      conv_init, dense_init, bias_init: of the blocks' and the head's weights, and all biases.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        channels: Sequence[int],
        blocks: Sequence[tuple[int, str, int]],
        widths: Sequence[int],
        *,
        activation: str | Activation,
        normalization: str | Normalization | None,
        pooling: Pooling,
        global_pooling: bool,
        dropout: float | jax.Array,
        conv_init: Initializer,
        dense_init: Initializer,
        bias_init: Initializer,
        rngs: nnx.Rngs,
    ):
        self.image_shape, self.global_pooling = image_shape, global_pooling
        self.blocks = nnx.List(
            ConvolutionalBlock(
                *pair,
                kernel_size=kernel_size,
                padding=padding,
                num_groups=num_groups,
                normalization=normalization,
                activation=activation,
                pooling=pooling,
                kernel_init=conv_init,
                bias_init=bias_init,
                rngs=rngs,
            )
            for pair, (kernel_size, padding, num_groups) in zip(
                pairwise((image_shape[2], *channels)), blocks, strict=True
            )
        )
        self.head = dense_head(
            widths, activation, dropout=dropout, kernel_init=dense_init, bias_init=bias_init, rngs=rngs
        )

    def __call__(self, x):
        x = as_images("convolutional", x, self.image_shape)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(axis=(1, 2)) if self.global_pooling else x.reshape(x.shape[0], -1))


@arguments(
    image_shape=IMAGE_SHAPE,
    channels=CHANNELS,
    num_outputs=WIDTH,
    kernel_size=WINDOW | sequence(WINDOW, text="positive integers, one for each block"),
    num_groups=WIDTH | sequence(WIDTH, text="positive integers, one for each block"),
    padding=PADDING | sequence(PADDING, text="them, one for each block"),
    activation=ACTIVATION,
    normalization=NORMALIZATION,
    pool=POOL,
    pool_size=WINDOW,
    pool_strides=WINDOW | NONE,
    pool_padding=PADDING,
    pool_dilation=WINDOW,
    pool_counts_padding=boolean,
    global_pooling=boolean,
    head=sequence(WIDTH, 0, 1000, text="positive integers"),
    dropout=DROPOUT,
    initializer=INITIALIZER,
    head_initializer=INITIALIZER | NONE,
    bias_initializer=INITIALIZER,
)
def convolutional(
    image_shape: Sequence[int],
    channels: Sequence[int],
    num_outputs: int,
    *,
    kernel_size: int | Sequence[int] = 3,
    padding: str | Sequence[str] = "SAME",
    num_groups: int | Sequence[int] = 1,
    activation: str | Activation = "relu",
    normalization: str | Normalization | None = None,
    pool: str | None = "max",
    pool_size: int = 2,
    pool_strides: int | None = None,
    pool_padding: str = "VALID",
    pool_dilation: int = 1,
    pool_counts_padding: bool = False,
    global_pooling: bool = False,
    head: Sequence[int] = (128,),
    dropout: float | jax.Array = 0.0,
    initializer: str | Initializer = "he_normal",
    head_initializer: str | Initializer | None = None,
    bias_initializer: str | Initializer = "zeros",
) -> Model:
    """Blocks of convolution, normalization, activation and pooling, then dense layers: images -> [B, num_outputs].

    Args:
      image_shape: (height, width) of inputs [B, height, width], or (height, width, channels).
      channels: outputs of each block's convolution.
      kernel_size, padding: of the convolutions, padding "SAME" or "VALID"; one for all or one for each block.
      num_groups: of the convolutions, likewise; channels that come in and go out are cut into so many groups, and a
        group sees its own only: [16, 32, 32] with groups (1, 1, 32) ends depthwise.
      activation: name or function, after each convolution and hidden dense layer.
      normalization: None, "batch" (running averages are the model's state; that of the variance is of the biased one,
        divided by the number of values n, as Flax has it), "batch_unbiased" (divided by n - 1, as PyTorch has it; the
        same in training), "group" (the most groups up to 8 that divide the channels), "layer" (over all pixels and
        channels of an image), or one with options: `dl.models.batch_norm(epsilon=1e-3)`, `group_norm`, `layer_norm`.
        One value is refused: normalized it is 0.
      pool: "max", "average" or None; of pool_size x pool_size pixels every pool_strides (pool_size by default).
      pool_dilation: pixels from one place of such a window to the next.
      pool_counts_padding: "average" counts padding, as zeros; by default it is the mean of the pixels.
      global_pooling: the head sees the mean over the pixels, not every pixel.
      head: units of the hidden dense layers; () for none.
      dropout: share of values set to 0 before each dense layer in training; may be traced.
      initializer: name or function, for the weights. head_initializer: for those of the dense layers, if different.

    Raises:
      ArgumentError: sizes that are not positive integers, an unknown name, a window larger than what is left of the
        image.

    Example:
      >>> model = dl.models.convolutional((8, 8), [4], 3)
      >>> model.apply(*model.init(jax.random.key(0)), jnp.zeros((2, 8, 8)))[0].shape
      (2, 3)
    """
    shape = with_channels(image_shape)
    kernel_sizes = repeated("convolutional: kernel_size", kernel_size, len(channels))
    groups = repeated("convolutional: num_groups", num_groups, len(channels))
    blocks = list(zip(kernel_sizes, repeated("convolutional: padding", padding, len(channels)), groups, strict=True))
    for block, (pair, count) in enumerate(zip(pairwise((shape[2], *channels)), groups, strict=True)):
        check_groups(f"convolutional: block {block}", count, *pair)
    if pool_counts_padding and pool != "average":
        raise ArgumentError(
            f'convolutional: pool_counts_padding is True with pool={pool!r}; expects pool="average", which has a mean.'
        )
    strides = pool_size if pool_strides is None else pool_strides
    pooling = Pooling(pool, pool_size, strides, pool_padding, pool_dilation, pool_counts_padding)
    height, width = _after(blocks, pooling, shape[:2])
    widths = (channels[-1] * (1 if global_pooling else height * width), *head, num_outputs)
    pieces = activations.num_pieces(activation)
    check_normalized("convolutional", normalization, [pieces * count for count in channels])
    options = {
        "activation": activation,
        "normalization": normalization,
        "pooling": pooling,
        "global_pooling": global_pooling,
        "dropout": dropout,
        "conv_init": initializers.by_name(initializer),
        "dense_init": initializers.by_name(initializer if head_initializer is None else head_initializer),
        "bias_init": initializers.by_name(bias_initializer),
    }
    return built_in(lambda rngs: Convolutional(shape, channels, blocks, widths, **options, rngs=rngs))


@arguments(image_shape=IMAGE_SHAPE, num_classes=WIDTH)
def lenet(image_shape: Sequence[int] = (28, 28), num_classes: int = 10) -> Model:
    """LeNet-5 as it is used today: tanh, average pooling, all maps connected; 61 706 parameters for 28 x 28.

    Raises:
      ArgumentError: an image that is too small for the kernels and the pooling; the message names the block.
    Reference: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.

    Example:
      >>> dl.models.num_params(dl.models.lenet())
      61706
    """
    return convolutional(
        image_shape,
        [6, 16],
        num_classes,
        kernel_size=5,
        padding=("SAME", "VALID"),
        activation="tanh",
        pool="average",
        head=(120, 84),
        initializer="glorot_uniform",
    )


@arguments(image_shape=IMAGE_SHAPE, num_classes=WIDTH)
def deepobs_2c2d(image_shape: Sequence[int] = (28, 28), num_classes: int = 10) -> Model:
    """DeepOBS' network for MNIST and Fashion-MNIST; 3 274 634 parameters for 28 x 28.

    Raises:
      ArgumentError: an image that is too small for the kernels and the pooling; the message names the block.
    Reference: Schneider et al., DeepOBS: a deep learning optimizer benchmark suite, ICLR 2019; its `_2c2d.py`.

    Example:
      >>> dl.models.num_params(dl.models.deepobs_2c2d())
      3274634
    """
    return convolutional(
        image_shape,
        [32, 64],
        num_classes,
        kernel_size=5,
        pool_padding="SAME",
        head=(1024,),
        initializer=nnx.initializers.truncated_normal(0.05),
        bias_initializer=initializers.constant(0.05),
    )


@arguments(image_shape=IMAGE_SHAPE, num_classes=WIDTH)
def deepobs_3c3d(image_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10) -> Model:
    """DeepOBS' network for CIFAR; 895 210 parameters for 32 x 32 x 3. Its weights have an L2 penalty of 0.002.

    Raises:
      ArgumentError: an image that is too small for the kernels and the pooling; the message names the block.
    Reference: Schneider et al., DeepOBS: a deep learning optimizer benchmark suite, ICLR 2019; its `_3c3d.py`.

    Example:
      >>> dl.models.num_params(dl.models.deepobs_3c3d())
      895210
    """
    return convolutional(
        image_shape,
        [64, 96, 128],
        num_classes,
        kernel_size=(5, 3, 3),
        padding=("VALID", "VALID", "SAME"),
        pool_size=3,
        pool_strides=2,
        pool_padding="SAME",
        head=(512, 256),
        initializer="glorot_normal",
        head_initializer="glorot_uniform",
    )


def _after(blocks: Sequence[tuple[int, str, int]], pooling: Pooling, sizes: Sequence[int]) -> tuple[int, ...]:
    """What blocks of (kernel size, padding, groups) and pooling leave of an image's height and width."""
    for block, (kernel_size, padding, _) in enumerate(blocks):
        sizes = shrunk(f"convolutional: block {block}: kernel_size", sizes, kernel_size, 1, padding)
        if pooling.kind is not None:
            what = f"convolutional: block {block}: pool_size" + ", dilated," * (pooling.dilation > 1)
            sizes = shrunk(what, sizes, pooling.extent, pooling.strides, pooling.padding)
    return tuple(sizes)
