"""How many observations there are of a column over time, and how much it is believed for that."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.covariates import Covariates, Numbers
from forecast.panel.encoding import fit_encoding
from forecast.panel.observations import observations, trust

NAN = np.nan
cells = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.0, NAN])), min_size=1, max_size=12)


def arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Values and steps."""
    return np.array([value for _, value in rows]), np.array([step for step, _ in rows], dtype=np.int64)


def counted(rows: list[tuple[int, float]]) -> int:
    """The same number by pandas, from the definition."""
    known = pd.DataFrame(rows, columns=["step", "value"]).dropna()
    if (known.groupby("step").value.nunique() == 1).all():
        known = known.drop_duplicates("step")
    sizes = known.value.value_counts()
    return int(sizes.min()) if len(sizes) == 2 else 0 if len(sizes) == 1 else len(known)


@given(cells)
def test_observations_are_those_of_the_definition(rows):
    assert observations(*arrays(rows)) == counted(rows)


@given(cells, st.randoms())
def test_the_order_of_the_rows_plays_no_part(rows, random):
    moved = list(rows)
    random.shuffle(moved)
    assert observations(*arrays(moved)) == observations(*arrays(rows))


def test_a_feast_day_is_seen_once_whatever_the_number_of_series():
    flag, step = np.tile([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], 100), np.tile(np.arange(6), 100)
    assert observations(flag, step) == 2
    assert observations(np.append(flag, 1.0), np.append(step, 0)) == 201  # one series of its own mind: rows are counted
    assert trust(flag, step) == pytest.approx(2 / 7)


def test_the_more_observations_the_more_a_column_is_believed():
    shares = [trust(np.arange(count, dtype=float), np.arange(count)) for count in (2, 5, 50, 5000)]
    assert all(less < more < 1.0 for less, more in pairwise(shares))
    assert trust(np.full(3, NAN), np.arange(3)) > 0.0


def encoded(values: np.ndarray, series: int, after: np.ndarray) -> np.ndarray:
    """The first cell of ``after``, when each of ``series`` had ``values`` in training."""
    columns = Covariates((Numbers("x", np.tile(values, series)),))
    offsets = np.arange(series + 1) * len(values)
    encoding = fit_encoding(columns, offsets=offsets, first=np.zeros(series, dtype=np.int64))
    return encoding.encode(Covariates((Numbers("x", after),))).numbers[:, 0]


def test_a_flag_is_as_large_as_it_is_believed_and_neighbours_with_the_same_days_change_nothing():
    flag = np.array([0.0, 0.0, 1.0, 0.0])
    for series in (1, 50):
        np.testing.assert_allclose(encoded(flag, series, flag), flag / 6, rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e300, NAN])
def test_what_never_moved_in_training_says_nothing_when_it_does(constant):
    assert np.abs(encoded(np.full(4, constant), 3, np.array([0.0, 1.0, 1e9, NAN]))).max() < 1e-7
