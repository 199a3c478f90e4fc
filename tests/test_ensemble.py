"""Ensembles: arithmetic of mean and median, weights of each series, seeds, and the way to disk and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import Forecaster, Training
from forecast.arguments import named_models
from forecast.ensemble import (
    COMBINED,
    Ensemble,
    EnsembleModel,
    FittedEnsemble,
    Member,
    Weights,
    reseeded,
    weighted_median,
)
from forecast.errors import ArtifactError, ConfigError
from forecast.ingest.door import to_panel
from forecast.model import Prediction, Task
from forecast.models import create
from forecast.panel.panel import Panel
from forecast.saved_models import check_weights


@dataclass(frozen=True)
class Constant:
    """Forecasts ``value`` and quantiles one apart around it, or nothing for the series called ``fails``."""

    value: float
    fails: str = ""

    def fit(self, panel: Panel, task: Task) -> Constant:
        return self

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        point = np.full((len(panel), h), self.value)
        point[panel.ids == self.fails] = np.nan
        steps = np.arange(len(probs)) - len(probs) // 2
        return Prediction(point, point[..., None] + steps, probs, {0: f"reason of {self.value:g}"})

    def describe(self) -> dict[str, object]:
        return {}


def of(*values: float, weights: Weights | None = None, combine: str = "mean", fails: str = "") -> FittedEnsemble:
    members = tuple(Member(f"m{v:g}", c := Constant(v, fails if v == values[0] else ""), c) for v in values)
    return FittedEnsemble(members, weights or Weights.equal(len(values)), combine)


@pytest.fixture(scope="module")
def panel(frame: pd.DataFrame) -> Panel:
    return to_panel(frame)


def test_the_mean_of_two_forecasts_lies_between_them(panel: Panel) -> None:
    prediction = of(1.0, 5.0).predict(panel, 2, (0.1, 0.5, 0.9))
    assert (prediction.point == 3.0).all()
    assert prediction.quantiles[0, 0].tolist() == [2.0, 3.0, 4.0]


def test_the_median_ignores_a_member_gone_astray(panel: Panel) -> None:
    assert (of(1.0, 2.0, 1e9, combine="median").predict(panel, 2).point == 2.0).all()


def test_the_mean_of_huge_forecasts_does_not_overflow(panel: Panel) -> None:
    assert np.allclose(of(1.5e308, 1.5e308).predict(panel, 1).point, 1.5e308)


def test_with_equal_weights_the_weighted_median_is_the_median() -> None:
    outputs = np.random.default_rng(0).standard_normal((5, 3, 2, 1))
    for count in (1, 2, 3, 4, 5):
        equal = np.full((3, count), 1.0 / count)
        np.testing.assert_allclose(weighted_median(outputs[:count], equal), np.median(outputs[:count], axis=0))


def test_the_weighted_median_follows_the_weight_and_leaves_out_members_without_any() -> None:
    outputs = np.array([1.0, 2.0, 100.0])[:, None, None, None]
    assert weighted_median(outputs, np.array([[0.96, 0.02, 0.02]])).item() < 1.05
    assert weighted_median(outputs, np.array([[0.5, 0.5, 0.0]])).item() == pytest.approx(1.5)
    assert weighted_median(outputs, np.array([[0.0, 0.0, 1.0]])).item() == pytest.approx(100.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.data())
def test_every_combination_lies_within_the_forecasts_it_combines(values: list[float], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(values), max_size=len(values)))
    outputs = np.array(values)[:, None, None, None]
    shares = np.array([weights]) / sum(weights)
    for name, combine in COMBINED.items():
        result = combine(outputs, shares).item()
        assert min(values) - 1e-6 <= result <= max(values) + 1e-6, name


def test_the_robust_mean_lies_half_way_between_mean_and_median(panel: Panel) -> None:
    assert of(0.0, 0.0, 9.0, combine="robust").predict(panel, 1).point[0, 0] == pytest.approx(1.5)


@pytest.mark.parametrize("combine", ["mean", "median"])
def test_a_member_without_a_forecast_for_a_series_is_made_up_for_by_the_others(panel: Panel, combine: str) -> None:
    point = of(1.0, 5.0, combine=combine, fails="s1").predict(panel, 1).point[:, 0]
    assert point.tolist() == [3.0, 5.0, 3.0]


def test_a_series_nobody_can_forecast_stays_unknown(panel: Panel) -> None:
    assert np.isnan(of(1.0, fails="s1").predict(panel, 1).point[1, 0])


def test_each_series_has_its_own_weights_and_an_unknown_one_the_common_ones(panel: Panel) -> None:
    weights = Weights(np.array([0.5, 0.5]), pd.Index(["s2", "s0"]), np.array([[1.0, 0.0], [0.25, 0.75]]))
    assert of(0.0, 4.0, weights=weights).predict(panel, 1).point[:, 0].tolist() == [3.0, 2.0, 0.0]


def test_a_member_is_not_asked_for_series_it_has_no_weight_in(panel: Panel) -> None:
    weights = Weights(np.array([1.0, 0.0]), pd.Index([]), np.empty((0, 2)))
    prediction = of(1.0, 5.0, weights=weights).predict(panel, 1)
    assert set(prediction.reasons.values()) == {"reason of 1"}


def test_members_of_one_name_are_trained_from_different_seeds() -> None:
    model = named_models(Ensemble(("segrnn", "theta", "segrnn")), Training())["ensemble"]
    assert isinstance(model, EnsembleModel)
    assert [(name, number) for name, (_, number) in model.models().items()] == [
        ("segrnn", 0),
        ("theta", 0),
        ("segrnn#2", 1),
    ]
    task = Task(3, seed=5)
    assert reseeded(task, 0) == task
    assert reseeded(task, 1).seed not in (5, reseeded(task, 2).seed)


def test_seeds_multiply_the_nets_among_the_members_and_leave_baselines_alone() -> None:
    def numbered(ensemble: Ensemble) -> list[tuple[str, int]]:
        model = named_models(ensemble, Training())["ensemble"]
        return [(name, number) for name, (_, number) in model.models().items()]

    assert numbered(Ensemble(("segrnn",), seeds=3)) == numbered(Ensemble(("segrnn", "segrnn", "segrnn")))
    assert [name for name, _ in numbered(Ensemble(("lstm", "theta", "gru", "lstm"), seeds=2))] == [
        "lstm",
        "lstm#2",
        "theta",
        "gru",
        "gru#2",
        "lstm#3",
        "lstm#4",
    ]


def test_several_seeds_of_a_net_train_to_different_weights_and_survive_save_and_load(
    frame: pd.DataFrame, quick: Training, tmp_path
) -> None:
    ensemble = Ensemble(("mlp",), "mean", seeds=2)
    forecaster = Forecaster(ensemble, h=4, freq="MS", training=quick, seed=3, progress=False).fit(frame)
    first, second = (member.fitted for member in forecaster._fitted["ensemble"].members)
    assert not np.array_equal(first.predict(to_panel(frame), 4).point, second.predict(to_panel(frame), 4).point)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    assert loaded.models["ensemble"].spec.seeds == 2


def test_the_weighted_ensemble_prefers_the_member_with_the_smaller_error(frame: pd.DataFrame) -> None:
    forecaster = Forecaster(Ensemble(("naive", "seasonal_naive"), "weighted"), h=6, freq="MS").fit(frame)
    naive, seasonal = forecaster._fitted["ensemble"].weights.default
    assert seasonal > 2 * naive
    assert naive + seasonal == pytest.approx(1.0)


def test_an_ensemble_of_nets_and_baselines_survives_save_and_load(
    frame: pd.DataFrame, quick: Training, tmp_path
) -> None:
    ensemble = Ensemble(("segrnn", "segrnn", "naive"), "mean")
    forecaster = Forecaster(ensemble, h=4, freq="MS", training=quick, progress=False).fit(frame)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), forecaster.predict(level=[80]), check_exact=True)
    assert loaded.models["ensemble"].spec == ensemble


def test_a_stateful_member_reads_on_when_rows_are_added(frame: pd.DataFrame, quick: Training) -> None:
    stateful = replace(quick, stateful=True)
    ensemble = Ensemble(("lstm", "naive"), "mean")
    early = frame.groupby("unique_id").head(50)
    forecaster = Forecaster(ensemble, h=4, freq="MS", training=stateful, progress=False).fit(early)
    before = forecaster._fitted["ensemble"].members[0].fitted.states
    forecaster.update(frame.drop(early.index))
    after = forecaster._fitted["ensemble"].members[0].fitted.states
    assert after is not before
    expected = Forecaster(ensemble, h=4, freq="MS", training=stateful, progress=False).fit(early).predict(frame)
    pd.testing.assert_frame_equal(forecaster.predict(), expected, rtol=1e-5)


def test_an_ensemble_says_whether_any_member_reads_static_features() -> None:
    told = named_models({"a": Ensemble(("segrnn", "theta")), "b": Ensemble(("mlp", "theta"))}, Training())
    assert [model.reads_static for model in told.values()] == [True, False]


@pytest.mark.parametrize(
    ("ensemble", "said"),
    [
        (Ensemble(()), "members is empty"),
        (Ensemble(("naive",), "mode"), "combine='mode' is not one of mean, median, robust, weighted"),
        (Ensemble(("naive", "ensemble")), "ensemble is an ensemble itself"),
        (Ensemble(("naiv",)), "no model 'naiv'.*Did you mean 'naive'"),
        (Ensemble(seeds=0), "ensemble: seeds=0 must be a whole number from 1 to 100"),
        (Ensemble(seeds=10**9), "seeds=1000000000"),
        (Ensemble(seeds=True), "seeds=True"),
    ],
)
def test_an_impossible_ensemble_is_refused_with_its_reason(ensemble: Ensemble, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Forecaster(ensemble, h=2)


@pytest.mark.parametrize(
    ("default", "table"),
    [([0.5, 0.4], [[0.5, 0.5]]), ([0.5, 0.5], [[1.5, -0.5]]), ([0.5, 0.5], [[np.nan, 1.0]]), ([1.0], [[1.0]])],
)
def test_weights_from_a_file_that_are_no_shares_are_refused(default: list[float], table: list[list[float]]) -> None:
    with pytest.raises(ConfigError, match="weights of an ensemble"):
        check_weights(np.array(default), np.array(table), pd.Index(["a"]), [1, 2])


def test_a_saved_ensemble_cannot_smuggle_in_another_ensemble(frame: pd.DataFrame, tmp_path) -> None:
    import json

    from forecast import artifact, persist

    forecaster = Forecaster(Ensemble(("naive", "drift")), h=4, freq="MS").fit(frame)
    forecaster.save(tmp_path / "m")
    stored = artifact.read(tmp_path / "m")
    facts = json.loads(json.dumps(stored.facts))
    facts["models"][0]["members"][0] = facts["models"][0]
    with pytest.raises(ArtifactError, match="ensemble within an ensemble"):
        persist.from_artifact(artifact.Artifact(facts, stored.arrays))


def test_the_yaml_gives_three_seeds_of_the_default_net() -> None:
    assert create("ensemble") == Ensemble()
