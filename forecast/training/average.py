"""An exponential moving average of the weights: smoother than the last step, at any point of the schedule.

Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; the decay warms up, so that the
first, bad weights do not linger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows the parameters of ``net``; a ``decay`` of 0 is the net itself."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = [parameter.detach() for parameter in net.parameters()]
        self.mean = [value.clone() for value in self.live] if decay else self.live

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the parameters after optimiser step ``step``."""
        if self.decay:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.mean, self.live, 1.0 - decay)

    def swap(self) -> None:
        """Exchange the net's parameters with the average; a second call exchanges them back."""
        if self.decay:
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

    def load(self, values: list[Tensor]) -> None:
        """Put back an average that was saved."""
        with torch.no_grad():
            for mean, value in zip(self.mean, values, strict=True):
                mean.copy_(value)
