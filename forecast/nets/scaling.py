"""One reversible step for every net: a window is expressed relative to its own level and spread."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from forecast.errors import ConfigError
from forecast.windows.gather import Batch

SCALINGS = ("window", "series")


def check_scaling(scaling: str) -> None:
    """Raise ``ConfigError`` unless ``scaling`` is one of ours."""
    if scaling not in SCALINGS:
        raise ConfigError(f"scaling={scaling!r} is not one of {', '.join(SCALINGS)}.")


class Scaled(NamedTuple):
    """A batch in window units, and what brings it back."""

    batch: Batch
    loc: Tensor  # (B, 1) last known value of the past
    scale: Tensor  # (B, 1) what it was divided by: mean absolute deviation of the past, or 1; 0 where it is constant
    levels: bool = False  # the batch was left in the units it came in

    def restore(self, output: Tensor) -> Tensor:
        """From window units (B, h, outputs) back to the units that came in. A constant past gives a constant."""
        scale, loc = self.scale.unsqueeze(-1), self.loc.unsqueeze(-1)
        if self.levels:
            return torch.where(scale > 0, output, loc.expand_as(output))
        return output * scale + loc

    def in_spreads(self, difference: Tensor) -> Tensor:
        """A difference (B, h) between outputs and future, in window spreads."""
        return difference / torch.where(self.scale > 0, self.scale, 1.0) if self.levels else difference


def unscaled(batch: Batch) -> Scaled:
    """The batch as it is, for nets that work in units common to all series: every window counts alike."""
    loc = torch.zeros_like(batch.past[:, :1])
    return Scaled(batch, loc, torch.ones_like(loc))


def at_last_known(values: Tensor, observed: Tensor | None) -> Tensor:
    """What ``values`` (B, input_size) are at the last row of the past that is known, (B, 1)."""
    if observed is None:
        return values[:, -1:]
    steps = torch.arange(1, values.shape[1] + 1, device=values.device, dtype=observed.dtype)
    return values.gather(1, (observed * steps).argmax(1, keepdim=True))


def with_values(batch: Batch, past: Tensor, future: Tensor | None) -> Batch:
    """``batch`` with other values, (B, input_size) and (B, h); unknown cells stay 0."""
    if batch.observed is not None:
        past = past * batch.observed
    if future is not None and batch.future_observed is not None:
        future = future * batch.future_observed
    return batch._replace(past=past, future=future)


def scale_window(batch: Batch, levels: bool = False, spread: bool = True, flat: bool = False) -> Scaled:
    """Subtract the last known value, divide by the mean absolute deviation; the past alone decides both.

    Unknown cells stay 0, which now reads "as the last value". The last value is what a random walk would
    forecast; absolute deviation rather than a square makes one spike cost little. With ``levels`` both are measured but
    the batch stays as it is, for nets that need level and sign. Without ``spread`` nothing is divided. With ``flat`` a
    constant past is a window like any other, whose spread is that of the series.
    """
    past, observed = batch.past, batch.observed
    loc = at_last_known(past, observed)
    if observed is None:
        centre = past.mean(1, keepdim=True)
        scale = (past - centre).abs().mean(1, keepdim=True)
    else:
        count = observed.sum(1, keepdim=True).clamp(min=1.0)
        centre = (past * observed).sum(1, keepdim=True) / count
        scale = ((past - centre).abs() * observed).sum(1, keepdim=True) / count
    # Below float32's resolution of the level, variation is rounding noise.
    scale = torch.where(scale <= 1e-6 * centre.abs() + 1e-30, torch.zeros_like(scale), scale)
    if flat:
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    if levels:
        return Scaled(batch, loc, scale, levels)
    if not spread:
        scale = (scale > 0).to(scale.dtype)
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
    future = None if batch.future is None else (batch.future - loc) / divisor
    zero = None if batch.zero is None else (batch.zero - loc) / divisor
    unit = None if batch.unit is None else batch.unit / divisor
    scaled = with_values(batch, (past - loc) / divisor, future)._replace(zero=zero, unit=unit)
    return Scaled(scaled, loc, scale)
