"""The work by PyTorch: modules and a loop, eager and by `torch.compile`.

The training set is one tensor, of which a shuffled order picks the batches, which is faster than a DataLoader.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, PENALTY, CannotError, Data, Finished, Side, Work, steps


class Recurrent(nn.Module):
    """An LSTM of 256 units, whose last output goes to the classes."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(num_inputs, 256, batch_first=True), nn.Linear(256, num_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[B, T, num_inputs] -> [B, num_classes]."""
        outputs, _ = self.lstm(inputs)
        return self.head(outputs[:, -1])


def build(network: str, inputs: torch.Tensor, num_classes: int) -> nn.Module:
    """The network; the mlp with the weights' distribution that the other libraries have."""
    if network == "lstm":
        return Recurrent(inputs.shape[-1], num_classes)
    if network == "cnn":
        features = 64 * (inputs.shape[2] // 4) * (inputs.shape[3] // 4)
        return nn.Sequential(
            *(nn.Conv2d(inputs.shape[1], 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, num_classes)),
        )
    model = nn.Sequential(nn.Linear(inputs.shape[1], 128), nn.ReLU(), nn.Linear(128, num_classes))
    for layer in (model[0], model[2]):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        nn.init.zeros_(layer.bias)
    return model


def tensors(work: Work, data: Data) -> list[torch.Tensor]:
    """The data, images with their channels first."""
    inputs, labels, test_inputs, test_labels = data
    if work.network == "cnn":
        inputs, test_inputs = (np.ascontiguousarray(each.transpose(0, 3, 1, 2)) for each in (inputs, test_inputs))
    arrays = (inputs, labels.astype(np.int64), test_inputs, test_labels.astype(np.int64))
    return [torch.from_numpy(array) for array in arrays]


def train(work: Work, splits: list[torch.Tensor], model: nn.Module, rate: float) -> float:
    """One run; its final test accuracy."""
    inputs, labels, test_inputs, test_labels = splits
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    loss_function, accuracy = nn.CrossEntropyLoss(), torch.zeros(())
    for _ in range(work.num_epochs):
        model.train()
        for rows in torch.randperm(len(inputs)).split(work.batch_size):
            optimizer.zero_grad()
            loss = loss_function(model(inputs[rows]), labels[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            accuracy = (model(test_inputs).argmax(1) == test_labels).float().mean()
    return float(accuracy)


def eager(work: Work, data: Data, compiled: bool = False) -> Callable[[], Finished]:
    """The few runs, one after the other."""
    splits = tensors(work, data)
    num_classes = int(data.labels.max()) + 1

    def run():
        accuracies = []
        for seed, rate in work.few:
            torch.manual_seed(seed)
            model: nn.Module = build(work.network, splits[0], num_classes)
            if compiled:
                model.compile()
            accuracies.append((rate, train(work, splits, model, rate)))
        return Finished(accuracies, steps(work, data))

    return run


def compiled(work: Work, data: Data) -> Callable[[], Finished]:
    """The same with the model compiled by `torch.compile`'s defaults, where that works."""
    run = eager(work, data, compiled=True)
    try:
        run()
    except Exception as error:
        first_line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CannotError(f"torch.compile fails: {first_line}") from error
    return run


def logistic(work: Work, data: Data) -> Callable[[], Finished]:
    """Single-sample SGD, for fewer epochs."""
    inputs, labels = torch.from_numpy(data.inputs), torch.from_numpy(data.labels.astype(np.float32))
    loss_function = nn.BCEWithLogitsLoss()

    def run():
        seed, rate = work.few[0]
        torch.manual_seed(seed)
        model = nn.Linear(inputs.shape[1], 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=PENALTY)
        for _ in range(work.few_epochs):
            for row in torch.randperm(len(inputs)):
                optimizer.zero_grad()
                loss_function(model(inputs[row])[0], labels[row]).backward()
                optimizer.step()
        with torch.inference_mode():
            accuracy = float(((model(inputs)[:, 0] > 0) == (labels > 0)).float().mean())
        return Finished([(rate, accuracy)], steps(work, data, work.few_epochs))

    return run


SIDES: dict[str, Side] = {"one": eager, "start": eager, "compiled": compiled, "logistic": logistic}
