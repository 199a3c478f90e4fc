"""How far training has come, what the learning rate is then, and when validation is due."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

CHUNK = 8


@dataclass
class Budget:
    """Steps and seconds: how far training has come, as a share from 0 to 1."""

    steps: int | None
    seconds: float | None
    elapsed_before: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds of training so far, those of an interrupted run included."""
        return self.elapsed_before + time.monotonic() - self.started

    def progress(self, step: int) -> float:
        """Share of the budget used when ``step`` steps are done."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = self.elapsed() / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))


SCHEDULES = ("cycles", "cosine", "one_cycle", "plateau")
# One cycle: the rate rises for the first share, falls for as long, and is annihilated in what is left.
RISE = 0.45
LOWEST = 0.05
ANNIHILATED = 1e-3
# What the rate does not fall below while weights are averaged over the end of training.
WHILE_AVERAGING = 0.2


@dataclass(frozen=True)
class Schedule:
    """What the learning rate is over the budget, in stretches that each end where a model may be kept.

    ``cycles``: cosine cycles, each twice as long as the one before (Loshchilov and Hutter 2016, "SGDR: Stochastic
    Gradient Descent with Warm Restarts", arXiv 1608.03983). Every cycle ends at a learning rate of zero, so a panel
    that overfits after a few hundred steps has a well-annealed model by then, and one that keeps learning still
    spends half of the budget on its last cycle. ``cosine``: one such cycle.

    ``one_cycle``: up from a twentieth of the peak, back down, and at the end down to a thousandth of where it began
    (Smith and Topin 2017, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    arXiv 1708.07120); it bears a higher peak than the others.

    ``plateau``: constant, until validation cuts it (:class:`~forecast.training.plateau.Plateau`), so that every
    validation is the end of something; its stretches have one length.

    Attributes:
        cycles: how many stretches; ``cosine`` and ``one_cycle`` are one whatever this says.
        validations: how many times validation runs in a stretch, evenly spread, the last at its end.
        warmup: share of a stretch over which the learning rate rises, of the first alone for ``plateau``.
        shape: one of ``SCHEDULES``.
        averaged: share of training at its end whose weights are averaged: there the rate stays at a fifth of its peak
            at least, because weights that no longer move have nothing to average (Izmailov et al. 2018).
    """

    cycles: int
    validations: int
    warmup: float
    shape: str = "cycles"
    averaged: float = 0.0

    @property
    def ends(self) -> tuple[float, ...]:
        """The progress at which each stretch ends."""
        if self.shape in ("cosine", "one_cycle"):
            return (1.0,)
        if self.shape == "plateau":
            return tuple((number + 1) / self.cycles for number in range(self.cycles))
        whole = 2**self.cycles - 1
        return tuple((2 ** (number + 1) - 1) / whole for number in range(self.cycles))

    def learning_rate_share(self, progress: float) -> float:
        """Share of the peak learning rate, before any cut of a plateau."""
        share = one_cycle(progress) if self.shape == "one_cycle" else self._warm(progress)
        return max(share, WHILE_AVERAGING) if progress > 1.0 - self.averaged else share

    def _warm(self, progress: float) -> float:
        """Linear warm-up, then half a cosine down to zero in every stretch; for a plateau once, and no cosine."""
        number = next((n for n, end in enumerate(self.ends) if progress < end), len(self.ends) - 1)
        start = self.ends[number - 1] if number else 0.0
        place = (progress - start) / (self.ends[number] - start)
        if self.shape == "plateau" and (number or place >= self.warmup):
            return 1.0
        if place < self.warmup:
            return (place + 1e-3) / (self.warmup + 1e-3)
        return 0.5 * (1.0 + math.cos(math.pi * (place - self.warmup) / (1.0 - self.warmup)))

    def ends_stretch(self, passed: int) -> bool:
        """Whether weights may be kept after validation number ``passed``, counted from 1."""
        return self.shape == "plateau" or passed % self.validations == 0

    @property
    def due(self) -> tuple[float, ...]:
        """The progress at which each validation is due, ascending."""
        starts = (0.0, *self.ends[:-1])
        share = [(k + 1) / self.validations for k in range(self.validations)]
        return tuple(a + (b - a) * s for a, b in zip(starts, self.ends, strict=True) for s in share)

    def passed(self, progress: float) -> int:
        """How many validations are due by then."""
        return sum(due <= progress + 1e-9 for due in self.due)


def one_cycle(progress: float) -> float:
    """Share of the peak: linearly up to it and back, then down to nearly nothing."""
    if progress < 2.0 * RISE:
        return 1.0 - (1.0 - LOWEST) * abs(progress / RISE - 1.0)
    return LOWEST * (1.0 - (1.0 - ANNIHILATED) * (progress - 2.0 * RISE) / (1.0 - 2.0 * RISE))


class Chunks:
    """What Lightning iterates over: ranges of step numbers, a chunk of optimiser steps for each ``training_step``.

    Lightning costs about 0.25 ms a batch; over a chunk that is nothing, even for the smallest net. One pass over
    this object (an epoch, to Lightning) lasts until the next validation is due.
    """

    def __init__(self, budget: Budget, schedule: Schedule, first: int = 0) -> None:
        self.budget = budget
        self.next = first
        self.due = schedule.due

    def __iter__(self) -> Iterator[range]:
        due = self._due()
        while self._due() == due and self.budget.progress(self.next) < 1.0:
            chunk = range(self.next, min(self.next + CHUNK, self._stop()))
            self.next = chunk.stop
            yield chunk

    def _due(self) -> float:
        """The first validation that is still to come."""
        progress = self.budget.progress(self.next)
        return next((due for due in self.due if progress < due - 1e-9), 1.0)

    def _stop(self) -> int:
        """Where a chunk has to stop for the next validation, as far as steps decide it."""
        if self.budget.steps is None:
            return self.next + CHUNK
        return max(self.next + 1, math.ceil(self._due() * self.budget.steps - 1e-6))
