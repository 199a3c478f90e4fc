"""Every yaml: composes, equals its class's defaults, trains two steps, saves, loads, compares."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import yaml

import forecast.models as models
from forecast import ConfigError, Forecaster, Training
from forecast.models import create, entries, from_config
from forecast.resources import conf_dir
from tests.conftest import seasonal_frame
from tests.test_invariants import QUICK, model_of

NETS = [name for name, entry in entries().items() if entry.group == "model"]
VARIANTS = {"rnn_relu": {"nonlinearity": "relu"}}


@pytest.mark.parametrize("name", entries())
def test_a_yaml_holds_every_field_with_the_default_of_its_class(name):
    config = yaml.safe_load(entries()[name].path.read_text())
    target = config.pop("_target_")
    default = type(from_config({"_target_": target}))()
    assert list(config) == [f.name for f in fields(default)]
    assert create(name) == replace(default, **VARIANTS.get(name, {}))


@pytest.mark.parametrize("name", NETS)
def test_a_net_trains_saves_loads_and_forecasts_the_same(name, tmp_path):
    frame = seasonal_frame(3, 50)
    fitted = Forecaster({name: model_of(name)}, h=3, training=QUICK, progress=False).fit(frame)
    before = fitted.predict(level=[90])
    after = Forecaster.load(fitted.save(tmp_path / "m")).predict(level=[90])
    assert before.equals(after)


@pytest.mark.parametrize("name", NETS)
def test_a_net_overfits_four_windows(name):
    frame = seasonal_frame(1, 18)
    training = Training(
        max_steps=400, learning_rate=1e-2, batch_size=8, weight_decay=0.0, cycles=1, validations=20, patience=None
    )
    wanted = {"input_size": 12, "hidden_size": 24, "seasonal_skip": False}
    model = model_of(name)
    model = replace(model, **{key: value for key, value in wanted.items() if hasattr(model, key)})
    fitted = Forecaster({name: model}, h=3, training=training, progress=False).fit(frame, val_size=0)._fitted[name]
    curve = fitted.history["curves"]
    assert fitted.history["windows"] == 4
    assert curve[-1]["train_loss"] < 0.1 * curve[0]["train_loss"]


@pytest.mark.parametrize("name", NETS)
def test_a_net_forecasts_quantiles_that_do_not_cross(name):
    model = replace(model_of(name), quantiles=(0.1, 0.9))
    fitted = Forecaster({name: model}, h=3, training=QUICK, progress=False).fit(seasonal_frame(2, 50))
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
