"""Windows read a segment at a time: how long a segment is, and the cutting."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.facts import Facts


def segment_length(segment: int | None, facts: Facts) -> int:
    """Rows in a segment: as asked for, else the season (the horizon where there is none) kept between 2 and 24.

    Raises ``ConfigError`` for a length below 1.
    """
    if segment is None:
        season = facts.seasons[0] if facts.seasons else facts.h
        return min(max(season, 2), 24, facts.input_size)
    if segment < 1:
        raise ConfigError(f"segment={segment} must be at least 1, or null to follow the season.")
    return segment


def segments(x: Tensor, length: int) -> Tensor:
    """Rows (B, rows, channels) as segments (B, ceil(rows / length), length * channels), the last one ending with the
    last row; zeros stand before the first row where the length does not divide the rows."""
    x = functional.pad(x, (0, 0, -x.shape[1] % length, 0))
    return x.reshape(x.shape[0], x.shape[1] // length, length * x.shape[2])
