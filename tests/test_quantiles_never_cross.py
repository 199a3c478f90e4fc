"""Quantiles do not cross: any head, any values, after saving and loading, after the way back from log and Box-Cox."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import Forecaster, Transformed
from forecast.models import DeepAR, SegRNN

pytestmark = pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")

H, ROWS = 4, 30
PROBS = [0.05, 0.1, 0.11, 0.25, 0.5, 0.75, 0.9, 0.95]
SIZES = {"input_size": 8, "hidden_size": 4}
REAL = {
    "quantile": SegRNN(quantiles=tuple(PROBS), **SIZES),
    "conformal": SegRNN(**SIZES),
    **{name: SegRNN(likelihood=name, **SIZES) for name in ("normal", "student_t", "laplace", "implicit_quantile")},
    "mixture": SegRNN(likelihood="2*normal+student_t", **SIZES),
    "sampled": DeepAR(num_samples=20, quantiles=tuple(PROBS), **SIZES),
    "naive": "seasonal_naive",
}
POSITIVE = {
    **{f"log {name}": Transformed(model, ["log1p"]) for name, model in REAL.items()},
    **{f"box-cox {name}": Transformed(model, ["boxcox"]) for name, model in REAL.items()},
    "log_normal": SegRNN(likelihood="log_normal", **SIZES),
    "tweedie": SegRNN(likelihood="tweedie", **SIZES),
}
COUNTS = {
    name: SegRNN(likelihood=name, **SIZES)
    for name in ("poisson", "negative_binomial", "zero_inflated_negative_binomial", "2*poisson")
}


def frame_of(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "a", "ds": range(len(values)), "y": np.array(values, dtype=float)})


def trained(models: dict, values: np.ndarray, **options) -> Forecaster:
    frame = pd.concat([frame_of(values).assign(unique_id="a"), frame_of(2 * values).assign(unique_id="b")])
    return Forecaster(models, h=H, freq=1, season_length=4, max_steps=2, progress=False, **options).fit(frame)


def check(fitted: Forecaster, values: list[float]) -> None:
    out = fitted.predict(frame_of(values), quantiles=PROBS)
    for name in fitted.models:
        quantiles = out[[f"{name}-q-{p}" for p in PROBS]].to_numpy()
        assert np.isfinite(quantiles).all(), (name, quantiles)
        assert (np.diff(quantiles, axis=1) >= 0).all(), (name, quantiles)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, 3.0, ROWS)


@pytest.fixture(scope="module", params=["fresh", "loaded"])
def both(request, noise, tmp_path_factory):
    """(real, positive, count) models; once as they were fitted, once as they come back from disk."""
    made = trained(REAL, noise), trained(POSITIVE, noise + 0.1), trained(COUNTS, np.floor(noise))
    if request.param == "fresh":
        return made
    folder = tmp_path_factory.mktemp("saved")
    return tuple(Forecaster.load(each.save(folder / str(number))) for number, each in enumerate(made))


def numbers(low: float, high: float) -> st.SearchStrategy:
    """Histories of wild values: any size between, spikes, constants, zeros in a row."""
    value = st.floats(low, high) | st.sampled_from([low, high, max(low, 0.0), 1.0])
    return st.lists(value, min_size=3, max_size=12).flatmap(lambda v: st.permutations(v + v[:1] * 4))


@given(values=numbers(-1e30, 1e30))
@settings(max_examples=30)
def test_of_any_numbers(both, values):
    check(both[0], values)


@given(values=numbers(1e-6, 1e12))
@settings(max_examples=20)
def test_of_any_positive_numbers_and_after_the_way_back_from_log_and_box_cox(both, values):
    check(both[1], values)


@given(values=st.lists(st.integers(0, 10**6) | st.just(0), min_size=3, max_size=16))
@settings(max_examples=30)
def test_of_any_counts(both, values):
    check(both[2], values)


@pytest.mark.parametrize("method", ["split", "cross", "adaptive"])
def test_of_conformal_intervals_of_any_model(noise, method):
    frame_rows = np.tile(noise, 3)
    fitted = trained({"net": SegRNN(**SIZES), "naive": "naive"}, frame_rows, intervals=method)
    rng = np.random.default_rng(1)
    for size in (1e-30, 1.0, 1e20):
        check(fitted, (size * rng.standard_cauchy(20)).tolist())
    fitted.update(frame_of((100 * rng.standard_cauchy(6)).tolist()).assign(ds=lambda f: f["ds"] + len(frame_rows)))
    check(fitted, frame_rows.tolist())
