"""Reversible instance normalisation (Kim et al. 2022, "Reversible Instance Normalization for Accurate Time-Series
Forecasting against Distribution Shift", ICLR): windows of their own level and spread, and a learned map after that.

Level and spread are :func:`~forecast.nets.scaling.scale_window`'s, for every net. What is learned is one factor and one
shift, the same for every window, which the forecast is freed of again. The factor is learned by its logarithm: it stays
positive, so that quantiles stay in order, and is never divided by when it is near zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.errors import ConfigError
from forecast.nets.facts import needs_of
from forecast.nets.forks import Forking, Forks
from forecast.nets.own_loss import Cells, OwnLoss
from forecast.nets.scaling import with_values
from forecast.windows.gather import Batch


class Reversible(nn.Module):
    """A net between a learned map of its window and the way back. It begins as the net alone.

    Window units in and out: (B, input_size) -> (B, h, outputs).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.log_gain = nn.Parameter(torch.zeros(1))
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> Tensor:
        return self.back(self.net(self.mapped(batch)))

    def mapped(self, batch: Batch) -> Batch:
        """The window as the net sees it; unknown cells stay 0."""
        future = None if batch.future is None else self._map(batch.future)
        zero = None if batch.zero is None else self._map(batch.zero)
        return with_values(batch, self._map(batch.past), future)._replace(zero=zero)

    def _map(self, values: Tensor) -> Tensor:
        return values * self.log_gain.exp() + self.shift

    def back(self, values: Tensor) -> Tensor:
        """From the net's units to those of the window."""
        return (values - self.shift) * torch.exp(-self.log_gain)


class ReversibleForking(Reversible):
    """The same for a net that is judged at several rows of each window, in units of the window."""

    def forked(self, batch: Batch) -> Forks:
        """See :class:`~forecast.nets.forks.Forking`."""
        forks: Forks = self.net.forked(self.mapped(batch))  # type: ignore[operator]
        return Forks(self.back(forks.output), self.back(forks.future) * (forks.weight > 0), forks.weight)


class ReversibleLikelihood(Reversible):
    """The same for a net that is judged by the density it gives the values.

    The density of a value in window units is the factor times that of the value mapped; without it a factor near zero
    would look like the best of fits.
    """

    def own_loss(self, batch: Batch) -> Cells:
        """See :class:`~forecast.nets.own_loss.OwnLoss`."""
        cells: Cells = self.net.own_loss(self.mapped(batch))  # type: ignore[operator]
        return Cells(cells.error - self.log_gain, cells.weight)

    def paths(self, batch: Batch, num_samples: int | None = None, seed: int | None = None) -> Tensor:
        """See :class:`~forecast.nets.samples.SamplesPaths`."""
        return self.back(self.net.paths(self.mapped(batch), num_samples, seed))  # type: ignore[operator]


def reversible(net: nn.Module) -> nn.Module:
    """``net`` between a learned map and the way back.

    Raises ``ConfigError`` for one with a loss of its own that is no density, in units that cannot be known here.
    """
    if isinstance(net, OwnLoss):
        inner = getattr(net, "net", net)  # covariates come between
        if getattr(inner, "judged_by_density", False):
            return ReversibleLikelihood(net)
        raise ConfigError(f"revin=true: {type(inner).__name__} judges itself in units of its own. Use another net.")
    return ReversibleForking(net) if isinstance(net, Forking) else Reversible(net)


def check_reversible(architecture: object, name: str, *, stateful: bool) -> None:
    """Raise ``ConfigError`` when windows of ``architecture`` are not in units of their own."""
    needs = needs_of(architecture)
    reason = (
        "is trained along whole series, which are not cut into windows"
        if stateful
        else "works on levels, not on windows relative to their own"
        if needs.levels
        else "works in units common to all series"
        if needs.cold
        else ""
    )
    if reason:
        raise ConfigError(f"{name}: revin=true is of no use to a net that {reason}. Leave it out, or use another net.")
