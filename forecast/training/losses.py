"""Losses over scaled windows; cells without a known future, and windows that cannot teach, weigh nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# (output (B, h, Q), target (B, h)) -> error of each cell (B, h)
CellLoss = Callable[[Tensor, Tensor], Tensor]


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error of the only output."""
    return (output[..., 0] - target).abs()


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Squared error of the only output."""
    return (output[..., 0] - target).square()


def huber(output: Tensor, target: Tensor) -> Tensor:
    """Huber's loss with its corner at one window spread."""
    return functional.huber_loss(output[..., 0], target, reduction="none")


def pinball(probs: tuple[float, ...]) -> CellLoss:
    """Twice the mean pinball loss over the quantiles: with the median alone it equals :func:`mae`."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        levels = torch.tensor(probs, dtype=output.dtype, device=output.device)
        error = target.unsqueeze(-1) - output
        return 2.0 * torch.maximum(levels * error, (levels - 1.0) * error).mean(-1)

    return loss


def cell_loss(name: str, probs: tuple[float, ...] = ()) -> CellLoss:
    """The loss called ``name``, or the pinball loss when the net forecasts quantiles."""
    return pinball(probs) if probs else {"mae": mae, "mse": mse, "huber": huber}[name]


def weighted_mean(errors: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``errors`` (B, h) over the cells of ``weight`` (broadcastable, 0 or 1); 0 when there is none."""
    weight = weight.expand_as(errors)
    return (errors * weight).sum() / weight.sum().clamp(min=1.0)
