"""Linear models, logistic regression and multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import jax
from flax import nnx

from dlcore.core.arguments import arguments, boolean, integer, sequence
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import WIDTH, drops
from dlcore.nn.dropout import DROPOUT, Dropout
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.inputs import as_features
from dlcore.nn.normalization import NORMALIZATION, Normalization, check_normalized, normalization_layer

ADVICE = "Flatten with x.reshape(len(x), -1), scale integers with x.astype('float32') / 255, or change the first width."
WIDTHS = sequence(WIDTH, 2, 1000, text="2 to 1000 positive integers, inputs first and outputs last")


class MLP(nnx.Module):
    """Fully connected layers [B, widths[0]] -> [B, widths[-1]]; arguments as those of `mlp`.

    Args:
      functions: activation of each layer.
    """

    def __init__(
        self,
        widths: Sequence[int],
        functions: Sequence[Activation],
        weights: Initializer,
        dropout: float | jax.Array,
        normalization: str | Normalization | None,
        skip: bool,
        rngs: nnx.Rngs,
    ):
        self.num_inputs = widths[0]
        made = [n * activations.num_pieces(function) for n, function in zip(widths[1:], functions, strict=True)]
        self.layers = nnx.List(
            nnx.Linear(fan_in, fan_out, kernel_init=weights, rngs=rngs)
            for fan_in, fan_out in zip(widths[:-1], made, strict=True)
        )
        self.activations = nnx.List(map(activations.layer, functions))
        norms = [normalization_layer(normalization, width, (-1,), rngs) for width in made[:-1] if normalization]
        self.norms = nnx.List(norms) if normalization else None
        self.dropouts = nnx.List(Dropout(dropout, rngs=rngs) for _ in made[:-1]) if drops(dropout) else None
        pairs = pairwise(widths[:-1])
        self.projections = nnx.List(_projection(*pair, weights, rngs) for pair in pairs) if skip else None

    def hidden(self, x, position):
        inputs, x = x, self.layers[position](x)
        for steps in (self.norms, self.activations, self.dropouts):
            x = x if steps is None else steps[position](x)
        if self.projections is not None:
            projection = self.projections[position]
            x = x + (inputs if projection is None else projection(inputs))
        return x

    def __call__(self, x):
        x = as_features("mlp", x, self.num_inputs, ADVICE)
        for position in range(len(self.layers) - 1):
            x = self.hidden(x, position)
        return self.activations[-1](self.layers[-1](x))


def _projection(num_inputs: int, num_outputs: int, weights: Initializer, rngs: nnx.Rngs) -> nnx.Linear | None:
    """What makes inputs as wide as the outputs, None if they are."""
    if num_inputs == num_outputs:
        return None
    return nnx.Linear(num_inputs, num_outputs, use_bias=False, kernel_init=weights, rngs=rngs)


@arguments(num_inputs=WIDTH, num_outputs=WIDTH, initializer=INITIALIZER)
def linear(num_inputs: int, num_outputs: int = 1, *, initializer: str | Initializer = "zeros") -> Model:
    """Affine map [B, num_inputs] -> [B, num_outputs]; with a logistic loss, logistic regression.

    Starts from zero weights: the problem is convex, so symmetry does no harm and every seed starts at the same point.

    >>> dl.models.num_params(dl.models.linear(4, 3))
    15
    """
    return mlp([num_inputs, num_outputs], initializer=initializer)


@arguments(num_inputs=WIDTH, num_classes=integer(2, 2**24), initializer=INITIALIZER)
def logistic(num_inputs: int, num_classes: int = 2, *, initializer: str | Initializer = "zeros") -> Model:
    """Logistic regression: [B, num_inputs] -> the logit [B, 1] of class 1 of two, or logits [B, num_classes] of more.

    Two classes share one logit; `dl.tasks.classification` takes both forms. Starts from zero weights, as `linear`.

    Raises:
      ArgumentError: fewer than two classes.

    Example:
      >>> dl.models.num_params(dl.models.logistic(4)), dl.models.num_params(dl.models.logistic(4, 3))
      (5, 15)
    """
    return linear(num_inputs, 1 if num_classes == 2 else num_classes, initializer=initializer)


@arguments(widths=WIDTHS, initializer=INITIALIZER)
def deep_linear(widths: Sequence[int], *, initializer: str | Initializer = "lecun_normal") -> Model:
    """Affine maps one after the other: computes what `linear` can, but trains along another path.

    Reference: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, ICLR
    2014; theirs have no biases.

    Example:
      >>> dl.models.num_params(dl.models.deep_linear([4, 2, 3]))
      19
    """
    return mlp(widths, "identity", initializer=initializer)


@arguments(
    widths=WIDTHS,
    activation=ACTIVATION,
    initializer=INITIALIZER,
    dropout=DROPOUT,
    normalization=NORMALIZATION,
    skip=boolean,
    output_activation=ACTIVATION,
)
def mlp(
    widths: Sequence[int],
    activation: str | Activation = "relu",
    *,
    initializer: str | Initializer = "lecun_normal",
    dropout: float | jax.Array = 0.0,
    normalization: str | Normalization | None = None,
    skip: bool = False,
    output_activation: str | Activation = "identity",
) -> Model:
    """Fully connected network [B, widths[0]] -> [B, widths[-1]]; biases start at zero.

    A hidden layer is `dropout(activation(normalization(linear(x))))`, the last one `output_activation(linear(x))`.

    Args:
      widths: units of each layer, inputs first: `[64, 128, 10]` has one hidden layer of 128.
      activation: name (see `dl.activations.ACTIVATIONS`) or function, after each hidden layer.
      initializer: name (see `dl.initializers.INITIALIZERS`) or function of (key, shape, dtype), for the weights.
      dropout: share of the hidden units that is dropped in training, in [0, 1); may be traced.
      normalization: "batch" (running averages are the model's state; that of the variance is of the biased one, divided
        by the number of values n, as Flax has it), "batch_unbiased" (divided by n - 1, as PyTorch has it; the same in
        training), "layer", "group" (the most groups up to 8 that divide the units), None, or one with options:
        `dl.models.batch_norm(epsilon=1e-3)`, `group_norm`, `layer_norm`. One value is refused: normalized it is 0.
      skip: add a hidden layer's inputs to its outputs, after everything else, so that a path without any
        nonlinearity remains; where the widths differ, a learned linear map of them without bias.
      output_activation: of the last layer. Losses of class labels take logits: "identity".

    Raises:
      ArgumentError: fewer than two widths, a width that is not a positive integer, an unknown name, a dropout outside
        [0, 1).
    Reference: dropout, Srivastava et al., JMLR 2014; batch norm, Ioffe and Szegedy, ICML 2015; layer norm, Ba et al.,
      2016; skip connections and their projections, He et al., CVPR 2016, option B, and ECCV 2016.

    Example:
      >>> model = dl.models.mlp([4, 8, 3], "tanh")
      >>> model.apply(*model.init(jax.random.key(0)), jnp.zeros((2, 4)))[0].shape
      (2, 3)
    """
    inner, outer = activations.by_name(activation), activations.by_name(output_activation)
    functions = [inner] * (len(widths) - 2) + [outer]
    weights = initializers.by_name(initializer)
    pieces = [activations.num_pieces(function) for function in functions]
    check_normalized("mlp", normalization, [n * k for n, k in zip(widths[1:-1], pieces[:-1], strict=True)])
    return built_in(lambda rngs: MLP(widths, functions, weights, dropout, normalization, skip, rngs))
