"""Warm starts: training goes on from the weights of a model trained before, or says why it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from forecast import Forecaster, Training
from forecast.artifact import read
from forecast.ingest.door import to_panel
from forecast.model import Continuing, Task
from forecast.models import ESRNN, LSTM, DLinear, Ensemble, Naive, as_model
from forecast.training.neural import Neural
from tests.conftest import seasonal_frame

TASK = Task(h=4, season_length=12, progress=False)
SHORT = Training(max_steps=8, batch_size=16, cycles=1, validations=4, warmup=0.0, learning_rate=1e-3)
LONG = replace(SHORT, max_steps=150, learning_rate=1e-2)
TINY = LSTM(input_size=12, hidden_size=8)


@pytest.fixture(scope="module")
def panel():
    return to_panel(seasonal_frame(series=4, length=80))


@pytest.fixture(scope="module")
def trained(panel):
    return Neural(TINY, LONG, "lstm").fit(panel, TASK)


def test_a_warm_start_begins_with_a_lower_loss_than_a_cold_one(panel, trained):
    cold = Neural(TINY, SHORT, "lstm").fit(panel, TASK)
    warm = Neural(TINY, SHORT, "lstm").continued(trained).fit(panel, TASK)
    losses = [fitted.history["curves"][0]["train_loss"] for fitted in (cold, warm)]
    assert losses[1] < 0.95 * losses[0]
    assert warm.history["start"] == "warm" and "start" not in cold.history


def test_without_a_step_to_speak_of_a_warm_start_is_the_model_before(panel, trained):
    still = replace(SHORT, max_steps=1, learning_rate=1e-30, weight_decay=0.0)
    again = Neural(TINY, still, "lstm").continued(trained).fit(panel, TASK)
    made = [fitted.predict(panel, 4).point for fitted in (trained, again)]
    assert np.allclose(*made, rtol=1e-6)


def test_a_warm_start_changes_neither_the_model_before_nor_the_one_that_is_fitted(panel, trained):
    model = Neural(TINY, SHORT, "lstm").continued(trained)
    before = {name: value.clone() for name, value in trained.net.state_dict().items()}
    first, second = model.fit(panel, TASK), model.fit(panel, TASK)
    assert all(torch.equal(value, before[name]) for name, value in trained.net.state_dict().items())
    assert np.array_equal(first.predict(panel, 4).point, second.predict(panel, 4).point)
    assert model == Neural(TINY, SHORT, "lstm")


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (LSTM(input_size=12, hidden_size=9), "has shape"),
        (DLinear(input_size=12), "cannot take the weights of"),
        (LSTM(input_size=12, hidden_size=8, quantiles=(0.1, 0.9)), "has shape"),
    ],
)
def test_weights_that_do_not_fit_are_left_and_the_reason_is_told(panel, trained, model, why):
    begun = Neural(model, SHORT, "net").continued(trained).fit(panel, TASK)
    cold = Neural(model, SHORT, "net").fit(panel, TASK)
    assert begun.history["start"].startswith("cold: ") and why in begun.history["start"]
    assert np.array_equal(begun.predict(panel, 4).point, cold.predict(panel, 4).point)


def test_a_baseline_is_no_start_for_a_net(panel):
    begun = Neural(TINY, SHORT, "net").continued(Naive().fit(panel, TASK)).fit(panel, TASK)
    assert begun.history["start"] == "cold: the model before (LocalFitted) is no net"


def test_parameters_of_each_series_go_on_only_with_the_same_series(panel):
    model = Neural(ESRNN(), replace(SHORT, max_steps=2), "es_rnn")
    before = model.fit(panel, TASK)
    assert model.continued(before).fit(panel, TASK).history["start"] == "warm"
    swapped = panel.take(np.array([1, 0, 2, 3]))
    assert "not the same series" in model.continued(before).fit(swapped, TASK).history["start"]
    fewer = panel.take(np.array([0, 1, 2]))
    assert model.continued(before).fit(fewer, TASK).history["start"].startswith("cold: ")


def test_static_features_with_other_labels_are_not_mixed_up(panel):
    ids = panel.ids.tolist()
    frame = seasonal_frame(series=4, length=80)

    def with_labels(labels):
        return to_panel(frame, static=pd.DataFrame({"unique_id": ids, "colour": labels}))

    model = Neural(TINY, SHORT, "lstm")
    before = model.fit(with_labels(["red", "red", "blue", "blue"]), TASK)
    same = model.continued(before).fit(with_labels(["blue", "red", "blue", "red"]), TASK)
    assert same.history["start"] == "warm"
    other = model.continued(before).fit(with_labels(["red", "red", "green", "green"]), TASK)
    assert "static features" in other.history["start"]


def test_stateful_training_starts_warm_too(panel):
    training = replace(SHORT, stateful=True, chunk=16)
    model = Neural(TINY, training, "lstm")
    before = model.fit(panel, TASK)
    assert model.continued(before).fit(panel, TASK).history["start"] == "warm"
    assert Neural(TINY, SHORT, "lstm").continued(before).fit(panel, TASK).history["start"].startswith("cold: ")


def test_an_ensemble_continues_member_by_member(panel, quick):
    spec = Ensemble(("dlinear", "naive"), "mean")
    model = as_model(spec, "mix", quick)
    assert isinstance(model, Continuing)
    before = model.fit(panel, TASK)
    starts = [getattr(m.fitted, "history", {}).get("start") for m in model.continued(before).fit(panel, TASK).members]
    assert starts == ["warm", None]


def test_how_training_began_is_saved_with_the_model(panel, trained, tmp_path):
    from forecast import artifact
    from forecast.persist import Saved, to_artifact

    model = Neural(TINY, SHORT, "lstm").continued(trained)
    fitted = model.fit(panel, TASK)
    artifact.write(tmp_path / "m", to_artifact(Saved({"lstm": model}, {"lstm": fitted}, TASK, panel)))
    assert read(tmp_path / "m").facts["models"][0]["history"]["start"] == "warm"
    assert np.array_equal(
        Forecaster.load(tmp_path / "m").predict()["lstm"].to_numpy().reshape(4, 4), fitted.predict(panel, 4).point
    )


def test_a_checkpoint_of_another_start_is_not_resumed(panel, trained, tmp_path):
    training = replace(SHORT, checkpoint_dir=tmp_path)
    cold = Neural(TINY, training, "lstm").fit(panel, TASK)
    warm = Neural(TINY, training, "lstm").continued(trained).fit(panel, TASK)
    assert len(list(tmp_path.glob("*/training.safetensors"))) == 2
    assert not np.array_equal(cold.predict(panel, 4).point, warm.predict(panel, 4).point)
