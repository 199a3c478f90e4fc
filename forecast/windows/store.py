"""The store: a panel as one float32 matrix, padded where short, ready to be cut into windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.panel.fill import previous_known
from forecast.panel.panel import Panel
from forecast.panel.readings import UNREAD, Readings
from forecast.panel.segments import sums
from forecast.panel.spans import offsets_of, ranges
from forecast.windows.encoded import EncodedTable
from forecast.windows.static import static_table
from forecast.windows.tracks import Track, futr_track, hist_track

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Affine:
    """``z = (y - center) / spread`` per series: brings any level and unit into float32's comfortable range.

    Every net scales each window on top of this, so the choice affects rounding only: a level of 1e12 with unit
    noise survives the step to float32. Computed in float64 from the rows it is given and no others.
    """

    center: Float  # (S,)
    spread: Float  # (S,), positive

    def forward(self, values: Float, series: Int) -> Float:
        """From original units to z."""
        return (values - self.center[series]) / self.spread[series]

    def inverse(self, z: Float) -> Float:
        """From z to original units; the first axis is the series."""
        shape = (-1,) + (1,) * (z.ndim - 1)
        return z * self.spread.reshape(shape) + self.center.reshape(shape)


def _segment_mean(values: Float, weights: Float, offsets: Int) -> Float:
    counts = sums(weights, offsets)
    # Divide before summing: values near the top of float64's range must not overflow.
    share = weights / np.maximum(np.repeat(counts, np.diff(offsets)), 1.0)
    return sums(values * share, offsets)


def fit_ratio(panel: Panel) -> Affine:
    """Division by the mean absolute known value of each series (1 where that is zero): signs and ratios survive."""
    known = np.isfinite(panel.values)
    size = _segment_mean(np.where(known, np.abs(panel.values), 0.0), known.astype(np.float64), panel.offsets)
    return Affine(np.zeros(len(panel)), np.where(size > TINY, size, 1.0))


def fit_affine(panel: Panel) -> Affine:
    """Mean and mean absolute deviation of each series' known values (spread 1 where that is zero)."""
    known = np.isfinite(panel.values)
    filled = np.where(known, panel.values, 0.0)
    weights = known.astype(np.float64)
    series = panel.series
    center = _segment_mean(filled, weights, panel.offsets)
    deviation = np.where(known, np.abs(filled - center[series]), 0.0)
    spread = _segment_mean(deviation, weights, panel.offsets)
    # Rounding noise around a large constant is not variation.
    flat = spread <= np.maximum(np.abs(center) * 1e-14, TINY)
    return Affine(center, np.where(flat, np.maximum(np.abs(center), 1.0), spread))


def anchored(affine: Affine, tail: Panel, panel: Panel) -> Affine:
    """``affine`` centred on the last known value of the series of which ``tail`` knows nothing any more.

    Such a window is constant to the net, and a constant past is forecast as its level.
    """
    known = np.isfinite(tail.values).astype(np.int64)
    silent = np.flatnonzero(np.add.reduceat(np.append(known, 0), tail.offsets[:-1]) == 0)
    if not silent.size:
        return affine
    center = affine.center.copy()
    whole = panel.take(silent)
    starts = np.repeat(whole.offsets[:-1], whole.lengths)
    latest = previous_known(np.isfinite(whole.values), starts)[whole.offsets[1:] - 1]
    center[silent] = np.where(latest >= 0, whole.values[latest], 0.0)
    return replace(affine, center=center)


@dataclass(frozen=True)
class Identity:
    """Which series a row belongs to, when it is, and what else is known of it.

    Attributes:
        offsets: (S + 1,) first row of each series in the store.
        series: (S,) place of each series among those trained on, -1 for a new one.
        first: (S,) grid ordinal of each series' first row in the store.
        static: static features of each series, for nets that read them.
        hist: covariates known up to the cutoff, for nets that read them.
        futr: covariates known into the future, for nets that read them.
    """

    offsets: Tensor
    series: Tensor
    first: Tensor
    static: EncodedTable | None = None
    hist: Track | None = None
    futr: Track | None = None

    def number(self, rows: Tensor) -> Tensor:
        """The series of the store that each of ``rows`` (B,) belongs to."""
        return torch.searchsorted(self.offsets, rows, right=True) - 1

    def to(self, device: torch.device) -> Identity:
        """The same on ``device``."""
        return Identity(
            self.offsets.to(device),
            self.series.to(device),
            self.first.to(device),
            None if self.static is None else self.static.to(device),
            None if self.hist is None else self.hist.to(device),
            None if self.futr is None else self.futr.to(device),
        )


@dataclass(frozen=True)
class Store:
    """Rows of all series on one device, channels interleaved, so that a window is one contiguous run of floats.

    Attributes:
        values: (N, C) float32. Channel 0 is the target in z units (0 where unknown); channel 1, present only when
            ``masked``, is 1 where the target is known.
        offsets: (S + 1,) first row of each series, padding included.
        padding: (S,) rows put before each short series.
        masked: whether any row is unknown or padding.
        identity: series, time and static features of the rows, for nets that ask for them.
    """

    values: Tensor
    offsets: Int
    padding: Int
    masked: bool
    identity: Identity | None = None

    @property
    def lengths(self) -> Int:
        """Rows of each series, padding included."""
        return np.diff(self.offsets)

    @property
    def static(self) -> EncodedTable | None:
        """The static features of its series, where nets read them."""
        return None if self.identity is None else self.identity.static

    def to(self, device: torch.device) -> Store:
        """The same store with its rows on ``device``."""
        identity = None if self.identity is None else self.identity.to(device)
        return replace(self, values=self.values.to(device), identity=identity)


def build_store(
    panel: Panel,
    affine: Affine,
    padding: Int,
    *,
    indicator: bool,
    trained_as: Int | None = None,
    readings: Readings = UNREAD,
    ahead: int = 0,
) -> Store:
    """Lay out ``panel`` with ``padding[s]`` unknown rows before series ``s``.

    ``indicator`` adds the channel that tells known rows from unknown ones; without it unknown rows read as 0.
    ``trained_as`` (S,) gives the store an identity: the place of each series among those trained on, -1 for a new one.
    So do ``readings`` of the panel's covariates, of which those known into the future get ``ahead`` rows after each
    series.
    """
    z = affine.forward(panel.values, panel.series)
    known = np.isfinite(z)
    lengths = panel.lengths + padding
    offsets = offsets_of(lengths)
    rows = ranges(offsets[:-1] + padding, panel.lengths)
    values = np.zeros((int(offsets[-1]), 2 if indicator else 1), dtype=np.float32)
    values[rows, 0] = np.where(known, z, 0.0)
    if indicator:
        values[rows, 1] = known
    identity = None
    if trained_as is not None or readings != UNREAD:
        places = np.full(len(panel), -1, dtype=np.int64) if trained_as is None else trained_as
        first = torch.from_numpy(panel.first - padding)
        static = None if readings.static is None else static_table(panel, readings.static)
        hist = None if readings.hist is None else hist_track(panel, readings.hist, offsets, padding)
        futr = None if readings.futr is None else futr_track(panel, readings.futr, offsets, padding, ahead)
        identity = Identity(torch.from_numpy(offsets), torch.from_numpy(places), first, static, hist, futr)
    return Store(torch.from_numpy(values), offsets, padding, indicator, identity)


def has_unknown(panel: Panel) -> bool:
    """Whether any target value of the panel is missing."""
    return bool(np.isnan(panel.values).any())
