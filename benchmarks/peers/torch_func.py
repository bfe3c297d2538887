"""The work by `torch.func`: all runs side by side, their parameters stacked, gradients by `vmap` of `grad`.

As in PyTorch's tutorials on model ensembling and per-sample gradients; the optimizer is written for the stacks.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.peers.pytorch import build, tensors
from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, CannotError, Data, Finished, Side, Work, steps

Stack = dict[str, torch.Tensor]


def study(work: Work, data: Data) -> Callable[[], Finished]:
    """All runs, side by side."""
    splits = tensors(work, data)
    rates = torch.tensor([rate for _, rate in work.pairs])
    num_classes = int(data.labels.max()) + 1

    def run():
        models = [_seeded(seed, work.network, splits[0], num_classes) for seed, _ in work.pairs]
        accuracies = train(work, splits, models, rates)
        return Finished([(rate, value) for (_, rate), value in zip(work.pairs, accuracies, strict=True)], num_steps)

    num_steps = steps(work, data)
    return run


def sequences(work: Work, data: Data) -> Callable[[], Finished]:
    """The same, where `vmap` supports the network."""
    run = study(work, data)
    try:
        run()
    except (RuntimeError, NotImplementedError) as error:
        raise CannotError(f"vmap fails: {str(error).strip().splitlines()[0]}") from error
    return run


def _seeded(seed: int, network: str, inputs: torch.Tensor, num_classes: int) -> nn.Module:
    torch.manual_seed(seed)
    return build(network, inputs, num_classes)


def train(work: Work, splits: list[torch.Tensor], models: list[nn.Module], rates: torch.Tensor) -> list[float]:
    """Final test accuracies of the models."""
    inputs, labels, test_inputs, test_labels = splits
    params, buffers = stack_module_state(models)
    params = {name: value.detach() for name, value in params.items()}
    base = copy.deepcopy(models[0]).to("meta")

    def loss(params: Stack, buffers: Stack, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(base, (params, buffers), (x,)), y)

    gradients = vmap(grad(loss))
    logits = vmap(lambda params, buffers, x: functional_call(base, (params, buffers), (x,)), in_dims=(0, 0, None))
    velocity = {name: torch.zeros_like(value) for name, value in params.items()}
    accuracies = torch.zeros(len(models))
    for _ in range(work.num_epochs):
        orders = torch.rand(len(models), len(inputs)).argsort(1)
        for rows in orders.split(work.batch_size, 1):
            update(params, velocity, gradients(params, buffers, inputs[rows], labels[rows]), rates)
        with torch.inference_mode():
            accuracies = (logits(params, buffers, test_inputs).argmax(2) == test_labels).float().mean(1)
    return accuracies.tolist()


def update(params: Stack, velocity: Stack, gradients: Stack, rates: torch.Tensor) -> None:
    """A step of SGD with momentum, each run's gradient clipped, in place."""
    squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients.values()])
    scales = (LARGEST_NORM / squares.sum(0).sqrt()).clamp(max=1.0)
    for name, gradient in gradients.items():
        each = (-1,) + (1,) * (gradient.ndim - 1)
        velocity[name].mul_(MOMENTUM).add_(gradient * scales.view(each))
        params[name].sub_(velocity[name] * rates.view(each))


SIDES: dict[str, Side] = {"study": study, "sequences": sequences}
