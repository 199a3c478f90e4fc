"""When a model is trained, what becomes of it, and that a job always has the best model it can."""

from __future__ import annotations

import json
import shutil
import warnings
from datetime import timedelta

import numpy as np
import pytest

from forecast import Forecaster, Training, artifact
from forecast.batch.models.chain import fallback_chain
from forecast.batch.models.fallback import forecasts_with_fallbacks
from forecast.batch.models.gate import Gate
from forecast.batch.models.kept import saved_hash
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.models.store import ModelStore
from forecast.errors import ArtifactError, ConfigError, StorageError, TrainingError, exit_code
from forecast.forecasts import Wanted
from forecast.model import Task
from forecast.models import LSTM
from tests.batch.models.conftest import daily_panel, days, slot, with_values

EASY = Gate(cutoffs=1, tolerance=1000.0)
HARD = Gate(cutoffs=1, tolerance=-0.999)


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(tmp_path / "models", clock=lambda: slot(1000))


@pytest.fixture
def policy(net, brief):
    def make(**changes) -> ModelPolicy:
        return ModelPolicy(**({"model": net, "training": brief, "refresh_after": "7D", "gate": EASY} | changes))

    return make


def point(choice, panel, h=4):
    return choice.model.fitted.predict(panel, h).point


def test_the_first_run_trains_and_the_next_ones_use_what_it_made(store, policy, panel, task):
    first = policy().choose(store, days(panel, 56), task, slot(56))
    assert first.trained and first.version and first.error is None
    assert "there is no model yet" in first.reasons[0] and "passed" in first.reasons[0]
    for day in (56, 57, 62):
        again = policy().choose(store, days(panel, day), task, slot(day))
        assert (again.version, again.trained, again.reasons) == (first.version, False, ())
    later = policy().choose(store, days(panel, 63), task, slot(63))
    assert later.trained and later.version != first.version and "7 days before this slot" in later.reasons[0]
    assert "warm start" in later.reasons[0]
    assert store.current(slot(62)).version == first.version  # a run of the past is as it was
    json.dumps([first.facts(), later.facts()], allow_nan=False)


def test_the_slots_decide_and_not_the_clock_so_two_stores_filled_at_other_times_are_equal(
    tmp_path, policy, panel, task
):
    histories = []
    for start in (0, 400):
        clock = iter(range(start, start + 1000))
        store = ModelStore(tmp_path / str(start), clock=lambda clock=clock: slot(next(clock)))
        choices = [policy().choose(store, days(panel, day), task, slot(day)) for day in (49, 52, 56, 60, 63, 70)]
        histories.append([(choice.version, choice.trained) for choice in choices])
    assert histories[0] == histories[1]
    assert [trained for _, trained in histories[0]] == [True, False, True, False, True, True]


def test_a_backfill_uses_no_model_of_its_future(store, policy, panel, task):
    late = policy().choose(store, panel, task, slot(70))
    early = policy().choose(store, days(panel, 56), task, slot(56))
    assert early.trained and early.version != late.version
    assert policy().choose(store, panel, task, slot(70)).version == late.version


def test_a_challenger_that_does_not_pass_leaves_the_model_in_place_and_is_not_tried_again_at_once(
    store, policy, panel, task
):
    first = policy().choose(store, days(panel, 56), task, slot(56))
    refused = policy(gate=HARD).choose(store, days(panel, 63), task, slot(63))
    assert refused.version == first.version and refused.trained and refused.error is None
    assert not refused.verdict.passed and "refused, behind" in refused.reasons[0]
    assert np.array_equal(point(refused, panel), point(first, panel))
    for day in (63, 64, 69):
        assert not policy(gate=HARD).choose(store, days(panel, day), task, slot(day)).trained
    assert policy(gate=HARD).choose(store, days(panel, 70), task, slot(70)).trained
    figures = [entry.facts["gate"]["scores"] for entry in store.journal().entries if entry.kind == "refused"]
    assert len(figures) == 2 and set(figures[0]) == {"challenger", "current", "seasonal_naive"}


def test_a_first_model_behind_the_seasonal_naive_is_not_used(store, policy, panel, task):
    choice = policy(gate=HARD).choose(store, panel, task, slot(70))
    assert choice.model is None and choice.error is None and choice.model_hash != ""
    assert "behind seasonal_naive" in choice.reasons[0]
    again = policy(gate=HARD).choose(store, panel, task, slot(70))
    assert not again.trained and again.model is None  # this slot has been decided
    result = chained(choice, store, panel, task, 70)
    assert set(result.source) == {"ets"} and "behind seasonal_naive" in result.reason[0]


def chained(choice, store, panel, task, day):
    chain = fallback_chain(choice, store, panel, task, slot(day))
    return forecasts_with_fallbacks(chain, panel, task.h, Wanted((80.0,)))


DIVERGING = Training(max_steps=6, batch_size=16, cycles=1, validations=1, learning_rate=1e38, gradient_clip=None)


def test_a_training_that_diverges_leaves_the_model_in_place(store, policy, panel, task):
    first = policy().choose(store, days(panel, 56), task, slot(56))
    failed = policy(training=DIVERGING).choose(store, days(panel, 57), task, slot(57))
    assert failed.version == first.version and isinstance(failed.error, TrainingError)
    assert "training failed" in failed.reasons[0] and f"Version {first.version} stays" in failed.reasons[0]
    assert store.journal().entries[-1].kind == "failed"
    assert np.isfinite(chained(failed, store, panel, task, 57).point).all()


def test_without_a_model_a_training_that_diverges_still_leaves_forecasts(store, policy, panel, task):
    choice = policy(training=DIVERGING).choose(store, panel, task, slot(70))
    assert choice.model is None and exit_code(choice.error) == 5
    result = chained(choice, store, panel, task, 70)
    assert np.isfinite(result.point).all() and np.isfinite(result.quantiles).all()
    assert set(result.source) == {"ets"} and "training failed" in result.reason[0]
    healed = policy().choose(store, panel, task, slot(70))  # a failure is tried again, at this slot already
    assert healed.trained and healed.model is not None


def test_series_too_short_for_the_model_are_a_failure_with_its_reason(store, policy, panel, task):
    choice = policy().choose(store, days(panel, 3), task, slot(3))
    assert choice.model is None and choice.error is not None and "training failed" in choice.reasons[0]
    assert np.isfinite(chained(choice, store, days(panel, 3), task, 3).point).all()


def test_nothing_is_learned_from_quarantined_series(tmp_path, policy, panel, task):
    sick = with_values(panel, lambda v: np.where(panel.series == 2, 1e30, v))
    healthy = panel.take(np.array([0, 1, 3, 4, 5]))
    with_sick = policy().choose(ModelStore(tmp_path / "a"), sick, task, slot(70), quarantined=["s002"])
    without = policy().choose(ModelStore(tmp_path / "b"), healthy, task, slot(70))
    assert with_sick.version == without.version
    nobody = policy().choose(ModelStore(tmp_path / "c"), sick, task, slot(70), quarantined=list(sick.ids))
    assert nobody.model is None and not nobody.trained and "no series is fit to learn from" in nobody.reasons[0]


def test_other_settings_are_trained_at_once_and_judged_against_the_old_model(store, policy, panel, task):
    first = policy(refresh_after=None).choose(store, days(panel, 56), task, slot(56))
    other = LSTM(input_size=14, hidden_size=4)
    changed = policy(refresh_after=None, model=other).choose(store, days(panel, 60), task, slot(60))
    assert changed.trained and changed.version != first.version and changed.name == "lstm"
    assert "settings of the model have changed" in changed.reasons[0]
    assert "cold: a LSTMNet cannot" in changed.reasons[0] or "cold: " in changed.reasons[0]
    assert "current" in changed.verdict.scores
    kept = policy(refresh_after=None, gate=HARD).choose(
        store, days(panel, 60), task, slot(60)
    )  # asks for dlinear again
    assert kept.version == changed.version and not kept.verdict.passed
    result = chained(kept, store, days(panel, 60), task, 60)
    assert set(result.source) == {"lstm"} and "is lstm" in result.reason[0]
    longer = policy(refresh_after=None, model=other).choose(
        store, days(panel, 61), Task(6, 7, progress=False), slot(61)
    )
    assert longer.trained and longer.model.task.h == 6


def test_drift_leads_to_training_where_that_is_asked_for(store, policy, panel, task):
    first = policy(refresh_after=None).choose(store, days(panel, 56), task, slot(56))
    still = policy(refresh_after=None).choose(store, days(panel, 60), task, slot(60), drift="bias of 20 %")
    assert still.version == first.version and not still.trained
    on_drift = policy(refresh_after=None, refresh_on_drift=True)
    calm = on_drift.choose(store, days(panel, 60), task, slot(60))
    assert not calm.trained
    moved = on_drift.choose(store, days(panel, 60), task, slot(60), drift="bias of 20 %")
    assert moved.trained and "drift: bias of 20 %" in moved.reasons[0]
    assert not on_drift.choose(store, days(panel, 60), task, slot(60), drift="bias of 20 %").trained


def test_a_damaged_model_gives_way_to_the_last_good_one_and_every_row_says_so(store, policy, panel, task):
    never = policy(refresh_after=None)
    first = never.choose(store, days(panel, 56), task, slot(56))
    second = policy(refresh_after="1D").choose(store, days(panel, 60), task, slot(60))
    weights = next((store.folder / "versions" / second.version).glob("model-*"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    choice = never.choose(store, days(panel, 61), task, slot(61))
    assert choice.version == first.version and second.version in choice.stand_in
    result = chained(choice, store, days(panel, 61), task, 61)
    assert set(result.source) == {"last_good"}
    assert all(second.version in reason and "damaged" in reason for reason in result.reason)
    assert np.array_equal(result.point, point(first, days(panel, 61)))
    mended = policy(refresh_after="30D").choose(store, days(panel, 61), task, slot(61))
    assert mended.trained and mended.stand_in == "" and "cannot be used" in mended.reasons[-1]


def test_with_every_version_damaged_a_job_that_trains_makes_a_new_one(store, policy, panel, task):
    first = policy().choose(store, days(panel, 56), task, slot(56))
    shutil.rmtree(store.folder / "versions" / first.version)
    healed = policy().choose(store, days(panel, 57), task, slot(57))
    assert healed.trained and healed.model is not None and first.version in healed.reasons[0]


def test_a_rollback_holds_when_the_slot_is_run_again(store, policy, panel, task):
    first = policy().choose(store, days(panel, 56), task, slot(56))
    bad = policy().choose(store, days(panel, 63), task, slot(63))
    assert store.rollback("forecasts are off") == first.version != bad.version
    again = policy().choose(store, days(panel, 63), task, slot(63))
    assert again.version == first.version and not again.trained


def test_a_damaged_account_of_the_models_stops_training_but_not_the_forecasts(store, policy, panel, task):
    policy().choose(store, days(panel, 56), task, slot(56))
    for path in store.folder.glob("*.json"):
        path.write_text("{")
    (store.folder / "previous.json").write_text("{")
    choice = policy().choose(store, days(panel, 63), task, slot(63))
    assert choice.model is None and isinstance(choice.error, ArtifactError) and exit_code(choice.error) == 6
    assert np.isfinite(chained(choice, store, days(panel, 63), task, 63).point).all()


def test_a_disk_that_is_full_leaves_the_model_in_place(store, policy, panel, task, monkeypatch):
    from forecast import atomic

    first = policy().choose(store, days(panel, 56), task, slot(56))

    def full(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", full)
        choice = policy().choose(store, days(panel, 63), task, slot(63))
    assert choice.version == first.version and isinstance(choice.error, StorageError)
    assert "No space left" in choice.reasons[0]
    assert policy().choose(store, days(panel, 63), task, slot(63)).trained


def test_a_model_that_learns_nothing_is_made_once(store, panel, task):
    policy = ModelPolicy("theta", refresh_after="1D", gate=EASY)
    first = policy.choose(store, days(panel, 56), task, slot(56))
    later = policy.choose(store, days(panel, 63), task, slot(63), drift="x")
    assert first.trained and not later.trained and later.version == first.version


# --- saved models -----------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, net, brief, frame):
    import pandas as pd

    panel = daily_panel()
    rows = pd.DataFrame({"unique_id": panel.ids.repeat(70), "ds": panel.stamps(), "y": panel.values})

    def save(seed: int = 0, model=None, h: int = 4):
        forecaster = Forecaster(model or net, h=h, training=brief, seed=seed, progress=False).fit(rows)
        return forecaster.save(tmp_path / "saved")

    return save


def test_a_saved_model_is_copied_once_and_again_when_another_one_lies_there(store, saved, panel, task):
    policy = ModelPolicy(saved=saved())
    first = policy.choose(store, panel, task, slot(1))
    assert first.version == saved_hash(policy.saved) and not first.trained and "is version" in first.reasons[0]
    assert np.array_equal(
        point(first, panel), Forecaster.load(policy.saved).predict(h=4)["dlinear"].to_numpy().reshape(6, 4)
    )
    entries = len(store.journal().entries)
    assert policy.choose(store, panel, task, slot(2)).version == first.version
    assert len(store.journal().entries) == entries
    saved(seed=5)
    other = policy.choose(store, panel, task, slot(3))
    assert other.version not in (None, first.version)
    assert store.current(slot(2)).version == first.version


def test_a_model_saved_before_a_setting_was_there_is_used_under_the_name_that_its_copy_has(store, saved, panel, task):
    folder = saved()
    stored = artifact.read(folder)
    del stored.facts["models"][0]["training"]["chunk"]  # as if the package had learned of it since
    artifact.write(folder, stored)
    choice = ModelPolicy(saved=folder).choose(store, panel, task, slot(1))
    assert choice.error is None and choice.version not in (None, saved_hash(folder))
    entries = len(store.journal().entries)
    assert ModelPolicy(saved=folder).choose(store, panel, task, slot(2)).version == choice.version
    assert len(store.journal().entries) == entries


def test_the_copy_outlives_the_saved_model_and_the_saved_model_mends_the_copy(store, saved, panel, task):
    folder = saved()
    policy = ModelPolicy(saved=folder)
    first = policy.choose(store, panel, task, slot(1))
    (store.folder / "versions" / first.version / "model.json").write_text("")
    assert policy.choose(store, panel, task, slot(1)).version == first.version
    (folder / "model.json").write_text("")
    choice = policy.choose(store, panel, task, slot(2))
    assert choice.version == first.version and "damaged" in choice.reasons[0] and choice.error is None
    nothing = ModelPolicy(saved=folder).choose(ModelStore(store.folder / "other"), panel, task, slot(2))
    assert nothing.model is None and exit_code(nothing.error) == 6


def test_a_saved_model_is_refreshed_by_its_own_recipe_when_due(store, saved, panel, task):
    policy = ModelPolicy(saved=saved(), refresh_after="7D", gate=EASY)
    first = policy.choose(store, days(panel, 60), task, slot(60))
    longer = daily_panel(length=80)
    later = policy.choose(store, longer, task, slot(80))
    assert later.trained and later.version != first.version and "warm start" in later.reasons[0]
    assert policy.choose(store, longer, task, slot(80)).version == later.version


def test_a_rolled_back_saved_model_does_not_come_back_by_itself(store, saved, panel, task):
    policy = ModelPolicy(saved=saved())
    first = policy.choose(store, panel, task, slot(1))
    saved(seed=5)
    policy.choose(store, panel, task, slot(2))
    store.rollback()
    assert policy.choose(store, panel, task, slot(2)).version == first.version


def test_a_saved_model_that_does_not_reach_the_horizon_or_is_several_is_refused(
    store, saved, panel, tmp_path, frame, quick
):
    with pytest.raises(ConfigError, match="forecasts 4 steps and the job asks for h=9"):
        ModelPolicy(saved=saved()).choose(store, panel, Task(9, 7), slot(1))
    two = Forecaster(["naive", "drift"], h=3, training=quick, progress=False).fit(frame).save(tmp_path / "two")
    choice = ModelPolicy(saved=two).choose(ModelStore(tmp_path / "m"), panel, Task(3, 7), slot(1))
    assert choice.model is None and "holds 2 models" in choice.reasons[0]


def test_arguments_that_do_not_go_together_are_refused(brief):
    for wrong in (
        {},
        {"model": "gru", "saved": "x"},
        {"saved": "x", "training": brief},
        {"saved": "x", "max_steps": 3},
        {"model": "gru", "refresh_after": "soon"},
        {"model": "gru", "refresh_after": "-1D"},
        {"model": "gru", "refresh_after": 7},
        {"model": "gru", "refresh_after": timedelta(0)},
    ):
        with pytest.raises(ConfigError):
            ModelPolicy(**wrong)
    with pytest.raises(ConfigError, match="no model 'gruu'"):
        ModelPolicy("gruu").choose(ModelStore("/nonexistent"), daily_panel(), Task(4, 7), slot(1))


def test_importing_the_models_of_a_job_does_not_import_torch():
    import subprocess
    import sys

    names = ("store", "refresh", "gate", "fallback", "chain", "earlier", "challenge", "describe")
    code = "; ".join(f"import forecast.batch.models.{name}" for name in names)
    code += "; import sys; print({'torch', 'matplotlib', 'sqlalchemy', 'statsmodels'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_warning_is_shown_by_a_refresh(store, policy, panel, task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy().choose(store, panel, task, slot(70))
