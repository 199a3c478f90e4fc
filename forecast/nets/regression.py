"""Covariates known into the future for every net: a regression whose errors the net forecasts.

As in regression with ARMA errors (Pankratz 1991, "Forecasting with Dynamic Regression Models"): what the covariates
explain is taken out of the past, the net forecasts what remains, and what they explain of the future is put back. Both
are learned together. So the last value of a promotion does not pass for the level after it, whatever the net.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.facts import Architecture, Facts
from forecast.nets.forks import Forking, Forks
from forecast.nets.heads import Shift
from forecast.nets.likely import likely
from forecast.nets.own_loss import Cells, OwnLoss
from forecast.nets.revin import reversible
from forecast.nets.samples import SamplesPaths
from forecast.nets.scaling import at_last_known, with_values
from forecast.windows.gather import Batch

WIDTH = 32


class Effect(NamedTuple):
    """What covariates explain, in window units, relative to the last known row of the past."""

    past: Tensor  # (B, input_size)
    future: Tensor  # (B, h)


class Regressed(nn.Module):
    """A net behind a regression on ``Batch.futr``: one map of a row's covariates, the same for every row.

    What they do may differ with the static features of a series: a discount moves beer more than water.

    It starts at zero, so that a net with covariates begins as the net without them. Window units in and out.
    """

    def __init__(self, net: nn.Module, facts: Facts) -> None:
        super().__init__()
        self.net = net
        self.shift = Shift(facts)
        self.linear = nn.Linear(facts.futr, 1, bias=False)
        self.hidden = nn.Linear(facts.futr, WIDTH)
        self.kind = nn.Linear(facts.static, WIDTH, bias=False) if facts.static else None
        self.out = nn.Linear(WIDTH, 1, bias=False)
        for silent in (self.linear, self.out, self.kind):
            if silent is not None:
                nn.init.zeros_(silent.weight)

    def forward(self, batch: Batch) -> Tensor:
        effect = self.effect(batch)
        forecast: Tensor = self.shift(self.net(self.rid(batch, effect)), effect.future.unsqueeze(-1))
        return forecast

    def effect(self, batch: Batch) -> Effect:
        """What the covariates of each row explain."""
        if batch.futr is None:
            raise ValueError("the net was built for covariates known into the future, the batch has none")
        size = batch.past.shape[1]
        hidden = self.hidden(batch.futr)
        if self.kind is not None and batch.static is not None:
            hidden = hidden + self.kind(batch.static).unsqueeze(1)
        explained = (self.linear(batch.futr) + self.out(functional.relu(hidden))).squeeze(-1)
        # The last known value stays what windows are relative to.
        explained = explained - at_last_known(explained[:, :size], batch.observed)
        return Effect(explained[:, :size], explained[:, size:])

    def rid(self, batch: Batch, effect: Effect) -> Batch:
        """``batch`` without what was explained; unknown cells stay 0."""
        future = None if batch.future is None else batch.future - effect.future
        return with_values(batch, batch.past - effect.past, future)


class RegressedOwnLoss(Regressed):
    """The same for a net with a loss of its own: it judges itself on what remains."""

    def own_loss(self, batch: Batch) -> Cells:
        """See :class:`~forecast.nets.own_loss.OwnLoss`."""
        cells: Cells = self.net.own_loss(self.rid(batch, self.effect(batch)))  # type: ignore[operator]
        return cells


class RegressedSampling(RegressedOwnLoss):
    """The same for a net that samples."""

    def paths(self, batch: Batch, num_samples: int | None = None, seed: int | None = None) -> Tensor:
        """See :class:`~forecast.nets.samples.SamplesPaths`."""
        effect = self.effect(batch)
        paths: Tensor = self.net.paths(self.rid(batch, effect), num_samples, seed)  # type: ignore[operator]
        return paths + effect.future.unsqueeze(1)


class RegressedForking(Regressed):
    """The same for a net that is judged at several rows of each window, on what remains."""

    def forked(self, batch: Batch) -> Forks:
        """See :class:`~forecast.nets.forks.Forking`."""
        forks: Forks = self.net.forked(self.rid(batch, self.effect(batch)))  # type: ignore[operator]
        return forks


def regressed(net: nn.Module, facts: Facts) -> nn.Module:
    """``net`` behind a regression on the covariates known into the future; as it is where there are none."""
    if not facts.futr:
        return net
    if isinstance(net, SamplesPaths):
        return RegressedSampling(net, facts)
    if isinstance(net, OwnLoss):
        return RegressedOwnLoss(net, facts)
    return RegressedForking(net, facts) if isinstance(net, Forking) else Regressed(net, facts)


def whole_net(architecture: Architecture, revin: bool = False) -> Callable[[Facts], nn.Module]:
    """What builds the net of ``architecture`` and what is before it: where there are covariates known into the future,
    what they explain; with ``revin``, a learned map of the window.

    Every net that is trained, loaded or checked is built so.
    """

    def build(facts: Facts) -> nn.Module:
        return regressed(architecture.build(facts), facts)

    return lambda facts: reversible(build(facts)) if revin else likely(build, facts)
