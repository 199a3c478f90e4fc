"""Training: losses, schedule, budgets, determinism, resuming, divergence."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast import ConfigError, DataError, Forecaster, ForecastWarning, Training, TrainingError
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import LSTM, SegRNN
from forecast.nets.facts import Facts
from forecast.nets.scaling import scale_window
from forecast.training.calibration import residuals
from forecast.training.gradients import GradientNorms
from forecast.training.losses import cell_loss, pinball, seasonal_error, weighted_mean
from forecast.training.module import ForecastModule
from forecast.training.neural import Neural
from forecast.training.schedule import Budget, Chunks, Schedule
from forecast.training.source import build_source
from tests.conftest import seasonal_frame
from tests.training.interruption import killed_once_saved

TINY = SegRNN(input_size=12, segment=4, hidden_size=8, dropout=0.1)


def weights_of(forecaster: Forecaster) -> list[torch.Tensor]:
    (fitted,) = forecaster._fitted.values()
    return list(fitted.net.state_dict().values())


def same(one: Forecaster, two: Forecaster) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))


def test_losses_equal_hand_arithmetic():
    output, target = torch.tensor([[[4.0], [6.0]]]), torch.tensor([[5.0, 4.0]])
    assert cell_loss("mae")(output, target).tolist() == [[1.0, 2.0]]
    assert cell_loss("mse")(output, target).tolist() == [[1.0, 4.0]]
    assert cell_loss("huber")(output, target).tolist() == [[0.5, 1.5]]


def test_the_pinball_loss_of_the_median_alone_is_the_absolute_error():
    output, target = torch.randn(3, 4, 1), torch.randn(3, 4)
    torch.testing.assert_close(pinball((0.5,))(output, target), cell_loss("mae")(output, target))


def test_the_pinball_loss_equals_hand_arithmetic():
    output, target = torch.tensor([[[4.0, 6.0]]]), torch.tensor([[5.0]])
    # q=.1: error +1 -> .1; q=.9: error -1 -> .1; twice their mean
    assert pinball((0.1, 0.9))(output, target).item() == pytest.approx(0.2)


def test_the_seasonal_error_is_the_scale_of_mase_within_the_window():
    past = torch.tensor([[1.0, 3.0, 2.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    assert seasonal_error(past, None, 1).tolist() == [[pytest.approx(5 / 3)], [pytest.approx(0.2)]]
    assert seasonal_error(past, None, 2)[0].item() == 1.0
    observed = torch.tensor([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    assert seasonal_error(past, observed, 1).tolist() == [[2.0], [1.0]]
    assert seasonal_error(past, None, 9)[0].item() == pytest.approx(5 / 3)


def test_cells_of_weight_zero_do_not_count():
    errors = torch.tensor([[1.0, 100.0], [3.0, 5.0]])
    assert weighted_mean(errors, torch.tensor([[1.0, 0.0], [1.0, 1.0]])).item() == 3.0
    assert weighted_mean(errors, torch.tensor([[2.0, 0.0], [1.0, 1.0]])).item() == pytest.approx(10 / 3)
    assert weighted_mean(errors, torch.zeros(2, 1)).item() == 0.0


@given(st.floats(0, 1), st.integers(1, 6), st.floats(0, 0.9))
def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero_in_every_cycle(progress, cycles, warmup):
    schedule = Schedule(cycles, 5, warmup)
    assert 0 <= schedule.learning_rate_share(progress) <= 1 + 1e-9
    for start, end in zip((0.0, *schedule.ends), schedule.ends, strict=False):
        assert schedule.learning_rate_share(start + warmup * (end - start) + 1e-12) == pytest.approx(1.0)
        assert schedule.learning_rate_share(end - 1e-9) == pytest.approx(0.0, abs=1e-3)


def test_each_cycle_is_twice_as_long_as_the_one_before():
    lengths = np.diff((0.0, *Schedule(4, 5, 0.05).ends))
    np.testing.assert_allclose(lengths[1:] / lengths[:-1], 2.0)
    assert Schedule(4, 5, 0.05).ends[-1] == 1.0


@given(st.integers(1, 500), st.integers(1, 5), st.integers(1, 6))
def test_chunks_count_every_step_once_and_stop_for_each_validation(steps, cycles, validations):
    schedule, budget = Schedule(cycles, validations, 0.05), Budget(steps, None)
    chunks, seen, stops = Chunks(budget, schedule), [], []
    while chunks.next < steps:
        for chunk in chunks:
            seen += list(chunk)
        stops.append(schedule.passed(budget.progress(chunks.next)))
    assert seen == list(range(steps))
    assert stops == sorted(set(stops))
    assert stops[-1] == cycles * validations


def test_two_fits_with_one_seed_are_bit_equal_and_another_seed_differs(frame, quick):
    one, two, other = (Forecaster(TINY, h=3, training=quick, seed=s, progress=False).fit(frame) for s in (1, 1, 2))
    assert same(one, two)
    assert not same(one, other)


def test_training_leaves_the_global_random_state_alone(frame, quick):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    Forecaster(TINY, h=3, training=quick, progress=False).fit(frame)
    assert torch.equal(torch.randn(3), expected)


def test_threads_are_set_while_training_and_put_back(frame, quick, monkeypatch):
    seen = []
    optimise = ForecastModule._optimise
    monkeypatch.setattr(ForecastModule, "_optimise", lambda *a: (seen.append(torch.get_num_threads()), optimise(*a)))
    before = torch.get_num_threads()
    Forecaster(TINY, h=3, training=replace(quick, threads=before + 1), progress=False).fit(frame)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_a_time_budget_ends_training(frame):
    training = Training(max_time=0.3, batch_size=8, patience=None)
    fitted = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"]
    assert fitted.history["steps"] >= 1
    assert fitted.history["seconds"] < 5


def test_the_weights_of_the_best_end_of_a_cycle_are_kept(frame):
    training = Training(max_steps=60, learning_rate=0.05, batch_size=16, cycles=4, validations=2, patience=None)
    fitted = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"]
    losses = {p["step"]: p["validation_loss"] for p in fitted.history["curves"] if p["ends_cycle"]}
    assert len(losses) == 4
    ties = [step for step, loss in losses.items() if loss <= 1.02 * min(losses.values())]
    assert fitted.history["best_step"] == max(ties)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_weights_kept_are_those_that_validation_judged(frame, average):
    panel, task = to_panel(frame), Task(3, 12, progress=False)
    training = Training(
        max_steps=60,
        learning_rate=0.05,
        batch_size=16,
        cycles=4,
        validations=2,
        averaging="ema" if average else "none",
        averaging_decay=average or 0.5,
    )
    fitted = Neural(TINY, replace(training, patience=None)).fit(panel, task)
    source = build_source(panel, 12, 3, 12, None)
    with torch.inference_mode():
        scaled = scale_window(source.at(source.validation))
        output = fitted.net(scaled.batch._replace(future=None))
        weight = (scaled.scale > 0) / seasonal_error(scaled.batch.past, None, 1)
        loss = weighted_mean(cell_loss("mase")(output, scaled.batch.future), weight).item()
    (best,) = [p for p in fitted.history["curves"] if p["step"] == fitted.history["best_step"]]
    assert loss == pytest.approx(best["validation_loss"], rel=1e-5)


def test_averaged_weights_differ_from_the_last_ones(frame, quick):
    longer = replace(quick, max_steps=20)
    plain = Forecaster(TINY, h=3, training=longer, progress=False).fit(frame)
    assert not same(
        plain,
        Forecaster(TINY, h=3, training=replace(longer, averaging="ema", averaging_decay=0.9), progress=False).fit(
            frame
        ),
    )


def distance(forecaster: Forecaster, other: Forecaster) -> float:
    return sum((a - b).abs().sum().item() for a, b in zip(weights_of(forecaster), weights_of(other), strict=True))


def test_a_tiny_gradient_clip_all_but_stops_learning(frame, quick):
    start = Forecaster(TINY, h=3, training=replace(quick, learning_rate=1e-12), progress=False).fit(frame)
    free, clipped = (
        Forecaster(TINY, h=3, training=replace(quick, weight_decay=0.0, gradient_clip=clip), progress=False).fit(frame)
        for clip in (None, 1e-12)
    )
    assert distance(clipped, start) < 0.01 * distance(free, start)


def test_weight_decay_shrinks_weights(frame, quick):
    longer = replace(quick, max_steps=30)
    free, decayed = (
        Forecaster(TINY, h=3, training=replace(longer, weight_decay=decay), progress=False).fit(frame)
        for decay in (0.0, 5.0)
    )
    size = [sum(w.abs().sum().item() for w in weights_of(f)) for f in (free, decayed)]
    assert size[1] < 0.9 * size[0]


def test_cells_of_unknown_future_teach_nothing(frame, quick):
    panel = to_panel(frame)
    masked = replace(panel, values=panel.values.copy())
    masked.values[20] = np.nan
    source = build_source(masked, 12, 3, 12, None)
    module = ForecastModule(TINY.build(Facts(12, 3, 2)), source, Facts(12, 3, 2), quick, quick.budget(), 0)
    starts = torch.tensor([7, 8])
    batch = source.at(starts)
    assert batch.future_observed.tolist() == [[1, 0, 1], [0, 1, 1]]
    scaled = scale_window(batch)
    output = torch.randn(2, 3, 1)
    poisoned = torch.where(batch.future_observed.unsqueeze(-1) > 0, output, torch.full_like(output, 1e6))
    assert module.loss_of(output, scaled).item() == pytest.approx(module.loss_of(poisoned, scaled).item())
    errors = residuals(TINY.build(Facts(12, 3, 2)), source, starts)
    assert np.isnan(errors).tolist() == [[False, True, False], [True, False, False]]


def test_running_a_finished_training_again_changes_nothing(frame, tmp_path):
    training = Training(
        max_steps=4000, learning_rate=0.2, batch_size=8, cycles=9, validations=2, checkpoint_dir=tmp_path
    )
    one, two = (Forecaster(TINY, h=3, training=training, progress=False).fit(frame) for _ in range(2))
    assert same(one, two)
    assert one._fitted["segrnn"].history["steps"] == two._fitted["segrnn"].history["steps"] < 4000


def test_two_models_keep_checkpoints_and_logs_of_their_own(frame, tmp_path, quick):
    training = replace(quick, checkpoint_dir=tmp_path / "c", log_dir=tmp_path / "l")
    Forecaster({"a": TINY, "b": TINY}, h=3, training=training, progress=False).fit(frame)
    assert len(list((tmp_path / "c").iterdir())) == 2
    assert sorted(p.name for p in (tmp_path / "l").iterdir()) == ["a", "b"]


def test_an_unreadable_checkpoint_is_told_and_training_starts_anew(frame, tmp_path, quick):
    training = replace(quick, checkpoint_dir=tmp_path)
    expected = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)
    (path,) = tmp_path.glob("*/training.safetensors")
    path.write_bytes(b"garbage")
    with pytest.warns(ForecastWarning, match="cannot be read"):
        again = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)
    assert same(again, expected)


def test_lost_numbers_are_never_published(frame, quick, monkeypatch):
    monkeypatch.setattr(ForecastModule, "train_averages", lambda self: (float("nan"), GradientNorms(1.0)))
    with pytest.raises(TrainingError, match="training loss is nan"):
        Forecaster(TINY, h=3, training=quick, progress=False).fit(frame)


def test_a_validation_smaller_than_the_horizon_is_refused(frame, quick):
    with pytest.raises(ConfigError, match="val_size=2 is less than the horizon 3"):
        Forecaster(TINY, h=3, training=quick, progress=False).fit(frame, val_size=2)


def test_without_room_for_validation_intervals_come_from_training_windows_and_it_is_told(quick):
    frame = seasonal_frame(2, 9)
    arch = SegRNN(input_size=6, segment=3, hidden_size=8)
    forecaster = Forecaster(arch, h=4, season_length=1, training=quick, progress=False)
    with pytest.warns(ForecastWarning, match="no series is long enough to hold out 4 rows"):
        out = forecaster.fit(frame).predict(level=[80])
    assert (out["segrnn-lo-80"] < out["segrnn-hi-80"]).all()


def test_a_large_validation_leaves_a_series_enough_to_train(quick):
    frame = seasonal_frame(1, 120)
    arch = SegRNN(input_size=40, segment=4, hidden_size=8)
    out = Forecaster(arch, h=4, training=quick, progress=False).fit(frame, val_size=80).predict()
    assert np.isfinite(out["segrnn"]).all()


def test_patience_stops_training_early(frame):
    training = Training(max_steps=4000, learning_rate=0.2, batch_size=8, cycles=9, validations=2)
    fitted = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)._fitted["segrnn"]
    assert fitted.history["steps"] < 4000


def test_the_loss_falls_on_a_learnable_toy():
    frame = seasonal_frame(4, 80)
    training = Training(max_steps=200, learning_rate=1e-2, batch_size=32, cycles=1, validations=10, patience=None)
    arch = LSTM(input_size=12, hidden_size=16, seasonal_skip=False)
    fitted = Forecaster(arch, h=4, training=training, progress=False).fit(frame)._fitted["lstm"]
    curve = [point["train_loss"] for point in fitted.history["curves"]]
    assert curve[-1] < 0.6 * curve[0]


def test_an_interrupted_training_resumes_bit_for_bit(frame, tmp_path, monkeypatch):
    whole = Training(max_steps=28, batch_size=8, cycles=2, validations=3, patience=None)
    expected = Forecaster(TINY, h=3, training=whole, progress=False).fit(frame)

    resumable = replace(whole, checkpoint_dir=tmp_path)
    with killed_once_saved(monkeypatch, 12):
        Forecaster(TINY, h=3, training=resumable, progress=False).fit(frame)
    assert len(list(tmp_path.glob("segrnn-*/training.safetensors"))) == 1
    resumed = Forecaster(TINY, h=3, training=resumable, progress=False).fit(frame)
    assert same(resumed, expected)
    assert resumed._fitted["segrnn"].history["steps"] == 28


def test_another_job_does_not_resume_from_a_checkpoint_that_is_not_its_own(frame, tmp_path):
    training = Training(max_steps=4, batch_size=8, validations=2, checkpoint_dir=tmp_path)
    Forecaster(TINY, h=3, training=training, seed=1, progress=False).fit(frame)
    other = Forecaster(TINY, h=3, training=training, seed=2, progress=False).fit(frame)
    fresh = Forecaster(TINY, h=3, training=replace(training, checkpoint_dir=None), seed=2, progress=False).fit(frame)
    assert same(other, fresh)


def test_the_csv_log_has_a_line_for_each_validation(frame, tmp_path):
    training = Training(max_steps=8, batch_size=8, cycles=1, validations=4, patience=None, log_dir=tmp_path)
    Forecaster(TINY, h=3, training=training, progress=False).fit(frame)
    rows = list(csv.DictReader(StringIO((tmp_path / "segrnn" / "metrics.csv").read_text())))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    assert all(math.isfinite(float(row["gradient_norm"])) for row in rows)


def test_a_huge_learning_rate_stays_finite_thanks_to_clipping(frame):
    training = Training(max_steps=30, learning_rate=0.1, batch_size=8, validations=3, patience=None)
    out = Forecaster(TINY, h=3, training=training, progress=False).fit(frame).predict()
    assert np.isfinite(out["segrnn"]).all()


def test_a_non_finite_gradient_stops_training_with_the_step_and_a_remedy(frame, quick, monkeypatch):
    from forecast.training import module

    monkeypatch.setattr(module, "weighted_mean", lambda errors, weight: (errors * float("nan")).sum())
    with pytest.raises(TrainingError, match=r"step 0.*learning_rate"):
        Forecaster(TINY, h=3, training=quick, progress=False).fit(frame)


def test_settings_out_of_range_are_all_named():
    with pytest.raises(ConfigError, match=r"batch_size=0.*learning_rate=-1.*loss='l7'"):
        Training(batch_size=0, learning_rate=-1, loss="l7")


def test_validation_windows_lie_wholly_in_the_held_out_tail(frame):
    panel = to_panel(frame)
    source = build_source(panel, 12, 3, 12, val_size=5)
    for number in range(len(source.validation)):
        series = source.validation_series[number]
        first_target = int(source.validation[number]) + 12 - source.store.offsets[series]
        assert source.store.lengths[series] - 5 <= first_target <= source.store.lengths[series] - 3


def test_poisoned_held_out_rows_change_neither_scaling_nor_training_windows(frame):
    panel = to_panel(frame)
    poisoned = replace(panel, values=panel.values.copy())
    ends = np.concatenate([np.arange(b - 5, b) for b in panel.offsets[1:]])
    poisoned.values[ends] = 1e9
    one, two = (build_source(p, 12, 3, 12, val_size=5) for p in (panel, poisoned))
    assert one.affine.center.tolist() == two.affine.center.tolist()
    assert one.affine.spread.tolist() == two.affine.spread.tolist()
    assert one.windows.total == two.windows.total


def test_series_too_short_to_train_are_refused_with_what_is_needed():
    with pytest.raises(DataError, match=r"h=20 needs at least .* rows, the longest \('s0'\) has 15"):
        Forecaster(TINY, h=20, max_steps=1, progress=False).fit(seasonal_frame(2, 15))


def test_short_series_train_beside_long_ones(quick):
    long, short = seasonal_frame(1, 60), seasonal_frame(1, 5).assign(unique_id="short")
    with pytest.warns(ForecastWarning, match="1 of 2 series have fewer rows than the input_size=12 of segrnn"):
        out = Forecaster(TINY, h=3, training=quick, progress=False).fit(pd.concat([long, short])).predict()
    assert np.isfinite(out["segrnn"]).all()
    assert len(out) == 6


def test_input_size_follows_from_horizon_season_and_lengths(frame, quick):
    fitted = Neural(SegRNN(hidden_size=4), quick).fit(to_panel(frame), Task(3, 12, progress=False))
    assert fitted.facts.input_size == 28  # three seasons of twelve, held back by series of sixty rows
    assert fitted.facts.seasons == (12,)


def test_bfloat16_training_comes_close_to_float32(frame):
    training = Training(max_steps=30, batch_size=32, validations=3, patience=None)
    plain = Forecaster(TINY, h=3, training=training, progress=False).fit(frame)
    half = Forecaster(TINY, h=3, training=replace(training, precision="bf16"), progress=False).fit(frame)
    a, b = (f._fitted["segrnn"].history["curves"][-1]["train_loss"] for f in (plain, half))
    assert b == pytest.approx(a, rel=0.1)
