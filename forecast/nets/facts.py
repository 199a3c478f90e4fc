"""What the data decide about a net; everything else about it is taste and comes from its constructor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from forecast.distributions import Likelihood, likelihood
from forecast.windows.gather import Batch

RATE = 0.1  # many covariates, few rows where they say something: at full strength they are learned by heart


@dataclass(frozen=True)
class Facts:
    """Sizes that come from panel and task.

    Attributes:
        input_size: rows of past in a window.
        h: steps to forecast.
        channels: 2 when an indicator channel tells known rows from unknown ones, else 1.
        seasons: season lengths in steps, shortest first, none longer than ``input_size``.
        probs: probabilities of the quantiles to forecast, ascending; empty for a point forecast.
        series: how many series the net is trained on, for nets with parameters of each (see :class:`Needs`); else 0.
        positive: whether every known value trained on is above zero; told to nets that work on levels, else False.
        static: cells of ``Batch.static``, for nets that read static features; 0 when there are none.
        hist: cells of a row of ``Batch.hist``, covariates known up to the cutoff; 0 when there are none.
        futr: cells of a row of ``Batch.futr``, covariates known into the future; 0 when there are none.
        likelihood: name of the likelihood whose parameters are forecast (:mod:`forecast.distributions`); ``None``
            when points or quantiles are.
        classes: the values a class forecast chooses from, ascending; the net knows them by their places.
    """

    input_size: int
    h: int
    channels: int = 1
    seasons: tuple[int, ...] = ()
    probs: tuple[float, ...] = ()
    series: int = 0
    positive: bool = False
    static: int = 0
    hist: int = 0
    futr: int = 0
    likelihood: str | None = None
    classes: tuple[float, ...] = ()

    @property
    def inputs(self) -> int:
        """Cells of a row of :func:`inputs`."""
        return self.channels + self.hist

    @property
    def outputs(self) -> int:
        """Numbers forecast for each step."""
        likelihood = self.distribution
        return max(1, len(self.probs)) if likelihood is None else likelihood.parameters

    @property
    def spread_out(self) -> bool:
        """Whether the net itself says how uncertain it is, by quantiles or by a likelihood."""
        return bool(self.probs or self.likelihood)

    @property
    def distribution(self) -> Likelihood | None:
        """The likelihood that is forecast, where one is."""
        return likelihood(self.likelihood, classes=len(self.classes) or None) if self.likelihood else None


@dataclass(frozen=True)
class Needs:
    """What an architecture asks for beyond plain windows; it states so in an attribute ``needs``.

    Attributes:
        series: parameters of each series: ``Batch.series`` and ``Batch.ordinal`` are filled in, ``Facts.series``
            counts.
        levels: windows keep level and sign (each series divided by its mean absolute value, nothing subtracted), and
            the net's output is in those units; without it windows are expressed relative to their end and spread.
        spread: windows are divided by their own spread. Without, only their last value is subtracted: they stay in
            units of the spread of all rows of their series, so that a quiet window reads as quiet.
        whole: a window should reach back to the first row of the longest series, or ``whole`` rows where that is less,
            because the net learns from every row of it. A series that is shorter is one window; batches take the series
            in turn, and are never larger than there are windows.
        static: reads static features where the panel has any: ``Batch.static`` is filled in, ``Facts.static`` counts.
        hist: reads covariates known up to the cutoff where the panel has any: ``Batch.hist`` is filled in and, by
            :func:`inputs`, part of what the net reads of each row.
        futr: covariates known into the future are put to use: the net's windows are rid of their effect and its
            forecasts given it (:mod:`forecast.nets.regression`); :func:`inputs` has them too.
        samples: its forecasts are samples of a likelihood, by which it judges itself.
        recursive: it reads its own forecasts of earlier steps, as numbers.
        cold: forecasts from static features alone. The net gives ``input_size + h`` steps, the first ones of a series,
            in units of the panel; see :mod:`forecast.training.cold`.
    """

    series: bool = False
    levels: bool = False
    spread: bool = True
    whole: int = 0
    static: bool = False
    hist: bool = False
    futr: bool = True
    samples: bool = False
    recursive: bool = False
    cold: bool = False


def needs_of(architecture: object) -> Needs:
    """What ``architecture`` asks for; nothing where it does not say."""
    needs = getattr(architecture, "needs", None)
    return needs if isinstance(needs, Needs) else Needs()


def likelihood_of(architecture: object) -> str | None:
    """The likelihood whose parameters ``architecture`` forecasts; ``None`` where it forecasts points or quantiles."""
    name = getattr(architecture, "likelihood", None)
    return name if isinstance(name, str) and not needs_of(architecture).samples else None


def kind_forecast(architecture: object) -> str:
    """The kind of values that ``architecture`` forecasts: that of its likelihood, else any number."""
    name = likelihood_of(architecture)
    return likelihood(name, classes=2).kind if name else "real"  # however many classes there are


class Architecture(Protocol):
    """Hyper-parameters of a net (taste), completed with facts by :meth:`build`.

    The net maps scaled windows (:class:`~forecast.windows.gather.Batch`, (B, input_size)) to (B, h, outputs), both in
    window units; ``batch.future`` may be used for teacher forcing and is ``None`` at prediction.

    Implementations are frozen dataclasses of plain values, so that they print, compare, sweep and save as JSON.
    """

    input_size: int | None
    quantiles: tuple[float, ...]

    def build(self, facts: Facts) -> nn.Module:
        """The network itself, freshly initialised from torch's global generator."""
        ...


def inputs(batch: Batch) -> Tensor:
    """The past as (B, input_size, inputs): values, the indicator of known rows where there is one, covariates known up
    to the cutoff. Those known into the future come by way of the regression."""
    parts = [part.unsqueeze(-1) for part in (batch.past, batch.observed) if part is not None]
    if batch.hist is not None:
        parts.append(RATE * batch.hist)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def followed(batch: Batch, own: Tensor) -> Batch:
    """Rows forecast, ``own`` (B, rows), as if they were the past: all known,
    nothing known of covariates that end with the cutoff."""
    observed = None if batch.observed is None else torch.ones_like(own)
    hist = None if batch.hist is None else batch.hist.new_zeros(*own.shape, batch.hist.shape[2])
    return Batch(own, observed, hist=hist)
