"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.models.autoencoder import autoencoder, convolutional_autoencoder, drawn
from dlcore.models.convolutional import convolutional, deepobs_2c2d, deepobs_3c3d, lenet
from dlcore.models.detector import Detections, detections, grid_detector
from dlcore.models.feed_forward import linear, mlp
from dlcore.models.residual import resnet

__all__ = [
    "Detections",
    "autoencoder",
    "convolutional",
    "convolutional_autoencoder",
    "deepobs_2c2d",
    "deepobs_3c3d",
    "detections",
    "drawn",
    "grid_detector",
    "lenet",
    "linear",
    "mlp",
    "resnet",
]
