"""Feed-forward networks, radial basis functions and losses of embeddings, by PyTorch and scikit-learn."""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)


class Maxout(nn.Module):
    """Values i and n + i form a group."""

    def forward(self, x):
        first, second = x.chunk(2, dim=1)
        return torch.maximum(first, second)


def networks() -> dict[str, nn.Sequential]:
    """Networks 4 -> 6 -> 3."""
    torch.manual_seed(0)
    return {
        "batch": nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)),
        "layer": nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3)),
        "prelu": nn.Sequential(nn.Linear(4, 6), nn.PReLU(), nn.Linear(6, 3)),
        "maxout": nn.Sequential(nn.Linear(4, 12), Maxout(), nn.Linear(6, 3)),
    }


def feed_forward() -> dict[str, torch.Tensor]:
    """A step of training: output, cross-entropy, gradients; running averages and the output they give."""
    values = {}
    rng = np.random.default_rng(0)
    for name, network in networks().items():
        x = torch.tensor(rng.normal(size=(7, 4)), dtype=torch.float32, requires_grad=True)
        labels = torch.tensor(rng.integers(0, 3, 7))
        with torch.no_grad():
            for norm in (layer for layer in network if isinstance(layer, nn.BatchNorm1d | nn.LayerNorm)):
                norm.weight += 0.3 * torch.randn(6)
                norm.bias += 0.3 * torch.randn(6)
        weights = {key: value.clone() for key, value in network.named_parameters()}
        output = network(x)
        functional.cross_entropy(output, labels).backward()
        values |= {f"{name}/x": x, f"{name}/labels": labels, f"{name}/output": output, f"{name}/x_gradient": x.grad}
        values |= {f"{name}/{key}": value for key, value in weights.items()}
        values |= {f"{name}/{key}_gradient": value.grad for key, value in network.named_parameters()}
        values |= {f"{name}/{key}": value.clone() for key, value in network.named_buffers()}
        values[f"{name}/evaluated"] = network.eval()(x)
    return values


def mined(distances: np.ndarray, labels: np.ndarray, mining: str) -> list[tuple[int, int, int]]:
    """Triplets (anchor, positive, negative), by brute force."""
    rows = range(len(labels))
    triplets = []
    for a in rows:
        positives = [p for p in rows if p != a and labels[p] == labels[a]]
        negatives = [n for n in rows if labels[n] != labels[a]]
        if mining == "hard" and positives and negatives:
            hardest = max(positives, key=lambda p: distances[a, p]), min(negatives, key=lambda n: distances[a, n])
            triplets.append((a, *hardest))
        for p in positives if mining != "hard" and negatives else []:
            farther = [n for n in negatives if distances[a, n] > distances[a, p]]
            if mining == "all":
                triplets += [(a, p, n) for n in negatives]
            elif farther:
                triplets.append((a, p, min(farther, key=lambda n: distances[a, n])))
            else:
                triplets.append((a, p, max(negatives, key=lambda n: distances[a, n])))
    return triplets


def triplets() -> dict[str, torch.Tensor]:
    """FaceNet's loss of mined triplets; for "all", over those that are not 0."""
    rng = np.random.default_rng(1)
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 1])  # 3 occurs once
    points = rng.normal(size=(10, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    values = {"triplet/embeddings": points.astype(np.float32), "triplet/labels": labels}
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    criterion = nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: ((a - b) ** 2).sum(dim=1), margin=0.2, reduction="none"
    )
    for mining in ("semi_hard", "hard", "all"):
        x = torch.tensor(points, dtype=torch.float32, requires_grad=True)
        a, p, n = np.array(mined(distance, labels, mining)).T
        losses = criterion(x[a], x[p], x[n])
        loss = losses[losses > 0].mean() if mining == "all" else losses.mean()
        loss.backward()
        values |= {f"triplet/{mining}": loss, f"triplet/{mining}_gradient": x.grad}
    return values


def arcface(features, weights, labels, scale, margin):
    """Eq. 3 of Deng et al."""
    cosines = functional.normalize(features) @ functional.normalize(weights).T
    own = functional.one_hot(labels, len(weights)).bool()
    return functional.cross_entropy(
        scale * torch.where(own, torch.cos(torch.arccos(cosines) + margin), cosines), labels
    )


def cosface(features, weights, labels, scale, margin):
    """Eq. 4 of Wang et al."""
    cosines = functional.normalize(features) @ functional.normalize(weights).T
    return functional.cross_entropy(scale * (cosines - margin * functional.one_hot(labels, len(weights))), labels)


def sphereface(features, weights, labels, annealing, margin):
    """Eq. 7 of Liu et al., with their annealing."""
    cosines = functional.normalize(features) @ functional.normalize(weights).T
    theta = torch.arccos(cosines)
    k = torch.floor(margin * theta / math.pi)
    psi = (-1) ** k * torch.cos(margin * theta) - 2 * k
    own = functional.one_hot(labels, len(weights)).bool()
    target = (annealing * cosines + psi) / (1 + annealing)
    return functional.cross_entropy(features.norm(dim=1, keepdim=True) * torch.where(own, target, cosines), labels)


def margins() -> dict[str, torch.Tensor]:
    """Losses of angles with class weights."""
    rng = np.random.default_rng(2)
    start = {"features": rng.normal(size=(8, 5)), "weights": rng.normal(size=(4, 5))}
    labels = torch.tensor(rng.integers(0, 4, 8))
    values = {f"margin/{name}": value.astype(np.float32) for name, value in start.items()} | {"margin/labels": labels}
    cases = {
        "arcface": (arcface, 8.0, 0.5),
        "cosface": (cosface, 8.0, 0.35),
        **{f"sphereface_{m}": (sphereface, 0.5, m) for m in (1, 2, 3, 4)},
    }
    for name, (loss, first, second) in cases.items():
        features, weights = (torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in start.values())
        value = loss(features, weights, labels, first, second)
        value.backward()
        values |= {f"margin/{name}": value, f"margin/{name}_features": features.grad}
        values |= {f"margin/{name}_weights": weights.grad}
    return values


def likelihoods() -> dict[str, torch.Tensor]:
    """Density of the difference of two Gaussians at 0; the mean over pairs of one label."""
    rng = np.random.default_rng(3)
    mean = torch.tensor(rng.normal(size=(6, 3)), dtype=torch.float32, requires_grad=True)
    log_variance = torch.tensor(rng.normal(size=(6, 3)), dtype=torch.float32, requires_grad=True)
    labels = np.array([0, 1, 0, 2, 1, 0])
    variance = log_variance.exp()
    difference = torch.distributions.Normal(mean[:, None] - mean[None], (variance[:, None] + variance[None]).sqrt())
    scores = difference.log_prob(torch.zeros(())).sum(dim=2)
    same = torch.tensor((labels[:, None] == labels) & ~np.eye(6, dtype=bool))
    loss = -scores[same].mean()
    loss.backward()
    return {
        "likelihood/mean": mean,
        "likelihood/log_variance": log_variance,
        "likelihood/labels": labels,
        "likelihood/scores": scores,
        "likelihood/loss": loss,
        "likelihood/mean_gradient": mean.grad,
        "likelihood/log_variance_gradient": log_variance.grad,
    }


def radial_basis() -> dict[str, torch.Tensor]:
    """Centers of k-means, the kernel at them, ridge regression on it; gradients of a network that learns all."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(20, 3)).astype(np.float32) + 5
    y = rng.normal(size=(20, 2)).astype(np.float32)
    centers = KMeans(5, n_init="auto", random_state=0).fit(x).cluster_centers_
    features = rbf_kernel(x.astype(np.float64), centers.astype(np.float64), gamma=1 / (2 * 0.8**2))
    ridge = Ridge(alpha=0.1, solver="svd").fit(features, y.astype(np.float64))
    values = {
        "x": x,
        "y": y,
        "centers": centers,
        "features": features.astype(np.float32),
        "kernel": ridge.coef_.T.astype(np.float32),
        "bias": ridge.intercept_.astype(np.float32),
        "output": ridge.predict(features).astype(np.float32),
    }
    learned = {name: torch.tensor(values[name], requires_grad=True) for name in ("x", "centers", "kernel", "bias")}
    widths = torch.tensor([0.5, 0.8, 1.0, 1.3, 2.0], requires_grad=True)
    squares = ((learned["x"][:, None] - learned["centers"][None]) ** 2).sum(dim=2)
    output = torch.exp(-squares / (2 * widths**2)) @ learned["kernel"] + learned["bias"]
    functional.mse_loss(output, torch.tensor(y)).backward()
    values |= {f"{name}_gradient": value.grad for name, value in learned.items()}
    values |= {"widths": widths, "log_widths_gradient": widths.grad * widths, "learned_output": output}
    return {f"radial_basis/{name}": value for name, value in values.items()}


def golden() -> dict[str, np.ndarray]:
    """All cases."""
    values = feed_forward() | triplets() | margins() | likelihoods() | radial_basis()
    return {
        name: value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        for name, value in values.items()
    }
