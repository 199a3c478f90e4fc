"""Averages of the weights over training steps: smoother than the last step, at any point of the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows the parameters of ``net``.

    ``ema``: an exponential moving average (Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by
    Averaging"); the decay warms up, so that the first, bad weights do not linger. ``swa``: the plain mean over the
    steps of the last part of training (Izmailov, Podoprikhin, Garipov, Vetrov and Wilson 2018, "Averaging Weights
    Leads to Wider Optima and Better Generalization", arXiv 1803.05407), taken at every step rather than once an
    epoch, which training here does not have; before that part it is the net itself. ``none``: the net itself.

    Args:
        decay: of ``ema``, from 0 to below 1.
        share: the part of training at its end that ``swa`` averages over, above 0 up to 1.
    """

    def __init__(self, net: nn.Module, kind: str, decay: float, share: float) -> None:
        self.kind = kind
        self.decay = decay
        self.begins = 1.0 - share
        self.count = 0  # steps in the average
        self.live = [parameter.detach() for parameter in net.parameters()]
        self.mean = self.live if kind == "none" else [value.clone() for value in self.live]

    @torch.no_grad()
    def update(self, step: int, progress: float) -> None:
        """Move the average towards the parameters after optimiser step ``step``, taken at ``progress`` of training."""
        if self.kind == "none" or (self.kind == "swa" and progress < self.begins):
            return
        self.count += 1
        weight = 1.0 / self.count if self.kind == "swa" else 1.0 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, self.live, weight)

    def swap(self) -> None:
        """Exchange the net's parameters with the average; a second call exchanges them back."""
        if self.count:
            for live, mean in zip(self.live, self.mean, strict=True):
                kept = live.clone()
                live.copy_(mean)
                mean.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The net has the averaged weights within the block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def load(self, values: Sequence[Tensor], count: int) -> None:
        """Put back an average of ``count`` steps that was saved."""
        self.count = count
        with torch.no_grad():
            for mean, value in zip(self.mean, values, strict=True):
                mean.copy_(value)
