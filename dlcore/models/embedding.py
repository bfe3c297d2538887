"""Embedding networks: inputs become unit vectors, or Gaussians, whose nearness means sameness."""

from types import MappingProxyType

import jax
from flax import nnx

from dlcore.core.arguments import NONE, arguments, instance, integer
from dlcore.core.errors import DataError, described
from dlcore.core.model import Model
from dlcore.nn.adapters import inside
from dlcore.nn.embeddings import Gaussian, angles, unit_vectors

NUM_FEATURES = integer(1, 1_000_000)


@arguments(backbone=instance(Model), num_features=NUM_FEATURES, num_classes=integer(1, 1_000_000_000) | NONE)
def embedding(backbone: Model, num_features: int, *, num_classes: int | None = None) -> Model:
    """Unit vectors [B, num_features]: the backbone's output divided by its Euclidean norm.

    Params are `{"backbone": ...}`, with "classes" [num_classes, num_features] where classes are given. The part
    "features" gives the backbone's output, "angles" its `Angles` with the class weights, which the losses `arcface`,
    `cosface` and `sphereface` take.

    Args:
      backbone: a model with output [B, num_features].
      num_features: numbers in a vector.
      num_classes: identities in training, each with a weight vector; None for losses that compare examples.

    Raises:
      ArgumentError: no Model, a number that is not a positive integer.
      DataError: on apply, a backbone with another output.
    Reference: Schroff et al., FaceNet, CVPR 2015.

    Example:
      >>> model = dl.models.embedding(dl.models.mlp([4, 2]), 2)
      >>> vectors, _ = model.apply(*model.init(jax.random.key(0)), jnp.ones((3, 4)))
      >>> [round(float(length), 3) for length in jnp.linalg.norm(vectors, axis=1)]
      [1.0, 1.0, 1.0]
    """
    backbone = inside("backbone", backbone)

    def init(key):
        backbone_key, class_key = jax.random.split(key)
        params, state = backbone.init(backbone_key)
        if num_classes is None:
            return {"backbone": params}, {"backbone": state}
        # Only directions matter, and normal ones are even on the sphere.
        weights = nnx.initializers.lecun_normal(in_axis=1, out_axis=0)(class_key, (num_classes, num_features))
        return {"backbone": params, "classes": weights}, {"backbone": state}

    def features(params, state, x, *, key=None, train=False):
        found, state = backbone.apply(params["backbone"], state["backbone"], x, key=key, train=train)
        _check_features("embedding", found, num_features)
        return found, {"backbone": state}

    def apply(params, state, x, *, key=None, train=False):
        found, state = features(params, state, x, key=key, train=train)
        return unit_vectors(found), state

    def class_angles(params, state, x, *, key=None, train=False):
        found, state = features(params, state, x, key=key, train=train)
        return angles(found, params["classes"]), state

    parts = {"features": Model(init, features)}
    if num_classes is not None:
        parts["angles"] = Model(init, class_angles)
    return Model(init, apply, MappingProxyType(parts))


@arguments(backbone=instance(Model), head=instance(Model), num_features=NUM_FEATURES)
def probabilistic_embedding(backbone: Model, head: Model, num_features: int) -> Model:
    """A `Gaussian` for each input: the mean is the backbone's output as a unit vector, the head says how sure it is.

    Params are `{"backbone": ..., "head": ...}`. To learn the uncertainty of a network that is trained already, start
    from `dl.models.pretrained(backbone, params, state)` and end the optimizer's chain with
    `optax.freeze({"backbone": True, "head": False})`.

    Args:
      backbone: a model with output [B, num_features].
      head: a model that takes the backbone's output, before it is divided by its norm; its output is the log variances
        [B, num_features].
      num_features: numbers in a vector.

    Raises:
      DataError: on apply, a backbone or head with another output.
    Reference: Shi and Jain, Probabilistic face embeddings, ICCV 2019.

    Example:
      >>> model = dl.models.probabilistic_embedding(dl.models.linear(4, 2), dl.models.linear(2, 2), 2)
      >>> gaussian, _ = model.apply(*model.init(jax.random.key(0)), jnp.ones((3, 4)))
      >>> gaussian.mean.shape, gaussian.log_variance.shape
      ((3, 2), (3, 2))
    """
    backbone, head = inside("backbone", backbone), inside("head", head)

    def init(key):
        backbone_key, head_key = jax.random.split(key)
        backbone_params, backbone_state = backbone.init(backbone_key)
        head_params, head_state = head.init(head_key)
        return {"backbone": backbone_params, "head": head_params}, {"backbone": backbone_state, "head": head_state}

    def apply(params, state, x, *, key=None, train=False):
        keys = (None, None) if key is None else jax.random.split(key)
        features, backbone_state = backbone.apply(params["backbone"], state["backbone"], x, key=keys[0], train=train)
        _check_features("probabilistic_embedding: backbone", features, num_features)
        log_variance, head_state = head.apply(params["head"], state["head"], features, key=keys[1], train=train)
        _check_features("probabilistic_embedding: head", log_variance, num_features)
        return Gaussian(unit_vectors(features), log_variance), {"backbone": backbone_state, "head": head_state}

    return Model(init, apply)


def _check_features(name: str, features, num_features: int) -> None:
    if getattr(features, "ndim", 0) != 2 or features.shape[1] != num_features:
        raise DataError(f"{name}: the output is {described(features)}; expects floats [B, {num_features}].")
