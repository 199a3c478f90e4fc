"""What a stateful model remembers of each series: enough to go on with new rows alone, and to notice other old ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from forecast.nets.facts import Facts
from forecast.nets.running import Running
from forecast.nets.stream import StreamNet
from forecast.panel.panel import Panel
from forecast.panel.spans import ranges

Int = npt.NDArray[np.int64]
UInt = npt.NDArray[np.uint64]
Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

LONGEST_PIECE = 64
PIECE_ROWS = 16_384
HASHED_ROWS = 32_768
NO_ROW = np.iinfo(np.int64).min


@dataclass(frozen=True)
class States:
    """The series of a panel as they stand after the rows read so far.

    Attributes:
        ids: the series, shape (S,).
        last: ordinal of the last row read, (S,); ``NO_ROW`` before the first known row.
        check: fingerprint of the rows read, (S,).
        running: units of each series.
        carry: what the net carries, float32 (S, parts, layers, hidden).
    """

    ids: pd.Index
    last: Int
    check: UInt
    running: Running
    carry: Float32

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def start(cls, ids: pd.Index, net: StreamNet, facts: Facts) -> States:
        """Series of which nothing has been read."""
        size = len(ids)
        last = np.full(size, NO_ROW)
        return cls(ids, last, np.zeros(size, np.uint64), Running.start(size, facts), net.start(size).numpy())


def pieces(lengths: Int) -> Iterator[tuple[Int, Int, int]]:
    """Cut S series of ``lengths`` rows into blocks of equal width: yields (which series, their first row, width).

    Widths are powers of two, so any mix of lengths is read without padding in few calls, each series in order.
    """
    done, left = np.zeros_like(lengths), lengths.copy()
    while (longest := int(left.max(initial=0))) > 0:
        size = min(LONGEST_PIECE, 1 << (longest.bit_length() - 1))
        which = np.flatnonzero(left >= size)
        for start in range(0, len(which), PIECE_ROWS // size):
            some = which[start : start + PIECE_ROWS // size]
            yield some, done[some], size
        done[which] += size
        left[which] -= size


def advance(net: StreamNet, facts: Facts, states: States, panel: Panel) -> States:
    """``states`` of the series of ``panel`` after its rows that are later than those read, in the same order."""
    new = panel.slice(_unread(states, panel), panel.lengths)
    if not len(new.values):
        return states
    running = states.running.copy()
    carry = states.carry.copy()
    for which, row, size in pieces(new.lengths):
        values = new.values[(new.offsets[which] + row)[:, None] + np.arange(size)]
        after, rows = running.take(which).read(values, new.first[which] + row, facts)
        running.put(which, after)
        with torch.inference_mode():
            _, ends = net.read(torch.from_numpy(rows.features), torch.from_numpy(carry[which]))
        carry[which] = ends.numpy()
    last = np.where(new.lengths > 0, panel.last, states.last)
    return States(panel.ids, last, states.check + fingerprint(new), running, carry)


def resumable(states: States, panel: Panel, *, unchanged: bool = False) -> Int:
    """Position among ``states`` of each series of ``panel`` that begins with exactly the rows read, -1 for the others.

    ``unchanged`` vouches for the rows of series known by name, so that they need not be looked at.
    """
    place = states.ids.get_indexer(panel.ids).astype(np.int64)
    if not len(states):
        return place
    last = np.where(place >= 0, states.last[place], NO_ROW)
    usable = (last >= panel.first - 1) & (last <= panel.last)
    if not unchanged and usable.any():
        usable &= fingerprint(panel, np.where(usable, last - panel.first + 1, 0)) == states.check[place]
    return np.where(usable, place, -1)


def resumed(states: States, panel: Panel, place: Int, net: StreamNet, facts: Facts) -> States:
    """The states at positions ``place`` (S,) under the ids of ``panel``; a fresh one where that is -1."""
    if np.array_equal(place, np.arange(len(states))):
        return replace(states, ids=panel.ids)
    known = np.flatnonzero(place >= 0)
    result = States.start(panel.ids, net, facts)
    result.running.put(known, states.running.take(place[known]))
    for name in ("last", "check", "carry"):
        getattr(result, name)[known] = getattr(states, name)[place[known]]
    return result


def gathered(parts: Sequence[States], chosen: Int) -> States:
    """The series at positions ``chosen`` of all ``parts`` one after the other; there is at least one part."""

    def whole(arrays: Iterable[npt.NDArray[Any]]) -> Any:
        return np.concatenate(list(arrays))[chosen]

    running = Running(*(whole(getattr(part.running, name) for part in parts) for name in vars(parts[0].running)))
    ids = parts[0].ids.append([part.ids for part in parts[1:]])[chosen]
    last, check, carry = (whole(getattr(part, name) for part in parts) for name in ("last", "check", "carry"))
    return States(ids, last, check, running, carry)


def _unread(states: States, panel: Panel) -> Int:
    """Place of the first row to read in each series, (S,): a series begins with its first known row."""
    place = states.last + 1 - panel.first
    fresh = np.flatnonzero(states.last == NO_ROW)
    place[fresh] = first_known(panel.take(fresh))
    return place


def first_known(panel: Panel) -> Int:
    """Place of the first known row in each series, its length where nothing is known, shape (S,)."""
    known = np.append(np.isfinite(panel.values), True)
    nexts = np.flatnonzero(known)
    found = nexts[np.searchsorted(nexts, panel.offsets[:-1])]
    places: Int = np.minimum(found - panel.offsets[:-1], panel.lengths)
    return places


def fingerprint(panel: Panel, rows: Int | None = None) -> UInt:
    """A hash of the known ones among the first ``rows`` (S,) of each series (all by default), shape (S,).

    It sees their ordinals and values. That of two stretches of rows together is the sum of theirs (modulo 2**64), so
    new rows alone carry it on. Rows are mixed as in SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable
    Pseudorandom Number Generators").
    """
    kept = panel.lengths if rows is None else rows
    sums = np.zeros(len(panel), dtype=np.uint64)
    cuts = np.searchsorted(panel.offsets, np.arange(0, len(panel.values), HASHED_ROWS))
    edges = np.unique([0, *cuts, len(panel)])
    for start, stop in pairwise(edges.tolist()):  # blocks that stay in the caches
        counts = kept[start:stop]
        values = panel.values[ranges(panel.offsets[start:stop], counts)]
        mixed = _mixed(values, ranges(panel.first[start:stop], counts))
        totals = np.add.reduceat(np.append(mixed, np.uint64(0)), np.cumsum(counts) - counts)
        sums[start:stop] = np.where(counts > 0, totals, np.uint64(0))  # over no rows reduceat gives the row after them
    return sums


def _mixed(values: npt.NDArray[np.float64], ordinals: Int) -> UInt:
    """A number for each row that looks random and is 0 where its value is unknown, shape (N,)."""
    mixed = ordinals.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += values.view(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    mixed[~np.isfinite(values)] = 0
    return mixed
