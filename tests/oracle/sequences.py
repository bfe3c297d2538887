"""Attention, encoder-decoders and mixture densities, hand-assembled from PyTorch's modules.

A case holds inputs, weights (in PyTorch's layout), outputs and `d_` gradients of the sum of outputs times `cotangent`.
"""

import numpy as np
import torch
from torch import nn

BATCH, SOURCE, TARGET, UNITS, FEATURES, TOKENS = 3, 5, 4, 4, 6, 7
LENGTHS = torch.tensor([5, 2, 3])


def golden() -> dict[str, np.ndarray]:
    """All cases."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return {
        **_attention("additive", _Additive(UNITS, UNITS, FEATURES)),
        **_attention("dot", _Dot()),
        **_encoder_decoder("translate/additive", additive=True),
        **_encoder_decoder("translate/plain", additive=False),
        **_mixture(),
    }


def _mask() -> torch.Tensor:
    return torch.arange(SOURCE)[None] < LENGTHS[:, None]


class _Additive(nn.Module):
    def __init__(self, num_query, num_value, num_units):
        super().__init__()
        self.query = nn.Linear(num_query, num_units, bias=False)
        self.key = nn.Linear(num_value, num_units)
        self.score = nn.Linear(num_units, 1, bias=False)

    def forward(self, queries, values, mask):
        scores = self.score(torch.tanh(self.query(queries)[:, :, None] + self.key(values)[:, None]))[..., 0]
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        return weights @ values, weights


class _Dot(nn.Module):
    def forward(self, queries, values, mask):
        scores = queries @ values.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        return weights @ values, weights


def _attention(name: str, module: nn.Module) -> dict[str, np.ndarray]:
    queries = torch.randn(BATCH, TARGET, UNITS, requires_grad=True)
    values = torch.randn(BATCH, SOURCE, UNITS, requires_grad=True)
    context, weights = module(queries, values, _mask())
    parts = {"queries": queries, "values": values, **dict(module.named_parameters())}
    return _case(f"attention/{name}", parts, context, {"mask": _mask(), "weights": weights})


class _EncoderDecoder(nn.Module):
    """Two GRU layers on either side; with additive attention the context is part of the decoder's input and output."""

    def __init__(self, additive: bool):
        super().__init__()
        self.source_embedding, self.target_embedding = nn.Embedding(TOKENS, FEATURES), nn.Embedding(TOKENS, FEATURES)
        self.encoder = nn.ModuleList([nn.GRU(n, UNITS, batch_first=True) for n in (FEATURES, UNITS)])
        self.decoder = nn.ModuleList([nn.GRUCell(n, UNITS) for n in (FEATURES + additive * UNITS, UNITS)])
        self.attention = _Additive(UNITS, UNITS, UNITS) if additive else None
        self.output = nn.Linear(UNITS * (1 + additive), TOKENS)

    def forward(self, source, tokens):
        x, states = self.source_embedding(source), []
        for layer in self.encoder:
            packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
            packed, last = layer(packed)
            x, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=SOURCE)
            states.append(last[0])
        logits = []
        for token in tokens.T:
            h, seen = self.target_embedding(token), []
            if self.attention is not None:
                seen = [self.attention(states[-1][:, None], x, _mask())[0][:, 0]]
                h = torch.cat([h, *seen], dim=-1)
            for i, layer in enumerate(self.decoder):
                states[i] = h = layer(h, states[i])
            logits.append(self.output(torch.cat([h, *seen], dim=-1)))
        return torch.stack(logits, dim=1)


def _encoder_decoder(name: str, *, additive: bool) -> dict[str, np.ndarray]:
    module = _EncoderDecoder(additive)
    source = torch.randint(1, TOKENS, (BATCH, SOURCE)) * _mask()
    tokens = torch.randint(1, TOKENS, (BATCH, TARGET))
    for parameter, value in module.named_parameters():
        value.data *= 3  # at first all states are alike and the attention's gradients little but rounding
        # dlcore has one bias where PyTorch has two that are only used as their sum.
        if "bias_hh" in parameter:
            value.data[: 2 * UNITS] = 0
    return _case(name, dict(module.named_parameters()), module(source, tokens), {"source": source, "tokens": tokens})


def _mixture() -> dict[str, np.ndarray]:
    num = 3
    parts = {
        "logits": torch.randn(BATCH, TARGET, num),
        "means": torch.randn(BATCH, TARGET, num, 2),
        "log_deviations": 0.5 * torch.randn(BATCH, TARGET, num, 2),
        "correlations": torch.randn(BATCH, TARGET, num),
        "pen": torch.randn(BATCH, TARGET),
    }
    for part in parts.values():
        part.requires_grad_()
    targets = torch.cat([torch.randn(BATCH, TARGET, 2), torch.randint(0, 2, (BATCH, TARGET, 1))], dim=-1)
    deviations, correlations = parts["log_deviations"].exp(), parts["correlations"].tanh()
    covariance = torch.diag_embed(deviations**2)
    cross = correlations * deviations[..., 0] * deviations[..., 1]
    covariance = covariance + cross[..., None, None] * torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    components = torch.distributions.MultivariateNormal(parts["means"], covariance)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=parts["logits"]), components)
    pen = torch.distributions.Bernoulli(logits=parts["pen"]).log_prob(targets[..., 2])
    each = -(mixture.log_prob(targets[..., :2]) + pen)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]]).bool()
    loss = (each * mask).sum(dim=1) / mask.sum(dim=1)
    return _case("mixture", parts, loss, {"targets": targets, "mask": mask})


def _case(name, differentiated, output, others) -> dict[str, np.ndarray]:
    cotangent = torch.randn_like(output)
    gradients = torch.autograd.grad((output * cotangent).sum(), list(differentiated.values()))
    values = {
        **differentiated,
        **others,
        **{f"d_{part}": gradient for part, gradient in zip(differentiated, gradients, strict=True)},
        "cotangent": cotangent,
        "output": output,
    }
    return {f"{name}/{part}": value.detach().numpy() for part, value in values.items()}
