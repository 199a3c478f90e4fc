"""Which windows training sees more often: by series, by age."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.windows.sampler import Windows, training_windows
from tests.windows.test_windows import counting_panel, lengths, plain_store

WIDTH = 5


def windows_of(sizes: list[int], **how) -> Windows:
    return training_windows(plain_store(counting_panel(sizes)), WIDTH, **how)


def drawn(windows: Windows, steps: int = 40) -> np.ndarray:
    return torch.cat([windows.random(1000, 0, step) for step in range(steps)]).numpy()


@given(lengths, st.sampled_from(["windows", "series"]), st.none() | st.floats(0.01, 10), st.integers(0, 99))
def test_only_windows_that_exist_are_drawn_whatever_the_preference(sizes, sampling, recency, step):
    windows = windows_of(sizes, sampling=sampling, recency=recency)
    if windows.total:
        starts = set(windows.random(64, 3, step).tolist())
        assert starts <= set(windows.start(torch.arange(windows.total)).tolist())


def test_every_series_is_as_likely_as_any_other_and_one_without_windows_never_drawn():
    starts = drawn(windows_of([14, WIDTH - 1, 204], sampling="series"))
    share = (starts < 14).mean()
    assert abs(share - 0.5) < 0.01
    assert not ((starts >= 14) & (starts < 14 + WIDTH - 1)).any()
    # within a series its windows stay even: ten of them in the short one
    np.testing.assert_allclose(np.bincount(starts[starts < 14], minlength=10) / share / len(starts), 0.1, atol=0.01)


def test_the_chance_of_a_window_halves_over_the_half_life():
    starts = drawn(windows_of([104], recency=0.25))  # a hundred windows, half as likely every 25
    chances = np.bincount(starts, minlength=100) / len(starts)
    expected = 2.0 ** (-(99 - np.arange(100)) / 25)
    np.testing.assert_allclose(chances, expected / expected.sum(), atol=0.003)
    quarters = chances.reshape(4, 25).sum(1)
    np.testing.assert_allclose(quarters[1:] / quarters[:-1], 2.0, rtol=0.1)


def test_recency_leaves_the_shares_of_the_series_alone():
    sizes = [24, 84]
    starts = drawn(windows_of(sizes, recency=0.1))
    assert abs((starts < 24).mean() - 20 / 100) < 0.01
    both = drawn(windows_of(sizes, recency=0.1, sampling="series"))
    assert abs((both < 24).mean() - 0.5) < 0.01


def test_preferred_windows_are_a_function_of_seed_and_step_alone_and_need_no_table_of_windows():
    windows = windows_of([50, 100_000], sampling="series", recency=0.5)
    assert torch.equal(windows.random(64, 3, 9), windows.random(64, 3, 9))
    assert not torch.equal(windows.random(64, 3, 9), windows.random(64, 3, 10))
    assert windows.chances is not None
    assert windows.chances.numel() == 2


@pytest.mark.parametrize("how", [{"sampling": "series"}, {"recency": 0.3}])
def test_preferences_do_not_depend_on_series_order(how):
    panel = counting_panel([20, 31, 25])
    one, two = plain_store(panel), plain_store(panel.take(np.array([2, 0, 1])))
    values = [s.values[training_windows(s, WIDTH, **how).random(50, 0, 0), 0] for s in (one, two)]
    assert torch.equal(*values)


def test_held_out_rows_stay_out_of_preferred_windows():
    windows = windows_of([50], held_out=np.array([7]), recency=0.05)
    assert drawn(windows, 5).max() + WIDTH == 43
