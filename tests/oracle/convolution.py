"""Convolution, pooling, normalization and two networks of them, by PyTorch: outputs and gradients.

Arrays are channels last and kernels [height, width, inputs, outputs], as dlcore has them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# name: (stride, padding, dilation, groups); padding is zeros on both sides, (height, width)
CONVOLUTIONS = {
    "plain": (1, (1, 1), 1, 1),
    "valid": (1, (0, 0), 1, 1),
    "strided": (2, (1, 0), 1, 1),
    "dilated": (1, (2, 2), 2, 1),
    "groups": (1, (1, 1), 1, 2),
    "depthwise": (2, (1, 1), 1, 4),
}
TRANSPOSED = {"stride_2": (2, 1), "stride_3": (3, 0)}  # name: (stride, padding)
POOLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max_2": lambda x: functional.max_pool2d(x, 2),
    "max_3_2": lambda x: functional.max_pool2d(x, 3, 2, padding=1),
    "average_2": lambda x: functional.avg_pool2d(x, 2),
    "average_3_2": lambda x: functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
}


def last(x: torch.Tensor) -> np.ndarray:
    """Channels last."""
    return np.ascontiguousarray(np.moveaxis(x.detach().numpy(), 1, -1))


def kernel(weight: torch.Tensor) -> np.ndarray:
    """[outputs, inputs, height, width] to [height, width, inputs, outputs]; dense ones [inputs, outputs]."""
    values = weight.detach().numpy()
    return np.ascontiguousarray(values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T)


def transposed_kernel(weight: torch.Tensor) -> np.ndarray:
    """[inputs, outputs, height, width] to lax's [height, width, inputs, outputs], which is flipped."""
    return np.ascontiguousarray(weight.detach().numpy().transpose(2, 3, 0, 1)[::-1, ::-1])


def weighted(output: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """A scalar of the output, and the weights that make it, channels last."""
    weights = torch.randn(output.shape)
    return (output * weights).sum(), last(weights)


def golden() -> dict[str, np.ndarray]:
    """Case/part to array."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    values: dict[str, np.ndarray] = {}

    def add(case, parts):
        values.update({f"{case}/{part}": array for part, array in parts.items()})

    def layer(case, module, form=kernel, size=(5, 6), channels=4):
        x = torch.randn(2, channels, *size, requires_grad=True)
        output = module(x)
        total, weights = weighted(output)
        total.backward()
        parts = {"x": last(x), "output": last(output), "cotangent": weights, "dx": last(x.grad)}
        for name, param in module.named_parameters() if isinstance(module, nn.Module) else ():
            convert = form if param.ndim > 1 else lambda p: p.detach().numpy().copy()
            parts |= {name: convert(param), f"d{name}": convert(param.grad)}
        add(case, parts)

    for name, (stride, padding, dilation, groups) in CONVOLUTIONS.items():
        layer(f"convolution_{name}", nn.Conv2d(4, 4, 3, stride, padding, dilation, groups))
    for name, (stride, padding) in TRANSPOSED.items():
        layer(f"transposed_{name}", nn.ConvTranspose2d(4, 5, 3, stride, padding), form=transposed_kernel)
    for name, pool in POOLS.items():
        layer(f"pool_{name}", pool)
    batch_norm = nn.BatchNorm2d(4, momentum=0.1)
    nn.init.normal_(batch_norm.weight), nn.init.normal_(batch_norm.bias)
    layer("norm_batch_train", batch_norm)
    statistics = {"mean": batch_norm.running_mean.numpy().copy(), "variance": batch_norm.running_var.numpy().copy()}
    add("norm_batch_train", statistics)
    batch_norm.zero_grad()
    layer("norm_batch_eval", batch_norm.eval())
    add("norm_batch_eval", statistics)
    for name, groups in (("group", 4), ("layer", 1)):
        norm = nn.GroupNorm(groups, 4)
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
        layer(f"norm_{name}", norm)
    add("network", network())
    add("residual", residual())
    return values


class ChannelsLast(nn.Module):
    """Flattens images as dlcore does, pixels before channels."""

    def forward(self, x):
        """[B, C, H, W] -> [B, H * W * C]."""
        return x.permute(0, 2, 3, 1).flatten(1)


def network() -> dict[str, np.ndarray]:
    """Two convolutions and two dense layers, as DeepOBS' 2c2d in small, on 10 x 10 gray images."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(ChannelsLast(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)),
    )
    x = torch.randn(4, 1, 10, 10, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 1])
    logits = model(x)
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    parts = {"x": last(x), "labels": labels.numpy(), "output": logits.detach().numpy(), "dx": last(x.grad)}
    layers = [module for module in model if isinstance(module, nn.Conv2d | nn.Linear)]
    for i, module in enumerate(layers):
        parts |= {f"kernel{i}": kernel(module.weight), f"dkernel{i}": kernel(module.weight.grad)}
        parts |= {f"bias{i}": module.bias.detach().numpy(), f"dbias{i}": module.bias.grad.numpy()}
    return parts


def residual() -> dict[str, np.ndarray]:
    """The depth-8 network on 8 x 8 images, in training: three blocks, the shortcuts padded with zeros."""

    class Block(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.stride, self.more = (1 if before == after else 2), after - before
            self.first = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
            self.first_norm = nn.BatchNorm2d(after)
            self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.second_norm = nn.BatchNorm2d(after)

        def forward(self, x):
            y = self.second_norm(self.second(torch.relu(self.first_norm(self.first(x)))))
            shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return torch.relu(y + shortcut)

    # 9 x 9: with an odd size, padding "SAME" of a stride of 2 is PyTorch's padding of 1
    stem, norm = nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)
    blocks, head = nn.Sequential(Block(2, 2), Block(2, 4), Block(4, 8)), nn.Linear(8, 3)
    x = torch.randn(4, 1, 9, 9, requires_grad=True)
    output = head(blocks(torch.relu(norm(stem(x)))).mean((2, 3)))
    weights = torch.randn(output.shape)
    (output * weights).sum().backward()
    parts = {"x": last(x), "output": output.detach().numpy(), "cotangent": weights.numpy(), "dx": last(x.grad)}
    convolutions = [stem, *(c for block in blocks for c in (block.first, block.second))]
    norms = [norm, *(n for block in blocks for n in (block.first_norm, block.second_norm))]
    for i, (convolution, scaling) in enumerate(zip(convolutions, norms, strict=True)):
        parts |= {f"kernel{i}": kernel(convolution.weight), f"dkernel{i}": kernel(convolution.weight.grad)}
        parts |= {f"dscale{i}": scaling.weight.grad.numpy(), f"dshift{i}": scaling.bias.grad.numpy()}
    parts |= {"head": kernel(head.weight), "dhead": kernel(head.weight.grad), "head_bias": head.bias.detach().numpy()}
    return parts
