"""Probes: what to record about a network in training; for `dlcore.training(observe=...)`."""

from dlcore.core.evaluation import Observation
from dlcore.probes.curvature import eigenvalues, hessian_trace, lanczos, sharpness
from dlcore.probes.kernel import kernel_eigenvalues, tangent_kernel
from dlcore.probes.noise import gradient_noise, noise_scale, two_batch_noise
from dlcore.probes.norms import layer_norms, update_ratios
from dlcore.probes.symmetry import unit_symmetry
from dlcore.probes.units import activations, unit_statistics

__all__ = [
    "Observation",
    "activations",
    "eigenvalues",
    "gradient_noise",
    "hessian_trace",
    "kernel_eigenvalues",
    "lanczos",
    "layer_norms",
    "noise_scale",
    "sharpness",
    "tangent_kernel",
    "two_batch_noise",
    "unit_statistics",
    "unit_symmetry",
    "update_ratios",
]
