"""Conformal intervals of simulated processes hold as many actuals as they promise, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from forecast import Calibrated, Forecaster, Intervals, Training, Transformed
from forecast.ensemble import Ensemble
from forecast.models import MLP
from tests.intervals import processes

SERIES, LENGTH, H = 2000, 48, 3
CONTINUOUS = {"ar1", "seasonal", "heteroscedastic"}
TRAINING = Training(max_steps=40, batch_size=128, cycles=1, validations=1)
MODELS = {
    "baseline": "historic_mean",
    "net": MLP(input_size=12, hidden_size=8),
    "ensemble": Ensemble(("naive", "historic_mean"), combine="mean"),
}


@pytest.fixture(scope="module", params=["ar1", "seasonal", "heteroscedastic", "counts", "intermittent"])
def process(request):
    return request.param, getattr(processes, request.param)(np.random.default_rng(7), SERIES, LENGTH + H)


def coverage(process, model, intervals, level):
    """The share of the 2,000 series whose actual lies inside, for each step (H,)."""
    _, values = process
    fitted = Forecaster({"m": model}, H, 1, training=TRAINING, intervals=intervals, progress=False)
    made = fitted.fit(processes.long(values[:, :-H])).predict(level=level)
    actual = values[:, -H:].ravel()
    ends = [(made[f"m-lo-{one}"].to_numpy(), made[f"m-hi-{one}"].to_numpy()) for one in level]
    return [((low <= actual) & (actual <= high)).reshape(SERIES, H).mean(axis=0) for low, high in ends]


def within_the_band(process, shares, level):
    low, high = np.array(stats.binom.interval(0.9999, SERIES, level / 100)) / SERIES
    assert (shares >= low).all(), (level, shares)
    if process[0] in CONTINUOUS:  # an interval of whole numbers holds more than it promises
        assert (shares <= high).all(), (level, shares)


@pytest.mark.parametrize("method", ["split", "cross", "adaptive"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_eighty_and_ninety_five_per_cent_hold_at_every_step(process, model, method):
    for level, shares in zip((80, 95), coverage(process, model, method, [80, 95]), strict=True):
        within_the_band(process, shares, level)


def test_calm_and_lively_series_are_covered_alike():
    values = processes.ar1(np.random.default_rng(3), SERIES, LENGTH + H)
    size = np.abs(np.diff(values)).mean(axis=1)
    made = Forecaster("naive", H, 1, intervals="split", progress=False).fit(processes.long(values[:, :-H]))
    table = made.predict(level=80)
    actual = values[:, -H:].ravel()
    inside = ((table["naive-lo-80"] <= actual) & (actual <= table["naive-hi-80"])).to_numpy().reshape(SERIES, H)
    for part in np.array_split(np.argsort(size), 4):  # sizes differ by a factor of a hundred
        low, high = stats.binom.interval(0.9999, part.size, 0.8)
        assert low <= inside[part].sum(axis=0).min()
        assert inside[part].sum(axis=0).max() <= high


def test_both_tails_of_skew_errors_hold_what_they_promise():
    values = np.random.default_rng(5).lognormal(0.0, 1.0, (SERIES, LENGTH + H))
    fitted = Forecaster("historic_mean", H, 1, intervals="split", progress=False)
    made = fitted.fit(processes.long(values[:, :-H])).predict(quantiles=[0.1, 0.9])
    actual = values[:, -H:].ravel()
    for prob in (0.1, 0.9):
        below = (actual <= made[f"historic_mean-q-{prob}"].to_numpy()).sum()
        low, high = stats.binom.interval(0.9999, actual.size, prob)
        assert low <= below <= high


def test_behind_a_logarithm_intervals_are_in_the_units_of_the_data():
    values = np.exp(processes.seasonal(np.random.default_rng(6), SERIES, LENGTH + H) / 20.0)
    process = ("seasonal", values)
    for level, shares in zip(
        (80, 95), coverage(process, Transformed("naive", ["log1p"]), "split", [80, 95]), strict=True
    ):
        within_the_band(process, shares, level)


def test_counts_behind_transforms_stay_whole_and_not_negative():
    values = processes.counts(np.random.default_rng(8), 40, LENGTH)
    model = Calibrated(Transformed("historic_mean", non_negative=True, integer=True), "split")
    made = Forecaster({"m": model}, H, 1, progress=False).fit(processes.long(values)).predict(level=[80, 95])
    ends = made.filter(like="m-").to_numpy()
    assert (ends >= 0).all()
    assert (ends == np.rint(ends)).all()


def test_one_short_series_has_intervals_of_the_size_of_its_changes():
    values = np.random.default_rng(1).standard_normal(30)
    made = Forecaster("naive", 2, 1, intervals=Intervals(windows=3), progress=False).fit(processes.long(values))
    table = made.predict(level=90)
    width = (table["naive-hi-90"] - table["naive-lo-90"]).to_numpy()
    assert (width > 1.0).all()
    assert (width < 20.0).all()
