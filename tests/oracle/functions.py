"""Activations, gains, losses, metrics, normalizers and training curves by PyTorch, scikit-learn and sacrebleu.

In float64 from inputs that float32 holds exactly, so the tests see the rounding of one side only.
"""

import numpy as np
import sacrebleu
import sklearn.datasets
import sklearn.metrics
import sklearn.preprocessing
import torch
from scipy.optimize import brentq
from torch.nn import functional

torch.set_num_threads(1)

ACTIVATIONS = {
    "identity": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softsign": functional.softsign,
    "relu": functional.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.1),
    "elu": functional.elu,
    "selu": functional.selu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),  # `softplus` takes x itself above 20
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softmax": lambda x: functional.softmax(x, dim=-1),
    "maxout2": lambda x: x.reshape(*x.shape[:-1], 2, -1).amax(dim=-2),
    "maxout3": lambda x: x.reshape(*x.shape[:-1], 3, -1).amax(dim=-2),
}


def by_torch(function, x):
    """Values at x, and the derivative of their sum weighted by 1, 2, 3, ..."""
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    values = function(x)
    weights = torch.arange(1, values.numel() + 1, dtype=torch.float64).reshape(values.shape)
    (values * weights).sum().backward()
    return {"inputs": x.detach().numpy(), "values": values.detach().numpy(), "gradient": x.grad.numpy()}


def activations():
    """Values and derivatives; of prelu also that of its slope."""
    rng = np.random.default_rng(0)
    points = np.float32([-1e4, -100, -30, -12, -5, -1.5, -0.3, -1e-3, 1e-3, 0.4, 1, 3, 7, 21, 100, 1e4])
    groups = rng.normal(size=(4, 6)).astype(np.float32) * np.float32([[1], [3], [30], [300]])
    cases = {}
    for name, function in ACTIVATIONS.items():
        over_groups = name.startswith(("softmax", "maxout"))
        cases[f"activations/{name}"] = by_torch(function, groups if over_groups else points)
    slope = torch.nn.Parameter(torch.tensor([0.25], dtype=torch.float64))
    cases["activations/prelu"] = by_torch(lambda x: functional.prelu(x, slope), points)
    cases["activations/prelu"]["slope_gradient"] = slope.grad.numpy()[0]
    return cases


def initializers():
    """Gains and fans."""
    gains = {name: torch.nn.init.calculate_gain(name) for name in ("linear", "sigmoid", "tanh", "relu", "selu")}
    gains["leaky_relu"] = torch.nn.init.calculate_gain("leaky_relu", 0.1)
    fans = {
        "dense": torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(20, 30)),
        "convolution": torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(8, 4, 3, 5)),
    }
    return {"gains": gains, "fans": fans}


def losses():
    """Values [B] and the gradient of their weighted sum by the outputs."""
    rng = np.random.default_rng(1)
    logits = (rng.normal(size=(6, 4)) * np.array([[1], [1], [1], [20], [1], [1]])).astype(np.float32)
    labels, flags = rng.integers(0, 4, 6), rng.integers(0, 2, (6, 4))
    targets, shares = rng.normal(size=(6, 4)).astype(np.float32), rng.random((6, 4)).astype(np.float32)
    shares[0, 0], shares[1, 1] = 0, 1
    distribution = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    weights = np.float32([0.5, 1, 2, 4])
    y, b, t, p, d, w = (torch.tensor(v) for v in (labels, flags, targets, shares, distribution, weights.astype(float)))

    def focal_loss(x):
        margins = torch.where(b > 0, x, -x)
        factors = torch.where(b > 0, 0.25, 0.75)
        return (-factors * torch.sigmoid(-margins) ** 2 * functional.logsigmoid(margins)).mean(dim=1)

    cases = {
        "softmax_cross_entropy": (lambda x: functional.cross_entropy(x, y, reduction="none"), labels),
        "weighted_cross_entropy": (
            lambda x: functional.cross_entropy(x, y, weight=w, label_smoothing=0.1, reduction="none"),
            labels,
        ),
        "multi_label_cross_entropy": (
            lambda x: functional.binary_cross_entropy_with_logits(x, b.double(), reduction="none").mean(dim=1),
            flags,
        ),
        "focal": (focal_loss, flags),
        "kl_divergence": (
            lambda x: functional.kl_div(x.log_softmax(1), d.double(), reduction="none").sum(dim=1),
            distribution,
        ),
        "squared_error": (lambda x: functional.mse_loss(x, t.double(), reduction="none").mean(dim=1), targets),
        "absolute_error": (lambda x: functional.l1_loss(x, t.double(), reduction="none").mean(dim=1), targets),
        "huber": (lambda x: functional.huber_loss(x, t.double(), reduction="none", delta=0.5).mean(dim=1), targets),
        "bernoulli_cross_entropy": (
            lambda x: functional.binary_cross_entropy_with_logits(x, p.double(), reduction="none").mean(dim=1),
            shares,
        ),
    }
    made = {f"losses/{name}": {**by_torch(loss, logits), "targets": given} for name, (loss, given) in cases.items()}
    made["losses/weighted_cross_entropy"]["class_weights"] = weights

    signs = torch.tensor(2 * flags[:, 0] - 1)
    made["losses/hinge"] = {
        **by_torch(
            lambda x: functional.margin_ranking_loss(x, 0 * x, signs, margin=1.0, reduction="none"), logits[:, 0]
        ),
        "targets": flags[:, 0],
    }
    each = range(6)
    made["losses/multiclass_hinge"] = {
        "inputs": logits,
        "targets": labels,
        "values": [sklearn.metrics.hinge_loss(labels[[i]], logits[[i]], labels=range(4)) for i in each],
    }
    made["losses/pinball"] = {
        "inputs": logits,
        "targets": targets,
        "values": [sklearn.metrics.mean_pinball_loss(targets[i], logits[i], alpha=0.2) for i in each],
    }

    sequences = rng.normal(size=(3, 5, 4)).astype(np.float32)
    tokens, lengths = rng.integers(0, 4, (3, 5)), np.array([5, 2, 1])
    mask = np.arange(5) < lengths[:, None]
    ignored = torch.tensor(np.where(mask, tokens, -100))

    def masked(x):
        losses = functional.cross_entropy(x.reshape(15, 4), ignored.reshape(15), ignore_index=-100, reduction="none")
        return losses.reshape(3, 5).sum(dim=1) / torch.tensor(lengths)

    made["losses/masked_cross_entropy"] = {**by_torch(masked, sequences), "targets": tokens, "mask": mask}
    mean = functional.cross_entropy(
        torch.tensor(sequences).double().reshape(15, 4), ignored.reshape(15), ignore_index=-100
    )
    made["metrics/sequences"] = {
        "perplexity": mean.exp().numpy(),
        "accuracy": np.mean(sequences.argmax(-1)[mask] == tokens[mask]),
    }
    return made


def averages(name, actual, predicted, zero_division, labels):
    """Precision, recall and F1 with every average."""
    made = {}
    for average in ("micro", "macro", None):
        values = sklearn.metrics.precision_recall_fscore_support(
            actual, predicted, average=average, zero_division=zero_division, labels=labels
        )
        for metric, value in zip(("precision", "recall", "f1"), values, strict=False):
            made[f"{metric}_{average or 'none'}"] = value
    return {f"metrics/{name}": made}


def metrics():
    """Metrics of classes, labels, real values and scores."""
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(30, 5)).astype(np.float32), rng.integers(0, 4, 30)  # class 4 has no example
    logits[:, 3] = -9  # never predicted
    flags = rng.integers(0, 2, (30, 5))
    flags[:, 1], logits[:, 1] = 0, np.minimum(logits[:, 1], -0.1)  # neither there nor predicted
    predicted, classes = logits.argmax(1), range(5)
    made = {}
    for zero_division in (0, 1):
        made |= averages(f"classes_{zero_division}", labels, predicted, zero_division, classes)
        made |= averages(f"labels_{zero_division}", flags, logits > 0, zero_division, None)
    made["metrics/classes"] = {
        "logits": logits,
        "labels": labels,
        "confusion_matrix": sklearn.metrics.confusion_matrix(labels, predicted, labels=classes),
        **{f"top_{k}": sklearn.metrics.top_k_accuracy_score(labels, logits, k=k, labels=classes) for k in (1, 2, 4)},
    }
    made["metrics/labels"] = {
        "flags": flags,
        "subset_accuracy": sklearn.metrics.accuracy_score(flags, logits > 0),
        "hamming_loss": sklearn.metrics.hamming_loss(flags, logits > 0),
    }
    targets = rng.normal(2, 3, (30, 5)).astype(np.float32)
    made["metrics/regression"] = {
        "targets": targets,
        "r2": sklearn.metrics.r2_score(targets, logits, multioutput="variance_weighted"),
        "mean_absolute_error": sklearn.metrics.mean_absolute_error(targets, logits),
    }
    for name, scores in {"distinct": rng.normal(size=40), "tied": rng.integers(0, 6, 40)}.items():
        scores = scores.astype(np.float32)
        same = (scores + rng.normal(0, 1.5, 40) > scores.mean()).astype(int)
        false_rates, true_rates, thresholds = sklearn.metrics.roc_curve(same, scores, drop_intermediate=False)

        def gap(x, false_rates=false_rates, true_rates=true_rates):
            return 1 - x - np.interp(x, false_rates, true_rates)

        accuracies = [sklearn.metrics.accuracy_score(same, scores >= threshold) for threshold in thresholds]
        made[f"metrics/scores_{name}"] = {
            "scores": scores,
            "same": same,
            "roc_auc": sklearn.metrics.roc_auc_score(same, scores),
            "average_precision": sklearn.metrics.average_precision_score(same, scores),
            "equal_error_rate": brentq(gap, 0, 1),
            "accuracy_at_best_threshold": max(accuracies),
        }
    predictions = ["the cat sat on the mat.", "a dog barks at night", "hello, world"]
    references = [
        ["the cat sat on a mat.", "the cat was sitting on the mat."],
        ["the dog barks at the moon"],
        ["hello, world!"],
    ]
    columns = [[entry[0] for entry in references], [entry[1] if len(entry) > 1 else None for entry in references]]
    single = [entry[0] for entry in references]
    made["metrics/bleu"] = {
        "several": sacrebleu.BLEU().corpus_score(predictions, columns).score,
        "single": sacrebleu.BLEU().corpus_score(predictions, [single]).score,
        "lowercase": sacrebleu.BLEU(lowercase=True).corpus_score([p.upper() for p in predictions], [single]).score,
    }
    return made


def normalizers():
    """Scalers fitted to some rows and applied to others."""
    rng = np.random.default_rng(3)
    train, test = rng.normal([5, -2, 100], [1, 3, 0.01], (20, 3)), rng.normal(size=(6, 3))
    train, test = train.astype(np.float32), test.astype(np.float32)
    ranged = sklearn.preprocessing.MinMaxScaler((-1, 3)).fit(train.astype(float))
    standard = sklearn.preprocessing.StandardScaler().fit(train.astype(float))
    return {
        "normalizers": {
            "train": train,
            "test": test,
            "min_max": ranged.transform(test.astype(float)),
            "z_score": standard.transform(test.astype(float)),
        }
    }


CURVES = {
    "relu": {"activation": torch.relu, "learning_rate": 0.1, "momentum": 0.0, "l2": 0.0},
    "tanh": {"activation": torch.tanh, "learning_rate": 0.05, "momentum": 0.9, "l2": 0.0},
    "sigmoid": {"activation": torch.sigmoid, "learning_rate": 0.5, "momentum": 0.9, "l2": 1e-3},
}


def training_curves():
    """Loss of each minibatch before its update, 50 steps of SGD on digits; the digits come with scikit-learn."""
    rng = np.random.default_rng(4)
    bunch = sklearn.datasets.load_digits()
    rows = rng.permutation(1797)[:1600].reshape(50, 32)
    shapes = [(64, 32), (32,), (32, 10), (10,)]
    weights = [(rng.normal(size=s) / np.sqrt(s[0]) * (len(s) == 2)).astype(np.float32) for s in shapes]
    made = {"curves": {"rows": rows.astype(np.int16), **{f"weight{i}": w for i, w in enumerate(weights)}}}
    for name, setting in CURVES.items():
        params = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in weights]
        optimizer = torch.optim.SGD(params, lr=setting["learning_rate"], momentum=setting["momentum"])
        losses = []
        for batch in rows:
            hidden = setting["activation"](torch.tensor(bunch.data[batch] / 16) @ params[0] + params[1])
            loss = functional.cross_entropy(hidden @ params[2] + params[3], torch.tensor(bunch.target[batch]))
            loss = loss + setting["l2"] / 2 * sum((p**2).sum() for p in params)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        made[f"curves/{name}"] = {
            "losses": losses,
            **{part: setting[part] for part in ("learning_rate", "momentum", "l2")},
        }
    return made


def golden():
    """All of them; floats as float32."""
    cases = activations() | initializers() | losses() | metrics() | normalizers() | training_curves()
    arrays = {f"{case}/{part}": np.asarray(value) for case, parts in cases.items() for part, value in parts.items()}
    return {name: value.astype(np.float32) if value.dtype.kind == "f" else value for name, value in arrays.items()}
