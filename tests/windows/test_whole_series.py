"""Whole series as windows: one for each, all its rows in it, and every series as often as any other."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.nets.facts import Needs
from forecast.training.source import build_source, one_window
from forecast.windows.sampler import training_windows
from tests.windows.test_windows import counting_panel, lengths, plain_store


@given(lengths, st.integers(1, 6), st.integers(1, 4), st.integers(1, 40))
def test_a_batch_in_turn_takes_as_many_series_as_it_can(sizes, input_size, h, batch_size):
    store = plain_store(counting_panel(sizes))
    windows = training_windows(store, input_size + h)
    if not windows.total:
        return
    starts = windows.in_turn(batch_size, seed=1, step=2)
    assert torch.equal(starts, windows.in_turn(batch_size, seed=1, step=2))
    series = np.searchsorted(store.offsets, starts.numpy(), side="right") - 1
    able = sum(n >= input_size + h for n in sizes)
    assert len(starts) == min(batch_size, windows.total)
    counts = np.unique(series, return_counts=True)[1]
    assert len(counts) == min(able, len(starts)) and counts.max() - counts.min() <= 1
    assert (starts.numpy() + input_size + h <= store.offsets[1:][series]).all()


def test_every_window_of_every_series_has_its_turn():
    store = plain_store(counting_panel([6, 9, 2]))
    windows = training_windows(store, 4)
    seen = torch.cat([windows.in_turn(3, seed=0, step=step) for step in range(60)])
    assert set(seen.tolist()) == set(windows.start(torch.arange(windows.total)).tolist())
    series = np.searchsorted(store.offsets, seen.numpy(), side="right") - 1
    assert abs((series == 0).sum() - (series == 1).sum()) <= 60


def test_a_short_series_is_padded_to_one_window_and_a_long_one_not_at_all():
    rows = np.array([3, 10, 14, 15, 40])
    assert one_window(rows, input_size=12, h=3, least=4).tolist() == [8, 5, 1, 0, 0]


@given(st.lists(st.integers(8, 30), min_size=1, max_size=6))
def test_whole_windows_end_with_the_training_rows_and_hold_all_of_them(sizes):
    panel = counting_panel(sizes)
    source = build_source(panel, max(sizes), 2, 4, None, Needs(levels=True, whole=99))
    assert source.windows.total == len(sizes)
    batch = source.batch(8 * 99, seed=0, step=0, progress=0.0)  # a series counts as eight windows
    assert len(source.batch(9, seed=0, step=0, progress=0.0).past) == min(2, len(sizes))
    rows = torch.full((len(sizes),), max(sizes) + 2)
    if batch.observed is not None:
        rows = (batch.observed.sum(1) + batch.future_observed.sum(1)).long()
    assert sorted(rows.tolist()) == sorted(_training_rows(panel))


def _training_rows(panel) -> list[int]:
    """Rows of each series before its held-out tail, for a horizon of 2 and at least 4 known rows."""
    few = np.clip(panel.lengths // 6, 2, 20)
    return (panel.lengths - np.where(panel.lengths >= 4 + 2 + few, few, 0)).tolist()
