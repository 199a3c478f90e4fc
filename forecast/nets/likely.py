"""A net whose numbers are the parameters of a likelihood: the link to the values, and the loss.

Any net that forecasts numbers for each step can forecast a likelihood's parameters instead (Salinas et al. 2020, arXiv
1704.04110, do so with a recursive net). Likelihoods of any real number live in window units. Those of counts and of
positive numbers live in original units: the net's location, in window units like every forecast, is brought to the
level it stands for, and a smooth positive part of that is the mean. So seasonal skips and regressions go on working.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.distributions import Likelihood
from forecast.errors import ConfigError
from forecast.nets.facts import RATE, Facts, kind_forecast, likelihood_of, needs_of
from forecast.nets.own_loss import Cells
from forecast.windows.gather import Batch

BEND = 4.0  # the positive part of x is x itself from about one typical level on
LEAST_SIZE = 0.3  # of a typical level, in window spreads
SHARE = 2.0  # what a season ago says of the logit of a class, to begin with


class Likely(nn.Module):
    """``net`` gives (B, h, parameters) with its locations in window units; this gives the parameters proper.

    :meth:`forward` gives (B, h, parameters) as the likelihood reads them: for real values in window units, for others
    in original units. Batches tell where zero and one of the original values are, except for real values and labels.
    """

    def __init__(self, net: nn.Module, facts: Facts) -> None:
        super().__init__()
        if facts.distribution is None:
            raise ValueError("a likelihood is needed")
        self.net = net
        self.likelihood: Likelihood = facts.distribution
        self.linked = self.likelihood.kind in ("positive", "count")

    def forward(self, batch: Batch) -> Tensor:
        raw: Tensor = self.net(batch)
        return self._link(raw, batch) if self.linked else raw

    def own_loss(self, batch: Batch) -> Cells:
        """See :class:`~forecast.nets.own_loss.OwnLoss`: what the likelihood says of the future."""
        if batch.future is None:
            raise ValueError("a likelihood needs the future of the window")
        seen = batch if self.training else batch._replace(future=None, future_observed=None)
        error = self.likelihood.loss(self(seen), self._values(batch.future, batch), deterministic=not self.training)
        known = torch.ones_like(error) if batch.future_observed is None else batch.future_observed
        return Cells(error, known)

    def _values(self, cells: Tensor, batch: Batch) -> Tensor:
        """The values that window units (B, T) stand for, within what the likelihood allows (unknown cells too)."""
        if not self.linked:
            return cells
        zero, unit = _anchors(batch)
        values = (cells - zero) / unit
        if self.likelihood.kind == "count":
            return values.round().clamp(min=0.0)
        return values.clamp(min=0.0) if self.likelihood.at_zero else values.clamp(min=1e-6 / unit)

    def _link(self, raw: Tensor, batch: Batch) -> Tensor:
        """Locations in window units to the logarithms of means."""
        zero, unit = (part.unsqueeze(1) for part in _anchors(batch))
        size = self._size(batch).unsqueeze(1)
        moves = list(self.likelihood.moves)
        level = (raw[..., moves] - zero) / unit / size
        linked = raw.clone()
        linked[..., moves] = torch.log(size) + log_positive(level)
        return linked

    def _size(self, batch: Batch) -> Tensor:
        """A typical level of each window in original units, (B, 1), never zero."""
        zero, unit = _anchors(batch)
        known = torch.ones_like(batch.past) if batch.observed is None else batch.observed
        levels = (batch.past - zero).abs() * known
        mean = levels.sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1.0)
        return mean.clamp(min=LEAST_SIZE) / unit


class LikelyClass(Likely):
    """The same for classes, whose codes are no numbers: the net reads one indicator of each class, as covariates of a
    row, and the class a season ago speaks for itself."""

    def __init__(self, build: Callable[[Facts], nn.Module], facts: Facts) -> None:
        count = len(facts.classes)
        super().__init__(build(replace(facts, hist=facts.hist + count)), facts)
        self.count = count
        self.ago = max(facts.seasons, default=1)
        self.share = nn.Parameter(torch.full((1,), SHARE))

    def forward(self, batch: Batch) -> Tensor:
        known = torch.ones_like(batch.past) if batch.observed is None else batch.observed
        shown = functional.one_hot(batch.past.long().clamp(0, self.count - 1), self.count) * known.unsqueeze(-1)
        told = shown / RATE  # covariates are read at that rate
        hist = told if batch.hist is None else torch.cat([batch.hist, told], -1)
        logits: Tensor = self.net(batch._replace(past=torch.zeros_like(batch.past), future=None, hist=hist))
        steps = torch.arange(logits.shape[1], device=logits.device) % self.ago
        return logits + self.share * shown[:, -self.ago :][:, steps]


def _anchors(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.zero is None or batch.unit is None:
        raise ValueError("a likelihood of original values needs to know where zero and one are")
    return batch.zero, batch.unit


def log_positive(level: Tensor) -> Tensor:
    """Logarithm of a smooth positive part of ``level``: of ``level`` itself where it is large, falling linearly below
    zero, so that gradients survive."""
    bent = BEND * level
    log = torch.where(bent < -15.0, bent, torch.log(functional.softplus(bent.clamp(min=-15.0))))
    return log - torch.log(torch.tensor(BEND))


def likely(build: Callable[[Facts], nn.Module], facts: Facts) -> nn.Module:
    """What ``build`` gives, as parameters of the likelihood of ``facts``; as it is where there is none."""
    likelihood = facts.distribution
    if likelihood is None:
        return build(facts)
    return LikelyClass(build, facts) if likelihood.kind == "class" else Likely(build(facts), facts)


def check_likelihood(architecture: object, name: str, *, stateful: bool, revin: bool) -> None:
    """Raise ``ConfigError``, with the reason, when ``architecture`` cannot have the likelihood that it asks for.

    ``name`` is what the model is called.
    """
    chosen = likelihood_of(architecture)
    if not chosen:
        return
    kind, needs = kind_forecast(architecture), needs_of(architecture)
    reasons = {
        "quantiles too: a likelihood has every quantile, leave quantiles out": bool(
            getattr(architecture, "quantiles", ())
        ),
        "stateful=true, where level and spread run along the series": stateful,
        "revin=true, which would scale the parameters like values": revin,
        "a net that reads its own forecasts as numbers, which classes are not": kind == "class" and needs.recursive,
        "a net that reads values alone, and classes are told by indicators": kind == "class" and not needs.hist,
    }
    wrong = [reason for reason, holds in reasons.items() if holds]
    if wrong:
        able = " Recurrent nets with direct decoding can: segrnn, lstm, gru." if kind == "class" else ""
        raise ConfigError(f"{name}: likelihood={chosen!r} does not go with {'; nor with '.join(wrong)}.{able}")
