"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.models.autoencoder import autoencoder, convolutional_autoencoder, reparameterize
from dlcore.models.convolutional import convolutional, deepobs_2c2d, deepobs_3c3d, lenet
from dlcore.models.detector import (
    Detections,
    GridPredictions,
    detect,
    found_boxes,
    grid_detector,
    non_max_suppression,
    true_boxes,
)
from dlcore.models.embedding import embedding, probabilistic_embedding
from dlcore.models.feed_forward import deep_linear, linear, logistic, mlp
from dlcore.models.mixture_density import mixture_density
from dlcore.models.modular import decomposed, mixture_of_experts, pretrained, routed
from dlcore.models.radial_basis import fit_output_layer, radial_basis
from dlcore.models.recurrent import recurrent
from dlcore.models.residual import resnet
from dlcore.models.restarted import restarted
from dlcore.models.sequence_to_sequence import sequence_to_sequence
from dlcore.models.summary import Layer, layer_table, num_params, summary, symbolic
from dlcore.nn.normalization import batch_norm, group_norm, layer_norm
from dlcore.nn.radial_basis import k_means_centers, nearest_center_widths, random_centers, spread_widths

__all__ = [
    "Detections",
    "GridPredictions",
    "Layer",
    "autoencoder",
    "batch_norm",
    "convolutional",
    "convolutional_autoencoder",
    "decomposed",
    "deep_linear",
    "deepobs_2c2d",
    "deepobs_3c3d",
    "detect",
    "embedding",
    "fit_output_layer",
    "found_boxes",
    "grid_detector",
    "group_norm",
    "k_means_centers",
    "layer_norm",
    "layer_table",
    "lenet",
    "linear",
    "logistic",
    "mixture_density",
    "mixture_of_experts",
    "mlp",
    "nearest_center_widths",
    "non_max_suppression",
    "num_params",
    "pretrained",
    "probabilistic_embedding",
    "radial_basis",
    "random_centers",
    "recurrent",
    "reparameterize",
    "resnet",
    "restarted",
    "routed",
    "sequence_to_sequence",
    "spread_widths",
    "summary",
    "symbolic",
    "true_boxes",
]
