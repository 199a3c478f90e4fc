"""Standardising by the first rows, against hand arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.ingest.door import to_panel
from forecast.panel.standard import standardized


def long(values: dict[str, list[float]]):
    frames = [pd.DataFrame({"unique_id": name, "ds": range(len(y)), "y": y}) for name, y in values.items()]
    return to_panel(pd.concat(frames), freq=1)


def test_each_series_is_standardised_by_its_own_first_rows():
    panel = standardized(long({"a": [1.0, 3.0, 5.0], "b": [10.0, 50.0, 30.0, 70.0]}), 2)
    assert panel.values.tolist() == [-1.0, 1.0, 3.0, -1.0, 1.0, 0.0, 2.0]


def test_later_rows_change_no_unit():
    short, long_ = ([2.0, 4.0, 9.0], [2.0, 4.0, 9.0, 1e9])
    first, second = (standardized(long({"a": values}), 2).values for values in (short, long_))
    assert first.tolist() == second[:3].tolist()


def test_unknown_rows_give_no_unit_and_stay_unknown():
    panel = standardized(long({"a": [1.0, np.nan, 3.0, 5.0]}), 3)
    assert np.isnan(panel.values[1]) and panel.values[[0, 2, 3]].tolist() == [-1.0, 1.0, 3.0]


def test_the_panel_given_is_left_alone():
    panel = long({"a": [1.0, 3.0, 5.0]})
    standardized(panel, 2)
    assert panel.values.tolist() == [1.0, 3.0, 5.0]


def test_first_rows_that_do_not_vary_are_refused_by_name():
    with pytest.raises(DataError, match="first 2 rows do not vary.*'flat'.*data.standardize"):
        standardized(long({"fine": [1.0, 2.0], "flat": [4.0, 4.0, 5.0]}), 2)
