"""Which ends of cycles a training is remembered by (Huang, Li, Pleiss, Liu, Hopcroft and Weinberger 2017, "Snapshot
Ensembles: Train 1, Get M for Free", arXiv 1704.00109).

Every restart of the learning rate throws the weights out of the minimum that the cycle before has annealed them into;
the next cycle finds another one. Models at the ends of cycles so err differently, and their mean errs less.
"""

from __future__ import annotations

from collections.abc import Sequence

from forecast.training.curve import CurvePoint

# How far above the lowest loss, as a share of it, the loss at the end of a cycle may lie for its weights to be of use.
GOOD = 0.05


def chosen(curve: Sequence[CurvePoint], best: CurvePoint | None, most: int) -> list[int]:
    """Steps whose weights are worth keeping after the validations of ``curve``, ascending: at most ``most``.

    The best one first of all; then the latest ends of cycles whose loss is within ``GOOD`` of the lowest at any. Losses
    are those of validation, and of training where there is none. The paper takes the last ends of cycles, all of one
    length; here early cycles are short, and one that ended far from the best is no help.
    """
    if best is None:
        return []
    ends = [point for point in curve if point.ends_cycle]
    limit = above(min((point.judged for point in ends), default=0.0), GOOD)
    others = [point.step for point in ends if point.judged <= limit and point.step != best.step]
    return sorted({best.step, *others[max(0, len(others) - most + 1) :]})


def above(loss: float, share: float) -> float:
    """What lies ``share`` of its size above ``loss``, which may be negative: a net may bring a loss of its own."""
    return loss + share * abs(loss)
