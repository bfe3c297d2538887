"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.layers.radial_basis import k_means_centres, nearest_centre_widths, random_centres, spread_widths
from dlcore.models.embedding import embedding, probabilistic_embedding
from dlcore.models.feed_forward import deep_linear, linear, logistic, mlp
from dlcore.models.modular import decomposed, mixture_of_experts, pretrained, routed
from dlcore.models.radial_basis import fit_output_layer, radial_basis

__all__ = [
    "decomposed",
    "deep_linear",
    "embedding",
    "fit_output_layer",
    "k_means_centres",
    "linear",
    "logistic",
    "mixture_of_experts",
    "mlp",
    "nearest_centre_widths",
    "pretrained",
    "probabilistic_embedding",
    "radial_basis",
    "random_centres",
    "routed",
    "spread_widths",
]
