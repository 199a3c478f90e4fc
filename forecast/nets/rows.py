"""Rows of a window regrouped, so that one fast kernel does what a loop over time would."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def fold(x: Tensor, dilation: int) -> Tensor:
    """Rows t, t + d, t + 2d, … of each window become a sequence of their own: (B, T, C) -> (B * d, ceil(T / d), C).

    Where d does not divide T, rows of zeros follow the last: a recurrence never sees them before a real one.
    """
    size, rows, channels = x.shape
    length = -(-rows // dilation)
    padded = functional.pad(x, (0, 0, 0, length * dilation - rows))
    chains = padded.reshape(size, length, dilation, channels).transpose(1, 2)
    return chains.reshape(size * dilation, length, channels)


def unfold(x: Tensor, dilation: int, rows: int) -> Tensor:
    """Undo :func:`fold`: (B * d, ceil(rows / d), C) -> (B, rows, C)."""
    folded, length, channels = x.shape
    chains = x.reshape(folded // dilation, dilation, length, channels).transpose(1, 2)
    return chains.reshape(folded // dilation, length * dilation, channels)[:, :rows]


def trailing(x: Tensor, kernel: int) -> Tensor:
    """Each row with the ``kernel - 1`` rows before it, zeros before the first: (B, T, C) -> (B, T, C * kernel).

    A linear map of this is a causal convolution, as one matrix product.
    """
    return functional.pad(x, (0, 0, kernel - 1, 0)).unfold(1, kernel, 1).flatten(2)
