"""Nets with a loss of their own: a likelihood (DeepAR), or errors in units that only the net knows (ES-RNN).

Every other net is judged on its output by the loss that the training settings name.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from forecast.windows.gather import Batch


class Cells(NamedTuple):
    """How wrong a net is, cell by cell. T is up to the net: the horizon, or past and horizon, or anything else.

    Errors are finite everywhere, also where they weigh nothing; they may be negative (log-densities are).
    """

    error: Tensor  # (B, T)
    weight: Tensor  # (B, T), 0 for the cells that do not count


@runtime_checkable
class OwnLoss(Protocol):
    """A net that judges itself. The loss is the mean of ``error * weight`` over the cells of positive weight, windows
    with a constant past left out; the ``loss`` of the training settings is not used."""

    def own_loss(self, batch: Batch) -> Cells:
        """Judge the windows of ``batch``, in the units that :meth:`forward` gets, with ``batch.future`` known.

        In training mode every cell that teaches may count. In eval mode this is the score of a validation window:
        nothing is random, and only cells of the future count, because the past of such a window was trained on.
        """
        ...
