"""Every yaml: composes, equals its class's defaults, trains two steps, saves, loads, compares."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import yaml

import forecast.models as models
from forecast import ConfigError, Forecaster, Training
from forecast.forecasts import wanted
from forecast.models import create, entries, from_config
from forecast.nets.facts import needs_of
from forecast.resources import conf_dir
from tests.conftest import seasonal_frame
from tests.test_invariants import QUICK, model_of

NETS = [name for name, entry in entries().items() if entry.is_net]
VARIANTS = {"rnn_relu": {"nonlinearity": "relu"}}


def data_for(name: str, series: int, length: int, cold: int = 6) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """A frame and, for a net of static features alone, which learns from whole series, ``cold`` of them and a table."""
    if not needs_of(create(name)).cold:
        return seasonal_frame(series, length), None
    frame = seasonal_frame(cold, length)
    return frame, pd.DataFrame({"unique_id": frame["unique_id"].unique(), "size": np.arange(float(cold))})


@pytest.mark.parametrize("name", entries())
def test_a_yaml_holds_every_field_with_the_default_of_its_class(name):
    config = yaml.safe_load(entries()[name].path.read_text())
    target = config.pop("_target_")
    default = type(from_config({"_target_": target}))()
    assert list(config) == [f.name for f in fields(default)]
    assert create(name) == replace(default, **VARIANTS.get(name, {}))


@pytest.mark.parametrize("name", NETS)
def test_a_net_trains_saves_loads_and_forecasts_the_same(name, tmp_path):
    frame, static = data_for(name, 3, 50)
    fitted = Forecaster({name: model_of(name)}, h=3, training=QUICK, progress=False).fit(frame, static_df=static)
    before = fitted.predict(level=[90])
    after = Forecaster.load(fitted.save(tmp_path / "m")).predict(level=[90])
    assert before.equals(after)


@pytest.mark.parametrize("name", NETS)
def test_a_net_overfits_four_windows(name):
    frame, static = data_for(name, 1, 18, cold=4)
    training = Training(
        max_steps=400, learning_rate=1e-2, batch_size=8, weight_decay=0.0, cycles=1, validations=20, patience=None
    )
    wanted = {"input_size": 12, "hidden_size": 24, "dropout": 0.0, "seasonal_skip": False}
    model = model_of(name)
    model = replace(model, **{key: value for key, value in wanted.items() if hasattr(model, key)})
    forecaster = Forecaster({name: model}, h=3, training=training, progress=False)
    fitted = forecaster.fit(frame, static_df=static, val_size=0)._fitted[name]
    curve = fitted.history["curves"]
    assert fitted.history["windows"] == 4
    assert curve[-1]["train_loss"] < 0.1 * curve[0]["train_loss"]


@pytest.mark.parametrize("name", NETS)
def test_a_net_forecasts_quantiles_that_do_not_cross(name):
    model = replace(model_of(name), quantiles=(0.1, 0.9))
    frame, static = data_for(name, 2, 50)
    fitted = Forecaster({name: model}, h=3, training=QUICK, progress=False).fit(frame, static_df=static)
    out = fitted.predict(quantiles=[0.1, 0.3, 0.5, 0.9])
    assert (np.diff(out[[f"{name}-q-{q}" for q in (0.1, 0.3, 0.5, 0.9)]], axis=1) >= 0).all()


def test_classes_are_found_by_name_and_listed():
    assert models.LSTM.__name__ == "LSTM"
    assert {"SegRNN", "GRU", "RNN", "Seq2Seq", "Naive", "ETS"} <= set(dir(models))
    with pytest.raises(AttributeError, match="Did you mean"):
        models.LSTMM  # noqa: B018


def test_every_unknown_key_is_named_at_once():
    with pytest.raises(ConfigError, match=r"'hiden_size' Did you mean 'hidden_size'.*, 'foo'"):
        create("lstm", hiden_size=3, foo=1)


def test_values_of_the_wrong_type_are_named():
    with pytest.raises(ConfigError, match="hidden_size='big' .expected int."):
        create("lstm", hidden_size="big")


@pytest.mark.parametrize("target", ["os.system", "forecast.cli.main", "forecast.nets.lstm.direct_net", None, 3])
def test_a_target_that_is_no_model_of_ours_is_refused(target):
    with pytest.raises(ConfigError, match="_target_"):
        from_config({"_target_": target, "command": "touch x"})


def test_the_trainer_yaml_equals_the_defaults():
    config = yaml.safe_load((conf_dir() / "trainer" / "default.yaml").read_text())
    assert Training(**config) == Training()
    assert list(config) == [f.name for f in fields(Training)]


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (models.LSTM(input_size=0), "input_size=0 .whole numbers from 1"),
        (models.LSTM(input_size=-3), "input_size=-3"),
        (models.LSTM(input_size=12.0), "input_size=12.0 .expected int"),
        (models.GRU(hidden_size=0), "hidden_size=0"),
        (models.GRU(hidden_size=10**9), "hidden_size=1000000000"),
        (models.GRU(num_layers=True), "num_layers=True .expected int"),
        (models.GRU(dropout=1.5), "dropout=1.5 .from 0 to 1"),
        (models.GRU(dropout=-0.1), "dropout=-0.1"),
        (models.GRU(dropout=float("nan")), "dropout=nan"),
        (models.GRU(quantiles=0.5), "quantiles=0.5"),
        (models.GRU(quantiles=("0.5",)), "quantiles=..0.5"),
        (models.GRU(quantiles=(0.0, 0.5)), "between 0 and 1"),
        (models.GRU(quantiles=(0.5, 0.5)), "different numbers"),
        (models.DilatedRNN(dilations=(1, 0)), "dilations="),
        (models.GRU(hidden_size=0, dropout=2.0), "hidden_size=0.*dropout=2.0"),
        (models.LSTM, r"is a class, not an object. Call it: LSTM\("),
        ([models.Naive], r"Call it: Naive\("),
    ],
)
def test_a_model_that_cannot_be_built_is_refused_by_the_constructor(model, hint):
    with pytest.raises(ConfigError, match=hint):
        Forecaster(model)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"max_time": "60"}, "max_time='60' .expected float"),
        ({"max_steps": 2.5}, "max_steps=2.5 .expected int"),
        ({"max_steps": True}, "max_steps=True"),
        ({"training": Training(batch_size=8.5)}, "batch_size=8.5"),
        ({"training": {"max_steps": 3}}, "not a forecast.Training"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**31}, "seed=2147483648"),
        ({"seed": 1.0}, "seed=1.0"),
        ({"seed": None}, "seed=None"),
        ({"h": 10**7}, "h=10000000"),
        ({"season_length": 10**7}, "season_length=10000000"),
        ({"progress": "off"}, "progress='off' must be true or false"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_by_the_constructor(arguments, hint):
    with pytest.raises(ConfigError, match=hint):
        Forecaster("lstm", **arguments)


def test_numbers_of_numpy_and_lists_are_welcome_everywhere():
    forecaster = Forecaster(
        models.LSTM(hidden_size=np.int64(4), quantiles=[np.float64(0.1), 0.9]),
        np.int64(3),
        max_steps=np.int64(2),
        max_time=np.float64(1.5),
        seed=np.int64(7),
    )
    net = forecaster.models["lstm"]
    assert net.architecture == models.LSTM(hidden_size=4, quantiles=(0.1, 0.9))
    assert type(net.architecture.hidden_size) is type(net.training.max_steps) is type(forecaster.seed) is int
    assert net.training.max_time == 1.5


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (np.int64(80), (80.0,)),
        (np.float32(80), (80.0,)),
        (np.array(80), (80.0,)),
        (np.array([90, 80]), (80.0, 90.0)),
        (pd.Series([80.0]), (80.0,)),
        ((np.int64(80), 80), (80.0,)),
        (None, ()),
    ],
)
def test_levels_may_be_numbers_of_numpy(level, expected):
    assert wanted(level).level == expected


@pytest.mark.parametrize("level", ["80", b"80", ["80"], [True], np.nan, [0], 100, object(), [[80]]])
def test_levels_that_are_no_numbers_are_refused(level):
    with pytest.raises(ConfigError, match="level="):
        wanted(level)


@pytest.mark.parametrize("freq", ["YS", "MS", "B", "D", "W-SUN"])
def test_a_horizon_past_the_year_9999_is_refused_before_training(freq, monkeypatch):
    frame = pd.DataFrame({"ds": pd.date_range("8000-01-03", periods=30, freq=freq, unit="s"), "y": np.arange(30.0)})
    forecaster = Forecaster("lstm", 10**6, freq)
    monkeypatch.setattr(type(forecaster.models["lstm"]), "fit", None)
    with pytest.raises(ConfigError, match=r"9999|no time stamp"):
        forecaster.fit(frame)
