"""The order of rows by series and time, quickly and in little memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.timeline import MICROSECONDS, Stamps

Int = npt.NDArray[np.int64]

UNITS = tuple(MICROSECONDS[unit] for unit in ("D", "h", "min", "s", "ms"))
CHUNK = 2**18  # rows at a time, so that nothing in between is as long as the frame
SAMPLE = 1000
BITS = 63


class Order(NamedTuple):
    """Rows in order: their series and times, and the place each had before, all (N,)."""

    codes: Int
    stamps: Stamps
    row: Int


def ordered(codes: Int, stamps: Stamps) -> Order:
    """Rows sorted by series and time; those of one series and time stay as they stand."""
    packed = _packed(codes, stamps)
    if packed is not None:
        return packed
    row = np.lexsort((stamps, codes)).astype(np.int64)
    return Order(codes[row], stamps[row], row)


def _packed(codes: Int, stamps: Stamps) -> Order | None:
    """The order from sorting one whole number a row, series then time then place, where these fit into 63 bits."""
    if len(codes) < 2 or int(codes.min()) < 0:
        return None
    times = stamps.view(np.int64) if stamps.dtype.kind == "M" else stamps
    start, end = int(times.min()), int(times.max())
    unit = _unit(times, start) if end - start < 2**BITS else 1
    row_bits, time_bits = (len(codes) - 1).bit_length(), ((end - start) // unit).bit_length()
    if int(codes.max()).bit_length() + time_bits + row_bits > BITS:
        return None
    key = codes << (time_bits + row_bits)
    place = np.arange(CHUNK, dtype=np.int64)
    for at in range(0, len(key), CHUNK):
        part = key[at : at + CHUNK]
        part |= (times[at : at + CHUNK] - start) // unit << row_bits
        part |= place[: len(part)] + at
    key.sort()
    found = key >> (time_bits + row_bits)
    seen = key >> row_bits
    seen &= (1 << time_bits) - 1
    seen *= unit
    seen += start
    key &= (1 << row_bits) - 1
    return Order(found, seen.view(stamps.dtype), key)


def _unit(times: Int, start: int) -> int:
    """The longest of the usual units that all ``times`` are apart by whole numbers of."""
    few = times[:: max(1, len(times) // SAMPLE)] - start
    for unit in UNITS:
        if not (few % unit).any() and all(
            not ((times[at : at + CHUNK] - start) % unit).any() for at in range(0, len(times), CHUNK)
        ):
            return unit
    return 1
