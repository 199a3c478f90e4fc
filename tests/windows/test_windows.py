"""Windows: what is cut equals the rows of the frame, each window once, never across series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline
from forecast.windows.gather import gather
from forecast.windows.sampler import last_windows, training_windows
from forecast.windows.store import build_store, fit_affine

lengths = st.lists(st.integers(1, 30), min_size=1, max_size=6)


def counting_panel(sizes: list[int]) -> Panel:
    """Values are 1000 * series + position, so that every cell tells where it is from."""
    values = np.concatenate([1000.0 * s + np.arange(n) for s, n in enumerate(sizes)])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ids = pd.Index([f"s{i}" for i in range(len(sizes))])
    return Panel(ids, values, offsets, np.zeros(len(sizes), dtype=np.int64), fit_timeline(1, np.array([0])))


def plain_store(panel: Panel, padding: np.ndarray | None = None, *, indicator: bool = False):
    affine = fit_affine(panel)
    zero = np.zeros(len(panel), dtype=np.int64) if padding is None else padding
    same = type(affine)(np.zeros(len(panel)), np.ones(len(panel)))
    return build_store(panel, same, zero, indicator=indicator)


@given(lengths, st.integers(1, 6), st.integers(1, 4))
def test_every_window_is_found_once_and_none_crosses_series(sizes, input_size, h):
    panel = counting_panel(sizes)
    store = plain_store(panel)
    windows = training_windows(store, input_size + h)
    assert windows.total == sum(max(0, n - input_size - h + 1) for n in sizes)
    if not windows.total:
        return
    batch = gather(store, windows.start(torch.arange(windows.total)), input_size, h)
    rows = torch.cat([batch.past, batch.future], dim=1).numpy()
    assert (np.diff(rows, axis=1) == 1).all()
    assert len({row[0] for row in rows}) == windows.total


@given(lengths, st.integers(1, 6), st.integers(1, 4))
def test_the_past_of_a_window_ends_before_its_future_begins(sizes, input_size, h):
    store = plain_store(counting_panel(sizes))
    windows = training_windows(store, input_size + h)
    if windows.total:
        batch = gather(store, windows.random(32, seed=1, step=2), input_size, h)
        assert (batch.past.max(1).values < batch.future.min(1).values).all()


@given(lengths, st.integers(1, 6), st.integers(1, 4), st.integers(1, 5))
def test_held_out_rows_are_in_no_training_window(sizes, input_size, h, held_out):
    store = plain_store(counting_panel(sizes))
    windows = training_windows(store, input_size + h, np.full(len(sizes), held_out))
    if windows.total:
        batch = gather(store, windows.start(torch.arange(windows.total)), input_size, h)
        last = batch.future[:, -1].numpy()
        assert all(value % 1000 < sizes[int(value // 1000)] - held_out for value in last)


def test_short_series_are_padded_on_the_left_with_unknown_rows():
    panel = counting_panel([3, 10])
    store = plain_store(panel, np.array([2, 0]), indicator=True)
    batch = gather(store, last_windows(store, 5), 5)
    assert batch.past.tolist() == [[0, 0, 0, 1, 2], [1005, 1006, 1007, 1008, 1009]]
    assert batch.observed.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]


def test_random_windows_are_a_function_of_seed_and_step_alone():
    windows = training_windows(plain_store(counting_panel([50, 70])), 5)
    assert torch.equal(windows.random(64, 3, 9), windows.random(64, 3, 9))
    assert not torch.equal(windows.random(64, 3, 9), windows.random(64, 3, 10))
    assert not torch.equal(windows.random(64, 3, 9), windows.random(64, 4, 9))


def test_random_windows_are_uniform_over_windows():
    windows = training_windows(plain_store(counting_panel([20, 110])), 11)
    starts = torch.cat([windows.random(1000, 0, step) for step in range(20)])
    share = (starts < 20).double().mean().item()
    assert abs(share - 10 / 110) < 0.01


def test_training_windows_do_not_depend_on_series_order():
    panel = counting_panel([20, 31, 25])
    order = np.array([2, 0, 1])
    one, two = plain_store(panel), plain_store(panel.take(order))
    first, second = (training_windows(s, 6) for s in (one, two))
    past_one = gather(one, first.random(50, 0, 0), 4, 2).past
    past_two = gather(two, second.random(50, 0, 0), 4, 2).past
    assert torch.equal(past_one, past_two)


def test_a_level_of_1e12_with_unit_noise_survives_float32():
    rng = np.random.default_rng(0)
    panel = counting_panel([200])
    noise = rng.standard_normal(200)
    panel = Panel(panel.ids, 1e12 + noise, panel.offsets, panel.first, panel.timeline)
    affine = fit_affine(panel)
    store = build_store(panel, affine, np.zeros(1, dtype=np.int64), indicator=False)
    back = affine.inverse(store.values[:, 0].double().numpy()[None])[0]
    np.testing.assert_allclose(back - 1e12, noise, atol=1e-3)


@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=20))
def test_the_affine_step_is_undone_exactly_enough(values):
    panel = counting_panel([len(values)])
    panel = Panel(panel.ids, np.array(values), panel.offsets, panel.first, panel.timeline)
    affine = fit_affine(panel)
    z = affine.forward(panel.values, panel.series)
    assert np.isfinite(z).all()
    scale = max(abs(v) for v in values)
    np.testing.assert_allclose(affine.inverse(z[None])[0], values, atol=1e-9 * scale + 1e-300)


def test_the_affine_step_sees_only_the_rows_it_is_given():
    panel = counting_panel([30])
    poisoned = Panel(
        panel.ids, np.where(np.arange(30) < 20, panel.values, 1e9), panel.offsets, panel.first, panel.timeline
    )
    first, second = (fit_affine(p.head(np.array([20]))) for p in (panel, poisoned))
    assert first.center.tolist() == second.center.tolist()
    assert first.spread.tolist() == second.spread.tolist()
