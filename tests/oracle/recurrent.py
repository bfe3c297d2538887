"""Recurrent layers by PyTorch: outputs, last carry, gradients of weights, inputs and first carry."""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ROWS, STEPS, INPUTS, UNITS = 3, 5, 4, 6
LENGTHS = (5, 2, 3)
KINDS = {"simple": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def case(cell: str, *, num_layers: int = 1, bidirectional: bool = False, packed: bool = False) -> dict[str, np.ndarray]:
    """The loss is the sum of outputs and last carry, each number times a random weight."""
    torch.manual_seed(0)
    net = KINDS[cell](INPUTS, UNITS, num_layers, batch_first=True, bidirectional=bidirectional)
    ways = num_layers * (1 + bidirectional)
    x = torch.randn(ROWS, STEPS, INPUTS, requires_grad=True)
    first = [torch.randn(ways, ROWS, UNITS, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)]
    fed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False) if packed else x
    outputs, last = net(fed, tuple(first) if cell == "lstm" else first[0])
    if packed:
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    last = list(last) if cell == "lstm" else [last]
    weights = [torch.randn_like(value) for value in (outputs, *last)]
    sum((value * weight).sum() for value, weight in zip((outputs, *last), weights, strict=True)).backward()
    values = {"inputs": x, "d_inputs": x.grad, "outputs": outputs, "w_outputs": weights[0]}
    for name, start, end, weight in zip("hc", first, last, weights[1:], strict=False):
        values |= {f"first_{name}": start, f"d_first_{name}": start.grad, f"last_{name}": end, f"w_last_{name}": weight}
    for name, weight in net.named_parameters():
        values |= {name: weight, f"d_{name}": weight.grad}
    return {name: value.detach().numpy() for name, value in values.items()}


def golden() -> dict[str, np.ndarray]:
    """Cases of `tests/test_models_recurrent.py`."""
    torch.set_num_threads(1)
    cases = {
        "simple": case("simple"),
        "lstm": case("lstm"),
        "gru": case("gru"),
        "lstm_packed": case("lstm", packed=True),
        "gru_stacked": case("gru", num_layers=2),
        "simple_bidirectional_packed": case("simple", bidirectional=True, packed=True),
        "lstm_stacked_bidirectional_packed": case("lstm", num_layers=2, bidirectional=True, packed=True),
        "gru_stacked_bidirectional_packed": case("gru", num_layers=2, bidirectional=True, packed=True),
    }
    return {f"{name}/{part}": value for name, values in cases.items() for part, value in values.items()}
