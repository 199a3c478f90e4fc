"""The two cells of xLSTM and the residual blocks around them (Beck et al. 2024, "xLSTM: Extended Long Short-Term
Memory", arXiv 2405.04517), written from the paper's equations.

Both cells have an exponential input gate, a sigmoid forget gate, a normaliser state and a stabiliser state: the largest
logarithm met so far is taken out of every exponent, which changes no output and keeps all numbers finite.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 4  # rows of the causal convolution
FORGET_BIAS = (3.0, 6.0)  # over heads: some forget sooner than others


def mlstm(query: Tensor, key: Tensor, value: Tensor, log_input: Tensor, log_forget: Tensor) -> Tensor:
    """The matrix memory for all rows at once (the paper's parallel form).

    ``C_t = f_t C_{t-1} + i_t v_t k_tᵀ``, ``n_t = f_t n_{t-1} + i_t k_t``, ``h_t = C_t q_t / max(|n_t · q_t|, 1)``.
    Queries, keys and values (B, heads, T, d), logarithms of the gates (B, heads, T); gives h (B, heads, T, d).
    Quadratic in T, without a loop over it.
    """
    rows = query.shape[-2]
    forgotten = log_forget.cumsum(-1)
    # How much of row s (last axis) is left at row t: the product of the forget gates between them and s's input gate.
    left = forgotten.unsqueeze(-1) - forgotten.unsqueeze(-2) + log_input.unsqueeze(-2)
    later = torch.ones(rows, rows, dtype=torch.bool, device=query.device).triu(1)
    left = left.masked_fill(later, -math.inf)
    stabiliser = left.detach().amax(-1, keepdim=True)  # h does not depend on it, so it needs no gradient
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) * torch.exp(left - stabiliser)
    # The paper's lower bound of 1, in stabilised units.
    normaliser = torch.maximum(scores.sum(-1, keepdim=True).abs(), torch.exp(-stabiliser))
    return scores @ value / normaliser


class HeadNorm(nn.Module):
    """Each head's part of a row brought to mean 0 and variance 1, then scaled: (B, T, width) in and out."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.shape = (heads, width // heads)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        parts = functional.layer_norm(x.reshape(*x.shape[:2], *self.shape), self.shape[1:])
        return parts.reshape(x.shape) * self.scale


class CausalConv(nn.Module):
    """A convolution of each channel with its last rows, then SiLU: (B, T, width) in and out.

    A sum of shifted rows: over so few of them torch's convolution spends its time on layouts.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((2.0 * torch.rand(KERNEL, width) - 1.0) / math.sqrt(KERNEL))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 0, KERNEL - 1, 0))
        mixed = self.bias.expand_as(x)
        for first, weight in enumerate(self.weight.unbind()):
            mixed = mixed + padded[:, first : first + x.shape[1]] * weight
        return functional.silu(mixed)


class SLSTM(nn.Module):
    """The scalar memory: ``c_t = f_t c_{t-1} + i_t z_t``, ``n_t = f_t n_{t-1} + i_t``, ``h_t = o_t c_t / n_t``.

    ``rows`` (B, T, width) feed the cell input z and the output gate o, ``smoothed`` (same shape) the input and forget
    gates; the h before feeds all four, within its own head. Gives h (B, T, width). One fused product a row.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.memory = nn.Linear(width, 2 * width)  # z and o
        self.gates = nn.Linear(width, 2 * width)  # i and f
        self.recurrent = nn.Parameter(torch.randn(heads, width // heads, 4 * width // heads) / math.sqrt(width))
        with torch.no_grad():
            forget = self.gates.bias.view(heads, 2, -1)[:, 1]
            forget.copy_(torch.linspace(*FORGET_BIAS, heads).unsqueeze(-1).expand_as(forget))

    def forward(self, rows: Tensor, smoothed: Tensor) -> Tensor:
        fed = [part.unflatten(-1, (self.heads, -1)) for part in (self.gates(smoothed), self.memory(rows))]
        steps = torch.cat(fed, dim=-1).permute(1, 2, 0, 3).contiguous()  # (T, heads, B, 4 d): i, f, z, o
        steps = steps.to(torch.promote_types(steps.dtype, torch.float32))  # the states are sums: bfloat16 loses them
        h = c = n = steps.new_zeros(*steps.shape[1:3], steps.shape[3] // 4)
        m = torch.full_like(h, -math.inf)
        outputs = []
        for step in steps.unbind():
            i, f, z, o = torch.baddbmm(step, h, self.recurrent).chunk(4, dim=-1)
            kept = functional.logsigmoid(f) + m
            m = torch.maximum(kept, i)
            keep, write = torch.exp(kept - m), torch.exp(i - m)  # one of the two is 1, so n stays above 0
            c = keep * c + write * torch.tanh(z)
            n = keep * n + write
            h = torch.sigmoid(o) * c / n
            outputs.append(h)
        return torch.stack(outputs).permute(2, 0, 1, 3).flatten(2)


class SLSTMBlock(nn.Module):
    """Scalar memory, then a gated feed-forward layer of 4/3 the width, each around a residual (post up-projection).

    (B, T, width) in and out.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        inner = max(1, 4 * width // 3)
        self.norm = nn.LayerNorm(width)
        self.conv = CausalConv(width)
        self.cell = SLSTM(width, heads)
        self.head_norm = HeadNorm(heads, width)
        self.feed_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * inner)
        self.down = nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.norm(x)
        x = x + self.dropout(self.head_norm(self.cell(rows, self.conv(rows))))
        value, gate = self.up(self.feed_norm(x)).chunk(2, dim=-1)
        fed: Tensor = x + self.dropout(self.down(value * functional.gelu(gate)))
        return fed


class MLSTMBlock(nn.Module):
    """Matrix memory at twice the width, gated from outside, around a residual (pre up-projection).

    (B, T, width) in and out. Queries, keys and values are linear within each head.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * width
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * inner)
        self.conv = CausalConv(inner)
        each = inner // heads
        self.query_key = nn.Parameter(torch.randn(heads, each, 2 * each) / math.sqrt(each))
        self.value = nn.Parameter(torch.randn(heads, each, each) / math.sqrt(each))
        self.gates = nn.Linear(inner, 2 * heads)
        self.head_norm = HeadNorm(heads, inner)
        self.bypass = nn.Parameter(torch.ones(inner))
        self.down = nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.gates.weight.zero_()
            self.gates.bias[:heads].zero_()
            self.gates.bias[heads:].copy_(torch.linspace(*FORGET_BIAS, heads))

    def forward(self, x: Tensor) -> Tensor:
        rows, gate = self.up(self.norm(x)).chunk(2, dim=-1)
        smoothed = self.conv(rows)
        memory = mlstm(*self._read(smoothed, rows)).transpose(1, 2).flatten(2)
        mixed = self.head_norm(memory) + self.bypass * smoothed
        out: Tensor = x + self.dropout(self.down(mixed * functional.silu(gate)))
        return out

    def _read(self, smoothed: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys, values (B, heads, T, d) and the logarithms of input and forget gate (B, heads, T)."""
        query, key = self._within_heads(smoothed, self.query_key).chunk(2, dim=-1)
        value = self._within_heads(rows, self.value)
        # Sums of logarithms over rows need all the digits there are, in bfloat16 training too.
        log_input, forget = self.gates(smoothed).float().transpose(1, 2).chunk(2, dim=1)
        return query, key, value, log_input, functional.logsigmoid(forget)

    def _within_heads(self, x: Tensor, weight: Tensor) -> Tensor:
        """Each head's part of the rows (B, T, inner) times its own matrix (heads, d, e): (B, heads, T, e)."""
        size, rows, _ = x.shape
        parts = x.reshape(size * rows, self.heads, -1).transpose(0, 1)  # (heads, B * T, d)
        return torch.bmm(parts, weight).reshape(self.heads, size, rows, -1).transpose(0, 1)
