"""Every transform: there and back, what it equals, what it refuses, whom it learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.preprocessing import (
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from forecast.errors import ConfigError, DataError
from forecast.ingest.door import to_panel
from forecast.panel.panel import Panel
from forecast.panel.segments import known_rows
from forecast.panel.transforms.affine import MeanAbsolute, MinMax, Robust, Standard
from forecast.panel.transforms.chain import fit_chain
from forecast.panel.transforms.lagged import Difference, SeasonalDifference
from forecast.panel.transforms.likelihood import log_likelihood
from forecast.panel.transforms.logs import Asinh, Log1p
from forecast.panel.transforms.powers import BoxCox, YeoJohnson
from forecast.panel.transforms.quantile import Quantile, normal_scores
from forecast.transforms import TRANSFORMS

POINTWISE = [Log1p(), Asinh(), BoxCox(), YeoJohnson(), Standard(), Robust(), MeanAbsolute(), MinMax(), Quantile()]
ANY_SIGN = [t for t in POINTWISE if t.name not in ("log1p", "boxcox")]
LAGGED = [Difference(), SeasonalDifference(4)]
EVERY = POINTWISE + LAGGED
by_name = pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.name)


def panel_of(*series) -> Panel:
    """Series s0, s1, … on a grid of whole steps."""
    rows = [(f"s{number}", step, y) for number, values in enumerate(series) for step, y in enumerate(values)]
    template = to_panel(pd.DataFrame({"unique_id": ["a"] * 2, "ds": [0, 1], "y": [1.0, 2.0]}), freq=1)
    lengths = np.array([len(values) for values in series])
    return replace(
        template,
        ids=pd.Index([f"s{n}" for n in range(len(series))]),
        values=np.array([y for _, _, y in rows], dtype=np.float64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=np.zeros(len(series), dtype=np.int64),
    )


def noisy(count=3, rows=40, level=50.0, seed=0) -> Panel:
    rng = np.random.default_rng(seed)
    return panel_of(*(level * (n + 1) * np.exp(0.3 * rng.standard_normal(rows - n)) for n in range(count)))


def rectangle(panel: Panel) -> np.ndarray:
    """A panel of series of one length as (S, rows)."""
    return panel.values.reshape(len(panel), -1)


def there_and_back(spec, panel: Panel) -> np.ndarray:
    fitted = spec.fit(panel).settled()
    return fitted.inverse(rectangle(fitted.forward(panel)), panel).ravel()


positive = st.floats(1e-6, 1e9)
anything = st.one_of(st.just(0.0), positive, positive.map(lambda y: -y))


@pytest.mark.parametrize("spec", POINTWISE, ids=lambda spec: spec.name)
@given(data=st.data())
def test_the_way_back_leads_to_where_it_began(spec, data):
    values = data.draw(st.lists(anything if spec in ANY_SIGN else positive, min_size=1, max_size=30))
    other = data.draw(st.lists(anything if spec in ANY_SIGN else positive, min_size=len(values), max_size=len(values)))
    panel = panel_of(values, other)
    back = there_and_back(spec, panel).reshape(2, -1)
    scale = np.abs(rectangle(panel)).max(axis=1, keepdims=True)
    np.testing.assert_allclose(
        back / np.where(scale > 0, scale, 1), rectangle(panel) / np.where(scale > 0, scale, 1), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("spec", LAGGED, ids=lambda spec: spec.name)
@given(data=st.data())
def test_differences_added_up_give_the_levels_that_followed(spec, data):
    values = data.draw(st.lists(anything, min_size=8, max_size=30))
    h = data.draw(st.integers(1, len(values) - 6))
    panel = panel_of(values)
    fitted = spec.fit(panel)
    lag = fitted.lag
    past = panel.head(panel.lengths - h)
    changes = np.array(values[-h:]) - np.array([values[i - lag] for i in range(len(values) - h, len(values))])
    back = fitted.inverse(changes[None], past)[0] if len(values) - h >= lag else np.array(values[-h:])
    np.testing.assert_allclose(back, values[-h:], rtol=1e-10, atol=1e-10 * max(1.0, np.abs(values).max()))


@by_name
def test_a_level_of_a_million_millions_keeps_its_unit_noise(spec):
    rng = np.random.default_rng(1)
    values = 1e12 + rng.standard_normal(60)
    panel = panel_of(values)
    fitted = spec.fit(panel)
    z = fitted.forward(panel)
    if spec in LAGGED:
        h = 8
        past = panel.head(panel.lengths - h)
        back = fitted.inverse(z.tail(h).values[None], past)[0]
        np.testing.assert_allclose(back, values[-h:], atol=1e-3, rtol=0)
    else:
        np.testing.assert_allclose(there_and_back(spec, panel), values, atol=0.02, rtol=0)
    assert len(np.unique(z.values)) > 40


@by_name
@pytest.mark.parametrize("value", [0.0, 1.0, 7.5, 1e12, 1e-12])
def test_a_constant_is_safe(spec, value):
    if spec.name == "boxcox" and value == 0.0:
        return
    panel = panel_of([value] * 9)
    fitted = spec.fit(panel).settled()
    z = fitted.forward(panel)
    assert np.isfinite(z.values).all()
    np.testing.assert_allclose(fitted.inverse(z.tail(3).values[None], panel), value, rtol=1e-12)


@by_name
def test_unknown_values_stay_unknown_and_teach_nothing(spec):
    rng = np.random.default_rng(2)
    values = np.exp(rng.standard_normal(30))
    holes = values.copy()
    holes[[3, 4, 17]] = np.nan
    panel = panel_of(holes)
    fitted = spec.fit(panel)
    z = fitted.forward(panel)
    if spec in LAGGED:
        wanted = np.isnan(holes[fitted.lag :]) | np.isnan(holes[: -fitted.lag])
        np.testing.assert_array_equal(np.isnan(z.values), wanted)
        return
    np.testing.assert_array_equal(np.isnan(z.values), np.isnan(holes))
    known = panel_of(holes[np.isfinite(holes)])
    for mine, theirs in zip(fitted.tables().values(), spec.fit(known).tables().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    back = fitted.inverse(z.values[None], panel)[0]
    np.testing.assert_allclose(back, holes, rtol=1e-10)


@by_name
def test_a_series_learns_the_same_whoever_its_neighbours_are(spec):
    panel = noisy()
    together = spec.fit(panel)
    for number in range(len(panel)):
        chosen = np.array([number])
        alone = spec.fit(panel.take(chosen))
        for key, table in alone.tables().items():
            np.testing.assert_array_equal(table, together.tables()[key][chosen])
        np.testing.assert_array_equal(
            alone.forward(panel.take(chosen)).values, together.forward(panel).take(chosen).values
        )


@by_name
def test_the_panel_that_is_transformed_is_left_as_it_was(spec):
    panel = noisy()
    before = panel.values.copy()
    spec.fit(panel).forward(panel)
    np.testing.assert_array_equal(panel.values, before)


@pytest.mark.parametrize("spec", POINTWISE, ids=lambda spec: spec.name)
def test_order_is_kept_both_ways(spec):
    panel = noisy(1, 60)
    fitted = spec.fit(panel)
    ascending = replace(panel, values=np.sort(panel.values))
    z = fitted.forward(ascending).values
    assert (np.diff(z) >= 0).all()
    far = np.linspace(z[0] - 3 * np.ptp(z), z[-1] + 3 * np.ptp(z), 400)
    assert (np.diff(fitted.inverse(far[None], panel)[0]) >= 0).all()


@pytest.mark.parametrize(
    "spec", [*[t for t in POINTWISE if t.name not in ("log1p", "yeo_johnson")]], ids=lambda s: s.name
)
@pytest.mark.parametrize("unit", [1e-9, 0.01, 37.0, 1e9])
def test_a_series_in_another_unit_is_the_same_one_transformed(spec, unit):
    panel = noisy()
    other = replace(panel, values=panel.values * unit)
    z, w = spec.fit(panel).forward(panel).values, spec.fit(other).forward(other).values
    np.testing.assert_allclose(w, z, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spec", ANY_SIGN, ids=lambda spec: spec.name)
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_the_smallest_and_the_largest_numbers_stay_finite(spec, size):
    panel = panel_of(size * np.array([1.0, -2.0, 3.0, 0.5, -1.0]))
    fitted = spec.fit(panel)
    z = fitted.forward(panel)
    assert np.isfinite(z.values).all()
    assert np.isfinite(fitted.inverse(z.values[None] * 50, panel)).all()


@pytest.mark.parametrize(
    ("spec", "reference"),
    [(Standard(), StandardScaler()), (Robust(), RobustScaler()), (MinMax(), MinMaxScaler())],
    ids=lambda item: type(item).__name__,
)
def test_scales_are_those_of_sklearn(spec, reference):
    panel = noisy(3, 41)
    z = spec.fit(panel).forward(panel)
    for series, own in zip(panel.each(), z.each(), strict=True):
        np.testing.assert_allclose(own, reference.fit_transform(series[:, None])[:, 0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("spec", "method"), [(BoxCox((-5, 5)), "box-cox"), (YeoJohnson((-5, 5)), "yeo-johnson")])
def test_exponents_are_those_of_sklearn(spec, method, seed):
    rng = np.random.default_rng(seed)
    series = [rng.gamma(2.0, size=80), rng.lognormal(0.0, 0.7, size=50), 5 + rng.standard_normal(60)]
    if method == "yeo-johnson":
        series.append(2 * rng.standard_normal(70) - 0.5)
        series.append(-rng.gamma(2.0, size=90))
    series = [values if method == "yeo-johnson" else np.abs(values) for values in series]
    found = spec.fit(panel_of(*series))
    for number, values in enumerate(series):
        wanted = PowerTransformer(method, standardize=False).fit(values[:, None])
        assert found.exponent[number] == pytest.approx(wanted.lambdas_[0], abs=1e-5)
        unit = np.exp(np.log(values).mean()) if method == "box-cox" else 1.0
        reference = PowerTransformer(method, standardize=False).fit((values / unit)[:, None])
        own = found.take(np.array([number])).forward(panel_of(values)).values
        np.testing.assert_allclose(own, reference.transform((values / unit)[:, None])[:, 0], rtol=1e-6, atol=1e-6)


def test_the_likelihood_of_an_exponent_is_that_of_scipy():
    values = np.random.default_rng(3).gamma(2.0, size=50)
    logs = known_rows(np.log(values), np.array([0, 50]))
    for one, two in [(-0.5, 0.3), (0.0, 1.7)]:
        own = log_likelihood(logs, np.array([one]), False) - log_likelihood(logs, np.array([two]), False)
        assert own[0] == pytest.approx(stats.boxcox_llf(one, values) - stats.boxcox_llf(two, values))


def test_an_exponent_stays_within_its_bounds_and_is_one_where_nothing_tells():
    values = np.random.default_rng(4).lognormal(0.0, 1.0, 200) ** -3.0
    assert BoxCox((0.5, 2.0)).fit(panel_of(values)).exponent[0] == pytest.approx(0.5, abs=1e-6)
    assert BoxCox().fit(panel_of([5.0] * 20, [3.0])).exponent.tolist() == [1.0, 1.0]


def test_quantiles_of_ranks_are_normal_scores_and_those_of_sklearn_inside():
    values = np.random.default_rng(5).gamma(1.0, size=2000)
    panel = panel_of(values)
    fitted = Quantile(101).fit(panel)
    z = fitted.forward(panel).values
    knots = np.quantile(values, (np.arange(101) + 0.5) / 101)
    at_knots = fitted.forward(panel_of(knots)).values
    np.testing.assert_allclose(at_knots, stats.norm.ppf((np.arange(101) + 0.5) / 101), atol=1e-9)
    reference = QuantileTransformer(n_quantiles=2000, output_distribution="normal").fit_transform(values[:, None])[:, 0]
    inside = np.abs(reference) < 2
    np.testing.assert_allclose(z[inside], reference[inside], atol=0.05)


def test_tied_values_take_the_middle_of_their_ranks():
    panel = panel_of([0.0] * 30 + [1.0, 2.0, 5.0])
    fitted = Quantile(33).fit(panel)
    z = fitted.forward(panel).values
    scores = normal_scores(33)
    tied = np.flatnonzero(fitted.table[0] == 0.0)
    assert z[0] == pytest.approx((scores[tied[0]] + scores[tied[-1]]) / 2)
    np.testing.assert_allclose(fitted.inverse(z[None], panel)[0], panel.values, atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "bad"), [(Log1p(), -0.5), (BoxCox(), 0.0), (BoxCox(), -3.0), (BoxCox(shift=1.0), -1.0)]
)
def test_values_without_a_logarithm_are_named_with_series_and_row(spec, bad):
    panel = panel_of([1.0, 2.0, 3.0], [1.0, bad, bad], [5.0, 5.0, bad])
    with pytest.raises(DataError) as caught:
        spec.fit(panel)
    assert [fault.series for fault in caught.value.report] == ["s1", "s2"]
    first = str(caught.value.report[0])
    assert f"{bad:g} in row 1 (1) and 1 more rows" in first and "yeo_johnson or asinh" in first
    with pytest.raises(DataError, match="in row 2"):
        spec.fit(panel_of([1.0, 2.0])).forward(panel_of([1.0, 2.0, bad]))


def test_a_shift_makes_room_for_zeros():
    panel = panel_of([0.0, 1.0, 4.0, 9.0, 0.0, 30.0])
    np.testing.assert_allclose(there_and_back(BoxCox(shift=1.0), panel), panel.values, atol=1e-12)


def test_a_difference_by_hand():
    panel = panel_of([1.0, 3.0, 6.0, 10.0], [7.0])
    fitted = Difference().fit(panel)
    z = fitted.forward(panel)
    assert [list(v) for v in z.each()] == [[2.0, 3.0, 4.0], [0.0]]
    assert z.last.tolist() == panel.last.tolist()
    assert fitted.inverse(np.array([[1.0, 2.0], [3.0, 0.0]]), panel).tolist() == [[11.0, 13.0], [10.0, 10.0]]


def test_a_seasonal_difference_by_hand():
    panel = panel_of([1.0, 2.0, 3.0, 5.0, 7.0])
    fitted = SeasonalDifference(2).fit(panel)
    assert fitted.forward(panel).values.tolist() == [2.0, 3.0, 4.0]
    assert fitted.inverse(np.array([[1.0, 1.0, 1.0, 1.0, 1.0]]), panel).tolist() == [[6.0, 8.0, 7.0, 9.0, 8.0]]


def test_an_anchor_that_is_unknown_is_the_last_known_value_of_its_phase():
    nan = np.nan
    panel = panel_of([1.0, 2.0, 3.0, nan, 5.0, 6.0, 7.0, nan], [nan, nan, 4.0])
    anchors = SeasonalDifference(4).fit(panel).inverse(np.zeros((2, 5)), panel)
    assert anchors.tolist() == [[5.0, 6.0, 7.0, 7.0, 5.0], [4.0] * 5]


def test_a_series_without_a_known_difference_is_taken_for_unchanging():
    panel = panel_of([2.0, np.nan, 4.0, np.nan], [np.nan] * 3)
    z = Difference().fit(panel).forward(panel)
    np.testing.assert_array_equal(z.values, [np.nan, np.nan, 0.0, np.nan, np.nan])


def test_quantiles_of_added_up_independent_normal_steps_are_exact():
    panel = panel_of([10.0, 11.0])
    probs, spread = np.array([0.1, 0.5, 0.9]), np.array([1.0, 2.0, 2.0])
    point = np.array([[0.5, 0.5, 0.5]])
    quantiles = point[..., None] + spread[None, :, None] * stats.norm.ppf(probs)
    level, carried = Difference().fit(panel).carry(point, quantiles, panel)
    assert level.tolist() == [[11.5, 12.0, 12.5]]
    wanted = level[..., None] + np.sqrt(np.cumsum(spread**2))[None, :, None] * stats.norm.ppf(probs)
    np.testing.assert_allclose(carried, wanted)


@given(seed=st.integers(0, 10_000), lag=st.integers(1, 5))
def test_quantiles_of_added_up_steps_do_not_cross(seed, lag):
    rng = np.random.default_rng(seed)
    panel = panel_of(rng.standard_normal(12))
    quantiles = np.sort(rng.standard_normal((1, 7, 5)), axis=-1)
    _, carried = SeasonalDifference(lag).fit(panel).carry(rng.standard_normal((1, 7)), quantiles, panel)
    assert (np.diff(carried, axis=-1) >= -1e-12).all()


def test_a_chain_is_fitted_on_the_rows_before_the_cutoff_alone():
    panel = noisy(3, 40)
    cutoff = panel.last - 6
    poisoned = replace(panel, values=np.where(panel.ordinals > cutoff[panel.series], 1e9, panel.values))
    specs = (BoxCox(), SeasonalDifference(4), Standard(), Robust(), Quantile(5), YeoJohnson(), Asinh(), MinMax())
    one, _ = fit_chain(specs, panel, cutoff)
    two, _ = fit_chain(specs, poisoned, cutoff)
    for mine, theirs in zip(one.links, two.links, strict=True):
        for key, table in mine.tables().items():
            np.testing.assert_array_equal(table, theirs.tables()[key])


def test_a_chain_comes_back_the_way_it_went():
    panel = noisy(3, 40)
    h = 5
    past = panel.head(panel.lengths - h)
    chain, _ = fit_chain((BoxCox(), SeasonalDifference(4), Difference(), Standard()), past, past.last)
    whole, bound = chain.bound(panel), chain.bound(past)
    future = np.stack([values[-h:] for values in whole.panel.each()])
    point, quantiles = bound.back(future, np.repeat(future[..., None], 2, axis=-1))
    wanted = np.stack([values[-h:] for values in panel.each()])
    np.testing.assert_allclose(point, wanted, rtol=1e-10)
    np.testing.assert_allclose(quantiles, np.repeat(wanted[..., None], 2, axis=-1), rtol=1e-10)


def test_a_series_that_a_chain_has_not_met_is_fitted_on_its_own_rows():
    panel = noisy(3, 40)
    specs = (BoxCox(), Difference(), Standard())
    chain, _ = fit_chain(specs, panel.take(np.array([0, 1])), panel.last[:2])
    met = chain.bound(panel.take(np.array([2, 0])))
    alone, bound = fit_chain(specs, panel.take(np.array([2])), panel.last[2:])
    np.testing.assert_array_equal(met.panel.take(np.array([0])).values, bound.panel.values)
    joined = chain.joined_by(met)
    assert list(joined.ids) == ["s0", "s1", "s2"]
    for mine, theirs in zip(joined.links, alone.links, strict=True):
        for key, table in mine.tables().items():
            np.testing.assert_array_equal(table[2:], theirs.tables()[key])


def test_a_series_of_which_nothing_is_known_goes_through_a_chain():
    panel = panel_of([np.nan] * 5, [1.0, 2.0, 4.0, 3.0, 5.0])
    specs = tuple(
        cls(season=2) if name == "seasonal_difference" else cls()
        for name, cls in TRANSFORMS.items()
        if name not in ("boxcox",)
    )
    specs = tuple(spec for spec in specs if spec.name != "log1p")
    _, bound = fit_chain(specs, panel, panel.last)
    point, _ = bound.back(np.zeros((2, 3)), np.zeros((2, 3, 0)))
    assert np.isnan(point[0]).all() and np.isfinite(point[1]).all()


@by_name
def test_what_was_learned_is_restored_from_its_arrays(spec):
    panel = noisy()
    fitted = spec.fit(panel)
    again = spec.restored(fitted.tables(), panel, len(panel))
    np.testing.assert_array_equal(again.forward(panel).values, fitted.forward(panel).values)


@pytest.mark.parametrize("spec", [t for t in POINTWISE if t.name != "log1p"], ids=lambda spec: spec.name)
def test_arrays_that_cannot_have_been_learned_are_refused(spec):
    panel = noisy()
    tables = spec.fit(panel).tables()
    key = list(tables)[-1]
    for wrong in (tables[key][:-1], tables[key].astype(np.float32), np.full_like(tables[key], np.inf)):
        with pytest.raises(ConfigError, match=spec.name):
            spec.restored({**tables, key: wrong}, panel, len(panel))
    with pytest.raises(ConfigError):
        spec.restored({}, panel, len(panel))


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: BoxCox(bounds=(2.0, 1.0)), "ascend"),
        (lambda: BoxCox(bounds=(1.0,)), "two numbers"),
        (lambda: BoxCox(bounds="ab"), "two numbers"),
        (lambda: YeoJohnson(bounds=(0.0, float("nan"))), "bounds"),
        (lambda: BoxCox(shift=-1.0), "shift"),
        (lambda: Quantile(knots=1), "knots"),
        (lambda: SeasonalDifference(season=0), "season"),
        (lambda: SeasonalDifference().ready(1), "no season"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, hint):
    with pytest.raises(ConfigError, match=hint):
        make()
