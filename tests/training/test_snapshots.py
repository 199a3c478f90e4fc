"""Snapshot ensembles: which ends of cycles are kept, what is made of them, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast import ArtifactError, ConfigError, Forecaster, Training, artifact, persist
from forecast.conformal import calibrate
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import ESRNN, ColdStart, DeepAR, SegRNN
from forecast.nets.averaged import AveragedNet, members_of
from forecast.training import keeper, snapshots
from forecast.training.calibration import residuals
from forecast.training.curve import CurvePoint
from forecast.training.neural import FittedNeural, Neural
from forecast.training.snapshots import chosen
from forecast.training.source import build_source
from tests.conftest import seasonal_frame
from tests.training.interruption import killed_once_saved

TINY = SegRNN(input_size=12, segment=4, hidden_size=8, dropout=0.1)
# Four cycles that end at steps 4, 12, 28 and 60.
FOUR = Training(max_steps=60, batch_size=16, cycles=4, validations=2, patience=None, snapshots=3)
TASK = Task(3, 12, progress=False)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every end of a cycle is good enough."""
    monkeypatch.setattr(snapshots, "GOOD", 1e9)


def point(step: int, loss: float | None, ends: bool = True, train_loss: float = 9.0) -> CurvePoint:
    return CurvePoint(step, 0.0, train_loss, loss, 0.0, 0, ends, 0.0)


def fit(frame: pd.DataFrame, training: Training = FOUR, model: object = TINY) -> Forecaster:
    return Forecaster({"net": model}, h=3, training=training, progress=False).fit(frame)


def net_of(forecaster: Forecaster) -> FittedNeural:
    return forecaster._fitted["net"]


# --- which are kept


def test_the_best_is_kept_first_of_all_then_the_latest_ends_of_cycles_nearly_as_good():
    curve = [point(1, 1.04), point(2, 1.0), point(3, 1.04), point(4, 1.06), point(5, 1.03, ends=False), point(6, 1.05)]
    best = curve[1]
    assert [chosen(curve, best, most) for most in (1, 2, 3, 4, 9)] == [
        [2],
        [2, 6],
        [2, 3, 6],
        [1, 2, 3, 6],
        [1, 2, 3, 6],
    ]


def test_without_validation_the_training_loss_tells_which_are_good():
    curve = [point(1, None, train_loss=2.0), point(2, None, train_loss=1.04), point(3, None, train_loss=1.0)]
    assert chosen(curve, curve[-1], 3) == [2, 3]


def test_a_negative_loss_is_judged_by_its_distance_too():
    curve = [point(1, -1.88), point(2, -1.92), point(3, -2.0)]
    assert chosen(curve, curve[-1], 3) == [2, 3]


def test_before_the_first_end_of_a_cycle_the_best_alone_is_kept():
    curve = [point(1, 1.0, ends=False)]
    assert chosen([], None, 3) == []
    assert chosen(curve, curve[0], 3) == [1]


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=12), st.integers(1, 6))
def test_there_are_never_more_than_asked_for_and_the_best_is_always_among_them(points, most):
    curve = [point(step, loss, ends) for step, (loss, ends) in enumerate(points)]
    for best in curve:
        steps = chosen(curve, best, most)
        assert best.step in steps and len(steps) <= most and steps == sorted(set(steps))


# --- what is made of them


def test_forecasts_are_the_mean_of_those_of_the_weights_at_the_ends_of_cycles(frame, lenient):
    alone, together = (net_of(fit(frame, replace(FOUR, snapshots=most))) for most in (1, 4))
    assert together.history["snapshot_steps"] == [4, 12, 28, 60]
    assert together.history["best_step"] == alone.history["best_step"]
    panel = to_panel(frame)
    each = [replace(together, net=net).predict(panel, 3).point for net in members_of(together.net)]
    np.testing.assert_allclose(together.predict(panel, 3).point, np.mean(each, axis=0), rtol=1e-5)
    place = together.history["snapshot_steps"].index(alone.history["best_step"])
    np.testing.assert_array_equal(each[place], alone.predict(panel, 3).point)
    assert not any(np.array_equal(each[0], other) for other in each[1:])


def test_a_net_kept_is_the_one_of_a_training_that_ended_there(frame, lenient):
    """The first two of four cycles are those of a training of two cycles and a fifth of the steps."""
    early = net_of(fit(frame, replace(FOUR, max_steps=12, cycles=2, snapshots=2)))
    late = net_of(fit(frame, replace(FOUR, snapshots=4)))
    assert early.history["snapshot_steps"] == [4, 12]
    for one, same in zip(members_of(early.net), members_of(late.net), strict=False):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(value, same.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_where_weights_are_averaged_the_average_is_kept(frame, lenient):
    ema = replace(FOUR, averaging="ema", averaging_decay=0.9)
    alone, several = (net_of(fit(frame, replace(ema, snapshots=most))) for most in (1, 4))
    kept = members_of(several.net)[several.history["snapshot_steps"].index(alone.history["best_step"])]
    for name, value in alone.net.state_dict().items():
        assert torch.equal(kept.state_dict()[name], value)


def test_intervals_are_those_of_the_averaged_forecast(frame, lenient):
    fitted = net_of(fit(frame))
    source = build_source(to_panel(frame), 12, 3, 12, None)
    expected = calibrate(residuals(fitted.net, source, source.validation))
    assert isinstance(fitted.net, AveragedNet)
    np.testing.assert_array_equal(fitted.intervals.table, expected.table)
    one = calibrate(residuals(members_of(fitted.net)[0], source, source.validation))
    assert not np.array_equal(fitted.intervals.table, one.table)


def test_the_facts_tell_how_many_nets_there_are(frame, lenient):
    one, three = (net_of(fit(frame, replace(FOUR, snapshots=most))).describe() for most in (1, 3))
    assert three["snapshots"] == len(three["snapshot_steps"]) == 3
    assert three["parameters"] == 3 * one["parameters"]
    assert three["layers"] == one["layers"]
    assert "snapshots" not in one


def test_ends_of_cycles_that_are_no_good_are_not_averaged(frame, monkeypatch):
    monkeypatch.setattr(snapshots, "GOOD", -1e-9)
    monkeypatch.setattr(keeper, "TIE", 0.0)
    fitted = net_of(fit(frame))
    assert fitted.history["snapshot_steps"] == [fitted.history["best_step"]]
    assert not isinstance(fitted.net, AveragedNet)


def test_without_room_for_validation_several_are_kept_as_well(frame, lenient):
    fitted = Neural(TINY, FOUR).fit(to_panel(frame), replace(TASK, val_size=0))
    assert fitted.history["snapshot_steps"] == [12, 28, 60]


VARIANTS = {
    "point": TINY,
    "quantiles": replace(TINY, quantiles=(0.1, 0.9)),
    "samples": DeepAR(input_size=12, hidden_size=4, num_samples=8),
    "samples with quantiles": DeepAR(input_size=12, hidden_size=4, num_samples=8, quantiles=(0.2, 0.8)),
    "parameters of each series": ESRNN(input_size=12, hidden_size=4),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_several_nets_survive_save_and_load_bit_for_bit(variant, frame, lenient, tmp_path):
    fitted = fit(frame, FOUR, VARIANTS[variant])
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    assert len(members_of(net_of(loaded).net)) == 3
    before, after = (f.predict(level=[60]) for f in (fitted, loaded))
    pd.testing.assert_frame_equal(after, before, check_exact=True)
    assert (after["net-lo-60"] <= after["net-hi-60"]).all()
    assert net_of(loaded).describe()["snapshots"] == 3
    assert list(tmp_path.rglob("*.safetensors")) and not list(tmp_path.rglob("*.pt"))


def test_nets_of_static_features_alone_are_averaged_too(lenient, tmp_path):
    frame = seasonal_frame(6, 40)
    static = pd.DataFrame({"unique_id": frame["unique_id"].unique(), "size": np.arange(6.0)})
    model = {"net": ColdStart(input_size=6, hidden_size=4)}
    fitted = Forecaster(model, h=3, training=FOUR, progress=False).fit(frame, static_df=static)
    assert len(members_of(net_of(fitted).net)) == 3
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), fitted.predict(level=[80]), check_exact=True)


@pytest.mark.parametrize(
    ("count", "said"), [(4, "snapshots=4"), (0, "snapshots=0"), ("3", "snapshots='3'"), (2, "do not have the shapes")]
)
def test_a_file_whose_number_of_nets_is_not_that_of_its_weights_is_refused(count, said, frame, lenient, tmp_path):
    stored = artifact.read(fit(frame).save(tmp_path / "m"))
    facts = json.loads(json.dumps(stored.facts))
    facts["models"][0]["snapshots"] = count
    with pytest.raises(ArtifactError, match=said):
        persist.from_artifact(artifact.Artifact(facts, stored.arrays))


def test_a_model_saved_before_there_were_snapshots_loads(frame, tmp_path):
    fitted = fit(frame, replace(FOUR, snapshots=1))
    stored = artifact.read(fitted.save(tmp_path / "m"))
    facts = json.loads(json.dumps(stored.facts))
    del facts["models"][0]["snapshots"], facts["models"][0]["training"]["snapshots"]
    restored = persist.from_artifact(artifact.Artifact(facts, stored.arrays)).fitted["net"]
    panel = to_panel(frame)
    np.testing.assert_array_equal(restored.predict(panel, 3).point, net_of(fitted).predict(panel, 3).point)


# --- resuming


@pytest.mark.parametrize("step", [6, 12, 40])
def test_an_interrupted_training_keeps_the_same_nets_bit_for_bit(step, frame, lenient, tmp_path, monkeypatch):
    expected = net_of(fit(frame))
    resumable = replace(FOUR, checkpoint_dir=tmp_path)
    with killed_once_saved(monkeypatch, step):
        fit(frame, resumable)
    resumed = net_of(fit(frame, resumable))
    assert resumed.history["snapshot_steps"] == expected.history["snapshot_steps"]
    weights = [fitted.net.state_dict() for fitted in (resumed, expected)]
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_a_checkpoint_holds_no_more_weights_than_are_kept(frame, lenient, tmp_path):
    fitted = net_of(fit(frame, replace(FOUR, checkpoint_dir=tmp_path)))
    (path,) = tmp_path.glob("*/training.safetensors")
    steps = {name.split(".")[1] for name in safetensors.torch.load_file(path) if name.startswith("kept.")}
    assert sorted(map(int, steps)) == fitted.history["snapshot_steps"]


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"snapshots": 0}, r"snapshots=0: from 1 to the number of cycles \(6\)"),
        ({"snapshots": 7}, r"snapshots=7: from 1 to the number of cycles \(6\)"),
        ({"snapshots": 3, "cycles": 2}, r"snapshots=3: from 1 to the number of cycles \(2\)"),
        ({"snapshots": 2, "schedule": "cosine"}, "snapshots=2: 1 with schedule=cosine; only cycles"),
        ({"snapshots": 2, "schedule": "plateau"}, "snapshots=2: 1 with schedule=plateau"),
        ({"snapshots": 2, "stateful": True}, "snapshots=2: 1 with stateful=true, where a series has one state"),
    ],
)
def test_what_cannot_be_averaged_is_refused_with_its_reason(changes, said):
    with pytest.raises(ConfigError, match=said):
        Training(**changes)


def test_a_number_of_snapshots_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"snapshots=2\.0 .expected int"):
        Forecaster(TINY, training=Training(snapshots=2.0))
