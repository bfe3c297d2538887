"""Valid arguments of metrics."""

import jax.numpy as jnp
import numpy as np

from dlcore.metrics import Boxes

X, LABELS = jnp.array([[0.0, 1.0, 2.0], [1.0, 0.5, 0.0]]), jnp.array([0, 2])
FLAGS = jnp.array([[0, 1, 1], [1, 0, 0]])
SEQUENCES = {"logits": jnp.zeros((1, 2, 3)), "labels": jnp.ones((1, 2), int), "mask": jnp.array([[True, False]])}
SCORES, SAME = jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0])
BOXES = Boxes(np.array([[0.0, 0, 4, 4]]), np.array([0]), np.array([0]), np.array([0.5]))
VERIFICATION = ("accuracy_at_best_threshold", "best_threshold", "equal_error_rate", "roc_auc")

EXAMPLES = {
    **{name: lambda: {"logits": X, "labels": LABELS} for name in ("accuracy", "confusion_matrix")},
    **{name: lambda: {"logits": X, "labels": FLAGS} for name in ("binary_accuracy", "subset_accuracy", "hamming_loss")},
    **{
        name: lambda: {"logits": X, "labels": LABELS, "average": "macro", "zero_division": 1.0, "classes": "occurring"}
        for name in ("f1", "precision", "recall")
    },
    **{name: lambda: {"predictions": X, "targets": X + 1} for name in ("r2", "mean_absolute_error")},
    **{name: lambda: dict(SEQUENCES) for name in ("exact_match", "masked_accuracy", "perplexity")},
    **{name: lambda: {"scores": SCORES, "same": SAME} for name in VERIFICATION},
    "top_k_accuracy": lambda: {"logits": X, "labels": LABELS, "k": 2},
    "psnr": lambda: {"predictions": X, "targets": X + 1, "max_value": 3.0},
    "average_precision": lambda: {"scores": SCORES, "relevant": SAME},
    "nearest_neighbor_accuracy": lambda: {"embeddings": X, "labels": LABELS},
    "box_iou": lambda: {"boxes": BOXES.boxes, "others": BOXES.boxes, "box_format": "center"},
    "detection_average_precision": lambda: {
        "found": BOXES,
        "true": BOXES,
        "iou_thresholds": (0.5,),
        "interpolation": "coco",
        "box_format": "center",
    },
    "bleu": lambda: {"predictions": ["a b"], "references": [["a b", "b"]], "options": {"lowercase": True}},
}
