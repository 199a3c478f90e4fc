"""The learning rate that validation sets: cut when it no longer pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_GAIN = 1e-3  # share by which a validation has to be better to count as better


@dataclass(frozen=True)
class Plateau:
    """Multiplies the rate by ``factor`` when ``patience`` validations in a row were not better than the best before.

    After a cut it waits as long again. The losses are all the state there is: whoever has them, after a crash for
    instance, has the rate.
    """

    factor: float
    patience: int

    def cut(self, losses: Sequence[float]) -> float:
        """Share of the rate that is left after validations with these ``losses``, oldest first."""
        best, waited, share = math.inf, 0, 1.0
        for loss in losses:
            if math.isinf(best) or loss < best - LEAST_GAIN * abs(best):
                best, waited = loss, 0
                continue
            waited += 1
            if waited == self.patience:
                share, waited = share * self.factor, 0
        return share
