"""Losses over scaled windows; cells without a known future, and windows that cannot teach, weigh nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LEAST_SEASONAL_ERROR = 0.2
LEAST_SIZE = 0.2
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
    """The loss called ``name``, or the pinball loss when the net forecasts quantiles.

    ``mase`` and ``smape`` are absolute errors here: what they are divided by, :func:`seasonal_error` and
    :func:`mean_size`, needs more of a window than the cell. ``quantile`` without quantiles is that of the median.
    """
    if probs or name == "quantile":
        return pinball(probs or (0.5,))
    return {"mase": mae, "smape": mae, "mae": mae, "mse": mse, "huber": huber}[name]


def mean_size(output: Tensor, target: Tensor, zero: Tensor, spread: Tensor | float = 1.0) -> Tensor:
    """Mean distance of forecast and actual from ``zero`` (B, 1), for each cell (B, h): what sMAPE divides by.

    sMAPE (Makridakis 1993, "Accuracy measures: theoretical and practical concerns") in the form of the M competitions,
    from 0 to 2. Kept above ``LEAST_SIZE`` window spreads (``spread``, in the units of the rest): nearer to zero the
    measure says nothing, and its gradient would be without bound.
    """
    size = 0.5 * ((output[..., 0] - zero).abs() + (target - zero).abs())
    return torch.maximum(size, torch.as_tensor(LEAST_SIZE * spread, dtype=size.dtype))


def seasonal_error(past: Tensor, observed: Tensor | None, season: int) -> Tensor:
    """Mean absolute error of the seasonal naive forecast within the past (B, input_size), shape (B, 1).

    The scale of MASE (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy"), window by window.
    Kept above ``LEAST_SEASONAL_ERROR`` window spreads, so that no window shouts down all others; 1 where no two rows
    a season apart are known.
    """
    season = season if 0 < season < past.shape[1] else 1
    steps = (past[:, season:] - past[:, :-season]).abs()
    if observed is None:
        error = steps.mean(1, keepdim=True)
    else:
        pairs = observed[:, season:] * observed[:, :-season]
        count = pairs.sum(1, keepdim=True)
        error = (steps * pairs).sum(1, keepdim=True) / count.clamp(min=1.0)
        error = torch.where(count > 0, error, torch.ones_like(error))
    return error.clamp(min=LEAST_SEASONAL_ERROR)


def weighted_mean(errors: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``errors * weight`` (B, h) over the cells of positive weight (broadcastable); 0 when there is none."""
    weight = weight.expand_as(errors)
    return (errors * weight).sum() / (weight > 0).sum().clamp(min=1)
