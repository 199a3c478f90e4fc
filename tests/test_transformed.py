"""Transformed models: what comes back, what teaches the transforms, the way to disk and back, config and command."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import yaml

from forecast import ConfigError, DataError, Forecaster, Training, Transformed
from forecast.arguments import named_models
from forecast.baselines.naive import Drift, Naive
from forecast.batch.models.due import recipe_of
from forecast.batch.opening import _policy
from forecast.batch.settings import from_mapping
from forecast.errors import ArtifactError
from forecast.forecasts import wanted
from forecast.ingest.door import to_panel
from forecast.model import Advancing, Continuing, Model, Prediction, Task
from forecast.models import LSTM, MQRNN, create, name_of
from forecast.opening import open_model
from forecast.panel.panel import Panel
from forecast.panel.transforms.lagged import Difference, SeasonalDifference
from forecast.panel.transforms.logs import Log1p
from forecast.panel.transforms.powers import BoxCox
from forecast.resources import conf_dir
from forecast.saved_models import model_arrays, model_facts, restored
from forecast.transformed import (
    FittedTransformed,
    TransformedModel,
    transformed,
)
from forecast.transforms import as_transforms
from tests.conftest import seasonal_frame

QUICK = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
TASK = Task(h=4, season_length=12, progress=False)
PROBS = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
NET = LSTM(input_size=12, hidden_size=4)
CHAINS = [
    ["log1p"],
    ["asinh"],
    ["boxcox", "standard"],
    ["yeo_johnson"],
    ["difference"],
    ["boxcox", "seasonal_difference", "difference", "robust"],
    ["mean_absolute", "quantile"],
    ["min_max"],
    [],
]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return to_panel(seasonal_frame(3, 60))


def model(spec, *transforms, **options) -> TransformedModel:
    (made,) = named_models(Transformed(spec, list(transforms), **options), QUICK).values()
    return made


def scaled(panel: Panel, factor: float) -> Panel:
    return replace(panel, values=panel.values * factor)


@dataclass(frozen=True)
class Normal:
    """Forecasts the same normal distribution for every step; quantiles below ``worst`` of it are all it knows."""

    mean: float
    spread: float

    def fit(self, panel: Panel, task: Task) -> Normal:
        return self

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        scores = np.array([NormalDist().inv_cdf(prob) for prob in probs])
        point = np.full((len(panel), h), self.mean)
        return Prediction(point, point[..., None] + self.spread * scores, probs, {0: "because"})

    def describe(self) -> dict[str, object]:
        return {"kind": "Normal"}


def test_names_mappings_and_objects_are_the_same_transforms():
    made = as_transforms(["log1p", {"name": "seasonal_difference", "season": 7}, BoxCox(shift=1)])
    assert made == (Log1p(), SeasonalDifference(7), BoxCox(shift=1))
    assert as_transforms([transform.facts() for transform in made]) == made
    assert as_transforms(json.loads(json.dumps([transform.facts() for transform in made]))) == made
    assert as_transforms("difference") == (Difference(),)
    assert as_transforms([{"name": "boxcox", "bounds": [0, 1]}]) == (BoxCox(bounds=(0.0, 1.0)),)


@pytest.mark.parametrize(
    ("transforms", "hint"),
    [
        (["log1"], "Did you mean 'log1p'"),
        ([3], "no transform 3"),
        ([{"season": 3}], "no transform None"),
        ([{"name": "seasonal_difference", "sesaon": 3}], "Did you mean 'season'"),
        ([{"name": "seasonal_difference", "season": "weekly"}], "expected int"),
        (7, "must be a list"),
        (["difference"] * 50, "at most"),
    ],
)
def test_a_transform_that_there_is_not_is_named(transforms, hint):
    with pytest.raises(ConfigError, match=hint):
        Transformed("naive", transforms)


def test_a_transformed_model_is_a_model_and_goes_by_the_name_of_the_one_inside():
    made = model("theta", "log1p")
    assert isinstance(made, Model) and isinstance(made, Continuing)
    assert name_of(Transformed(LSTM(), ["log1p"])) == "lstm" and name_of(Transformed("theta")) == "theta"
    assert list(named_models([Transformed("theta", ["log1p"]), "theta"], QUICK)) == ["theta", "theta2"]


def test_what_cannot_be_transformed_is_refused():
    with pytest.raises(ConfigError, match="transformed already"):
        Transformed(Transformed("naive"))
    with pytest.raises(ConfigError, match="no rows"):
        model("cold_start", "log1p")
    with pytest.raises(ConfigError, match="non_negative='no'"):
        Transformed("naive", non_negative="no")
    with pytest.raises(ConfigError, match="no season"):
        model("naive", "seasonal_difference").fit(to_panel(seasonal_frame(1, 20)), replace(TASK, season_length=1))


def test_pointwise_transforms_carry_quantiles_through(panel):
    plain = named_models("naive", QUICK)["naive"]
    logs = replace(panel, values=np.log1p(panel.values))
    inside = plain.fit(logs, TASK).predict(logs, 4, PROBS)
    made = model("naive", "log1p").fit(panel, TASK).predict(panel, 4, PROBS)
    np.testing.assert_allclose(made.quantiles, np.expm1(inside.quantiles), rtol=1e-12)
    np.testing.assert_allclose(made.point, np.expm1(inside.point), rtol=1e-12)
    np.testing.assert_allclose(made.point, np.repeat(panel.values[panel.offsets[1:] - 1][:, None], 4, 1), rtol=1e-12)


def test_the_mean_of_differences_added_up_is_the_drift(panel):
    made = model("historic_mean", "difference").fit(panel, TASK).predict(panel, 4)
    np.testing.assert_allclose(made.point, Drift().fit(panel, TASK).predict(panel, 4).point, rtol=1e-10)


def test_a_walk_of_differences_is_as_uncertain_as_the_naive_forecast(panel):
    centred = replace(panel, values=panel.values - np.repeat(panel.values[panel.offsets[:-1]], panel.lengths))
    made = model("historic_mean", "difference").fit(centred, TASK).predict(centred, 4, (0.1, 0.9))
    naive = Naive().fit(centred, TASK).predict(centred, 4, (0.1, 0.9))
    width, wanted_width = np.ptp(made.quantiles, axis=-1), np.ptp(naive.quantiles, axis=-1)
    np.testing.assert_allclose(width, wanted_width, rtol=0.1)


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_quantiles_do_not_cross_and_the_median_is_the_point(panel, chain):
    made = model("ets", *chain).fit(panel, TASK).predict(panel, 4, PROBS)
    assert np.isfinite(made.quantiles).all()
    assert (np.diff(made.quantiles, axis=-1) >= 0).all()
    np.testing.assert_allclose(made.quantiles[..., PROBS.index(0.5)], made.point, rtol=1e-6)


@pytest.mark.parametrize(
    "chain", [["boxcox"], ["asinh"], ["standard", "yeo_johnson"], ["boxcox", "difference", "robust"]], ids="+".join
)
def test_forecasts_come_in_the_unit_of_the_series(panel, chain):
    made = model("theta", *chain)
    one = made.fit(panel, TASK).predict(panel, 4, PROBS)
    two = made.fit(scaled(panel, 1e4), TASK).predict(scaled(panel, 1e4), 4, PROBS)
    np.testing.assert_allclose(two.point, 1e4 * one.point, rtol=1e-4)
    np.testing.assert_allclose(two.quantiles, 1e4 * one.quantiles, rtol=1e-4)


def test_a_forecast_does_not_depend_on_the_other_series(panel):
    fitted = model("theta", "boxcox", "difference", "quantile").fit(panel, TASK)
    whole = fitted.predict(panel, 4, PROBS)
    for number in range(len(panel)):
        alone = fitted.predict(panel.take(np.array([number])), 4, PROBS)
        np.testing.assert_array_equal(alone.quantiles[0], whole.quantiles[number])


def test_a_new_series_is_transformed_by_what_its_own_rows_teach(panel):
    made = model("theta", "boxcox", "difference", "standard")
    new = panel.take(np.array([2]))
    fitted = made.fit(panel.take(np.array([0, 1])), TASK)
    assert fitted.predict(new, 4, PROBS).point.tolist() == made.fit(new, TASK).predict(new, 4, PROBS).point.tolist()


@pytest.mark.parametrize("val_size", [None, 8])
def test_rows_held_out_for_validation_teach_the_transforms_nothing(panel, val_size):
    task = replace(TASK, val_size=val_size)
    net = model(NET, "boxcox", "standard", "quantile")
    held = panel.lengths - (8 if val_size else np.clip(panel.lengths // 6, 4, 40))
    poison = np.arange(len(panel.values)) - panel.offsets[panel.series] >= held[panel.series]
    assert 0 < poison.sum() < len(poison) / 2
    one = net.fit(panel, task).chain.links
    two = net.fit(replace(panel, values=np.where(poison, 1e3 * panel.values, panel.values)), task).chain.links
    for mine, theirs in zip(one, two, strict=True):
        for key, table in mine.tables().items():
            np.testing.assert_array_equal(table, theirs.tables()[key])


def test_a_baseline_holds_nothing_out_so_every_row_teaches(panel):
    fitted = model("naive", "standard").fit(panel, TASK)
    np.testing.assert_allclose(fitted.chain.links[0].center, [values.mean() for values in panel.each()])


def test_the_mean_after_a_logarithm_is_that_of_the_log_normal_distribution(panel):
    log = BoxCox(bounds=(0.0, 0.0))
    fitted = TransformedModel(Normal(0.3, 0.5), (log,), bias_corrected=True).fit(panel, TASK)
    unit = fitted.chain.links[0].unit
    made = fitted.predict(panel, 4, (0.5,))
    np.testing.assert_allclose(made.point, np.repeat(unit[:, None] * np.exp(0.3 + 0.5**2 / 2), 4, 1), rtol=1e-6)
    np.testing.assert_allclose(made.quantiles[..., 0], np.repeat(unit[:, None] * np.exp(0.3), 4, 1), rtol=1e-6)
    median = TransformedModel(Normal(0.3, 0.5), (log,)).fit(panel, TASK).predict(panel, 4)
    np.testing.assert_allclose(median.point, made.quantiles[..., 0])


def test_the_mean_of_growth_added_up_grows_with_its_variance(panel):
    chain = (BoxCox(bounds=(0.0, 0.0)), Difference())
    made = TransformedModel(Normal(0.1, 0.2), chain, bias_corrected=True).fit(panel, TASK).predict(panel, 4)
    steps = np.arange(1, 5)
    last = panel.values[panel.offsets[1:] - 1]
    np.testing.assert_allclose(made.point, last[:, None] * np.exp(0.1 * steps + 0.2**2 * steps / 2), rtol=1e-6)
    assert made.reasons == {0: "because"}


def test_means_need_quantiles_on_both_sides_of_the_median(panel):
    narrow = replace(create("mqrnn"), quantiles=(0.9,), input_size=12)
    with pytest.raises(ConfigError, match="both sides of the median"):
        model(narrow, "log1p", bias_corrected=True).fit(panel, TASK)
    wide = MQRNN(input_size=12, hidden_size=4, quantiles=(0.2, 0.8))
    made = model(wide, "log1p", bias_corrected=True).fit(panel, TASK)
    assert made.tail == pytest.approx(0.2)
    assert np.isfinite(made.predict(panel, 4, (0.2, 0.5, 0.8)).point).all()


def test_forecasts_below_zero_are_zero_and_whole_numbers_whole(panel):
    around = replace(panel, values=panel.values - np.repeat(panel.values[panel.offsets[1:] - 1], panel.lengths))
    plain = model("naive").fit(around, TASK).predict(around, 4, PROBS)
    assert (plain.quantiles < 0).any()
    made = model("naive", non_negative=True, integer=True).fit(around, TASK).predict(around, 4, PROBS)
    assert (made.quantiles >= 0).all() and not np.signbit(made.point).any()
    np.testing.assert_array_equal(made.quantiles, np.rint(np.maximum(plain.quantiles, 0)))
    assert (np.diff(made.quantiles, axis=-1) >= 0).all()


def test_values_without_a_logarithm_are_named_before_training(panel):
    frame = seasonal_frame(2, 30)
    frame.loc[frame["unique_id"] == "s1", "y"] -= 1e6
    with pytest.raises(DataError, match="s1.*yeo_johnson or asinh"):
        Forecaster(Transformed(NET, ["log1p"]), h=2, training=QUICK, progress=False).fit(frame)


@pytest.mark.parametrize("spec", ["theta", NET, "ensemble"], ids=["baseline", "net", "ensemble"])
def test_a_transformed_model_is_saved_and_loaded_to_the_last_bit(spec, tmp_path):
    if spec == "ensemble":
        spec = replace(create("ensemble"), members=("naive", "theta"))
    chain = ["boxcox", "seasonal_difference", "quantile", "standard"]
    made = Transformed(spec, chain, non_negative=True, bias_corrected=True)
    frame = seasonal_frame(2, 50)
    fitted = Forecaster({"m": made}, h=3, training=QUICK, progress=False).fit(frame)
    again = Forecaster.load(fitted.save(tmp_path / "m"))
    assert again.predict(level=[80, 95]).equals(fitted.predict(level=[80, 95]))
    assert again.models["m"].transforms == made.transforms and again.models["m"].bias_corrected
    json.dumps(again._fitted["m"].describe())
    newcomer = seasonal_frame(1, 40, seed=9).assign(unique_id="new")
    assert again.predict(newcomer).equals(fitted.predict(newcomer))
    again.save(tmp_path / "n")
    one, two = (
        {file.suffix + file.stem.split("-")[0]: file.read_bytes() for file in (tmp_path / f).rglob("*.safetensors")}
        for f in "mn"
    )
    assert one == two and len(one) == 2


def test_facts_that_do_not_fit_are_refused(panel):
    made = model("naive", "boxcox", "standard")
    fitted = made.fit(panel, TASK)
    facts, arrays = {"name": "m", **model_facts(made, fitted)}, model_arrays(fitted)
    facts = json.loads(json.dumps(facts))
    _, again = restored(facts, arrays, panel, TASK)
    assert isinstance(again, FittedTransformed)
    inner = facts["model"]
    for broken in (
        {"chain": facts["chain"][::-1]},
        {"chain": facts["chain"][:1]},
        {"chain": "log1p"},
        {"chain": [{"name": "os.system"}] * 2},
        {"hyper_parameters": {"transforms": ["log1p"]}},
        {"hyper_parameters": {"transforms": [], "evil": 1}},
        {"model": {**inner, "kind": "transformed"}},
    ):
        with pytest.raises((ConfigError, ArtifactError)):
            restored({**facts, **broken}, arrays, panel, TASK)
    for key, value in (("transforms.0.unit", -1.0), ("transforms.1.spread", 0.0), ("transforms.0.exponent", np.inf)):
        with pytest.raises(ConfigError, match="out of range"):
            restored(facts, {**arrays, key: np.full_like(arrays[key], value)}, panel, TASK)
    with pytest.raises(ConfigError):
        restored(facts, {**arrays, "transforms.1.extra": arrays["transforms.0.unit"]}, panel, TASK)


def test_what_was_learned_is_told(panel):
    told = model("naive", "boxcox", "quantile", integer=True).fit(panel, TASK).describe()
    assert [transform["name"] for transform in told["transforms"]] == ["boxcox", "quantile"]
    exponent = told["transforms"][0]["exponent"]
    assert exponent["min"] <= exponent["median"] <= exponent["max"]
    assert told["integer"] and not told["bias_corrected"] and told["model"] == "Naive"
    json.dumps(told)


def test_new_rows_advance_a_transformed_model_as_if_it_had_read_them_all():
    frame = seasonal_frame(2, 50)
    stamps = frame["ds"].drop_duplicates().sort_values()
    old, new = frame[frame["ds"] <= stamps.iloc[-7]], frame[frame["ds"] > stamps.iloc[-7]]
    training = replace(QUICK, stateful=True)
    made = Transformed(LSTM(input_size=12, hidden_size=4), ["boxcox", "difference"])
    fitted = Forecaster({"m": made}, h=3, training=training, progress=False).fit(old)
    assert isinstance(fitted._fitted["m"], Advancing)
    wanted_rows = fitted.predict(frame)
    newcomer = seasonal_frame(1, 50, seed=5).assign(unique_id="new")
    advanced = fitted.update(pd.concat([new, newcomer]))
    out = advanced.predict()
    pd.testing.assert_frame_equal(out[out["unique_id"] != "new"].reset_index(drop=True), wanted_rows, rtol=1e-5)
    assert "new" in advanced._fitted["m"].chain.ids


def test_training_goes_on_from_the_weights_of_a_transformed_model(panel):
    made = model(NET, "log1p")
    first = made.fit(panel, TASK)
    again = made.continued(first).fit(panel, TASK)
    assert again.fitted.history["start"] == "warm"
    assert model("naive", "log1p").continued(first) == model("naive", "log1p")


def test_features_are_read_by_whom_they_were_read(panel):
    assert model(NET).reads_static is True and model("naive").reads_static is None
    assert model("dlinear").reads_static is False
    assert model(NET).reads_hist == named_models(NET, QUICK)["lstm"].reads_hist


def test_the_recipe_of_a_model_tells_its_transforms():
    recipes = {
        recipe_of(made, TASK)
        for made in (
            model(NET),
            model(NET, "log1p"),
            model(NET, "difference"),
            model(NET, "log1p", integer=True),
            model(replace(NET, hidden_size=5), "log1p"),
            model("naive", "log1p"),
        )
    }
    assert len(recipes) == 6
    assert recipe_of(model(NET, "log1p"), TASK) == recipe_of(model(NET, "log1p"), TASK)


@pytest.mark.parametrize("command", ["fit", "backtest"])
def test_the_command_line_has_a_key_for_every_option(command):
    config = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())
    section = {"_target_": "forecast.baselines.naive.Naive"}
    asked = wanted([80], [])
    base = {
        "model": section,
        "data": {},
        **{k: config[k] for k in ("transforms", "non_negative", "integer", "bias_corrected")},
    }
    assert open_model(base, asked) == Naive()
    chosen = {"transforms": ["log1p", {"name": "seasonal_difference", "season": 7}], "integer": True}
    made = open_model({**base, **chosen}, asked)
    assert made == Transformed(Naive(), ["log1p", SeasonalDifference(7)], integer=True)


def test_a_batch_job_has_them_too():
    job = {"h": 3, "freq": "D", "model": {"name": "naive", "transforms": ["log1p"], "non_negative": True}}
    policy = _policy(from_mapping(job, "j").values["model"], wanted([80], []))
    assert policy.model == Transformed(Naive(), ["log1p"], non_negative=True)
    assert _policy(from_mapping({"model": {"name": "naive"}}, "j").values["model"], wanted([80], [])).model == Naive()
    with pytest.raises(ConfigError, match="saved model has its own"):
        _policy(from_mapping({"model": {"saved": "m", "integer": True}}, "j").values["model"], wanted([80], []))


def test_a_model_that_is_asked_for_nothing_is_left_as_it_is():
    assert transformed("naive", {"transforms": [], "integer": False, "non_negative": None}) == "naive"
