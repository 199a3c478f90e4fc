"""Cut windows out of a store: one strided ``index_select`` a batch, no Python per window."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from forecast.windows.store import Store
from forecast.windows.views import stretches


class Batch(NamedTuple):
    """Windows of many series, in whatever units the step before left them.

    At prediction ``future`` is ``None``; ``progress`` runs from 0 to 1 over training and is 1 at prediction.
    ``series``, ``ordinal`` and ``static`` are there for nets that ask for them (:class:`~forecast.nets.facts.Needs`),
    ``zero`` and ``unit`` for losses that ask for them.
    """

    past: Tensor  # (B, input_size), 0 where unknown
    observed: Tensor | None  # (B, input_size), 1.0 where known; None when everything is
    future: Tensor | None = None  # (B, h), 0 where unknown
    future_observed: Tensor | None = None  # (B, h)
    progress: float = 1.0
    series: Tensor | None = None  # (B,) place among the series trained on, -1 for a new one
    ordinal: Tensor | None = None  # (B,) grid ordinal of the first row of the past
    static: Tensor | None = None  # (B, F) encoded static features of the series
    zero: Tensor | None = None  # (B, 1) where zero of the original values lies
    unit: Tensor | None = None  # (B, 1) how long one of the original values is
    hist: Tensor | None = None  # (B, input_size, H) encoded covariates known up to the cutoff
    futr: Tensor | None = None  # (B, input_size + h, F) encoded covariates known into the future


def gather(store: Store, starts: Tensor, input_size: int, h: int = 0, progress: float = 1.0) -> Batch:
    """The windows that begin at rows ``starts`` (B,): ``input_size`` rows of past, then ``h`` of future."""
    cells = stretches(store.values, starts, input_size + h)
    if not store.masked:
        rows = cells[..., 0]
        future = rows[:, input_size:] if h else None
        return _identified(Batch(rows[:, :input_size], None, future, None, progress), store, starts)
    values, known = cells[..., 0], cells[..., 1]
    if not h:
        return _identified(Batch(values, known, None, None, progress), store, starts)
    past, observed = values[:, :input_size], known[:, :input_size]
    return _identified(Batch(past, observed, values[:, input_size:], known[:, input_size:], progress), store, starts)


def _identified(batch: Batch, store: Store, starts: Tensor) -> Batch:
    """``batch`` with what its nets ask for beyond values."""
    who = store.identity
    if who is None:
        return batch
    number, size = who.number(starts), batch.past.shape[1]
    return batch._replace(
        series=who.series[number],
        ordinal=who.first[number] + starts - who.offsets[number],
        static=None if who.static is None else who.static.of(number),
        hist=None if who.hist is None else who.hist.windows(starts, number, size),
        futr=None if who.futr is None else who.futr.windows(starts, number, size),
    )
