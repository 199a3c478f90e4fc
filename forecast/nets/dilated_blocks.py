"""Blocks of dilated LSTM layers with shortcuts around them, as in ES-RNN (see :mod:`forecast.nets.esrnn`)."""

from __future__ import annotations

from torch import Tensor, nn

from forecast.nets.dilated_rnn import dilated, spacings
from forecast.nets.encoders import recurrent

LAYERS = 2


class DilatedBlocks(nn.Module):
    """LSTM layers, two in a block, each with a dilation of its own; every block but the first adds to what it reads.

    (B, T, inputs) -> (B, T, hidden_size). The state of row t comes from row t - dilation, as in
    :class:`~forecast.nets.dilated_rnn.DilatedEncoder`.
    """

    def __init__(self, inputs: int, hidden_size: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilations = dilations
        self.spacings = spacings((1, *dilations))[1:]
        sizes = [inputs, *(hidden_size for _ in dilations[1:])]
        self.layers = nn.ModuleList(recurrent("lstm", size, hidden_size) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, (1,) * len(self.dilations))

    def last(self, x: Tensor) -> Tensor:
        """The last row alone, (B, hidden_size): a layer then runs only on the rows that the last one depends on."""
        return self._run(x, self.spacings)[:, -1]

    def _run(self, x: Tensor, spacing: tuple[int, ...]) -> Tensor:
        """Run layer l on every ``spacing[l]``-th row, counted back from the last."""
        shortcut, before = None, 1
        for start in range(0, len(self.layers), LAYERS):
            for number in range(start, min(start + LAYERS, len(self.layers))):
                step = spacing[number] // before
                x = _every(x, step)
                if number == start:
                    shortcut = x if start else None
                elif shortcut is not None:
                    shortcut = _every(shortcut, step)
                x = dilated(self.layers[number], x, self.dilations[number] // spacing[number])
                before = spacing[number]
            x = x if shortcut is None else x + shortcut
        return x


def _every(x: Tensor, step: int) -> Tensor:
    """Every ``step``-th row of (B, T, C), the last one among them."""
    return x[:, (x.shape[1] - 1) % step :: step]
