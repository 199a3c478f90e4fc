"""In what units windows are told to a net: those of each series first, then those of the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forecast.model import OUTCOMES
from forecast.nets.facts import kind_forecast, needs_of
from forecast.nets.scaling import Scaled, scale_window, unscaled
from forecast.panel.panel import Panel
from forecast.windows.gather import Batch
from forecast.windows.store import Affine, fit_affine, fit_ratio


@dataclass(frozen=True)
class Measure:
    """One policy for training and forecasting.

    Attributes:
        levels: windows keep level and sign, see :class:`~forecast.nets.facts.Needs`.
        spread: windows are divided by their own spread.
        common: units are those of the panel, for all series alike: nothing is subtracted, nothing divided.
        flat: what is made of a window whose past is constant: it forecasts itself, or (``flat``) it is a window like
            any other, because a hundred zeros of a count, or of an event, do not say that the next is zero.
    """

    levels: bool = False
    spread: bool = True
    common: bool = False
    flat: bool = False

    def affine(self, panel: Panel) -> Affine:
        """The units of each series, from the rows of ``panel`` and no others."""
        if self.common:
            return Affine(np.zeros(len(panel)), np.ones(len(panel)))
        return fit_ratio(panel) if self.levels else fit_affine(panel)

    def scaled(self, batch: Batch) -> Scaled:
        """``batch`` in the units that the net works in."""
        return unscaled(batch) if self.common else scale_window(batch, self.levels, self.spread, self.flat)


def measure_of(architecture: object) -> Measure:
    """As the architecture needs it, and its likelihood."""
    needs, kind = needs_of(architecture), kind_forecast(architecture)
    if kind in OUTCOMES:
        return Measure(common=True)
    return Measure(needs.levels, needs.spread, flat=kind != "real")


def anchors(affine: Affine) -> Tensor:
    """Where zero of each series' original values lies in units of ``affine``, and how long one is there: (S, 2)."""
    places = np.stack([-affine.center, np.ones_like(affine.center)], axis=1) / affine.spread[:, None]
    return torch.from_numpy(places.astype(np.float32))


def told(batch: Batch, places: Tensor) -> Batch:
    """``batch`` with the :func:`anchors` of its windows, (B, 2)."""
    return batch._replace(zero=places[:, :1], unit=places[:, 1:])
