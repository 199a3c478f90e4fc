"""Every yaml in conf/baseline builds its class, with the class's own defaults."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml

from forecast.baselines.local import LocalModel
from forecast.resources import conf_dir

FILES = sorted((conf_dir() / "baseline").glob("*.yaml"))
STEMS = [
    "batched_ets", "drift", "dynamic_theta", "ets", "historic_mean", "holt_winters", "naive", "naive2", "sarimax",
    "seasonal_naive", "stl_ets", "theta",
]  # fmt: skip


def test_every_baseline_has_a_yaml():
    assert [file.stem for file in FILES] == STEMS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_yaml_holds_the_defaults_of_its_class(file: Path):
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    module, _, name = config.pop("_target_").rpartition(".")
    cls = getattr(import_module(module), name)
    assert list(config) == [field.name for field in dataclasses.fields(cls)]
    assert issubclass(cls, LocalModel)
    assert cls(**config) == cls()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_baseline_made_from_its_yaml_forecasts(file: Path, predict, wave):
    from forecast.models import create

    result = predict(create(file.stem), [wave(48), wave(40, seed=1)], 12, 12, (0.1, 0.5, 0.9))
    assert np.isfinite(result.quantiles).all()
    assert result.reasons == {}
