"""Units common to all series: exact both ways, finite, never of a sign that was not there."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from forecast.panel.units import fit_common

finite = st.lists(st.floats(-1e307, 1e307), min_size=1, max_size=8)


@given(finite)
def test_units_are_exact_both_ways_and_finite(values):
    given_values = np.array(values)
    units = fit_common(given_values)
    assume(np.abs(given_values).max() <= 1e300 * units.size)  # beyond that ratios are cut
    z = units.forward(given_values)
    assert np.isfinite(z).all()
    tolerance = 1e-9 * units.size  # the unit of what lies between zero and a usual value
    np.testing.assert_allclose(units.inverse(z), given_values, rtol=1e-6, atol=tolerance)
    for far in (-1e6, 1e6):
        assert np.isfinite(units.inverse(np.array([far]))).all()


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=8), st.floats(-1e3, 1e3))
def test_what_was_never_negative_is_not_forecast_so(values, z):
    assert fit_common(np.array(values)).inverse(np.array([z])) >= 0.0
    assert fit_common(-np.array(values)).inverse(np.array([z])) <= 0.0


def test_units_are_ratios_where_values_are_large():
    units = fit_common(np.array([1.0, 10.0, 1e4, 1e5, 1e6]))
    steps = np.diff(units.forward(np.array([1e6, 1e7, 1e8])))
    np.testing.assert_allclose(steps, np.log(10) / units.spread, rtol=1e-4)
