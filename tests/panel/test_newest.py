"""The newest known value of each series."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel
from forecast.timeline import Timeline

CELLS = st.sampled_from([1.0, 0.0, np.nan, np.inf])


@given(st.lists(st.lists(CELLS, max_size=6), max_size=6))
def test_it_is_the_last_finite_value_of_each_series_or_none(series):
    lengths = [len(values) for values in series]
    panel = Panel(
        pd.Index(range(len(series))),
        np.array([value for values in series for value in values], dtype=np.float64),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.zeros(len(series), dtype=np.int64),
        Timeline("D", "tick", 86_400_000_000),
    )
    expected = [max((at for at, value in enumerate(values) if np.isfinite(value)), default=-1) for values in series]
    assert newest_known(panel).tolist() == expected
