"""Schedules, the plateau, averages of the weights, losses by name, and that all of them resume exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from forecast import ConfigError, Forecaster, Training
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import MQRNN, SegRNN
from forecast.nets.facts import Facts
from forecast.nets.scaling import scale_window
from forecast.training.average import WeightAverage
from forecast.training.losses import cell_loss, mean_size, pinball
from forecast.training.module import ForecastModule
from forecast.training.neural import Neural
from forecast.training.plateau import Plateau
from forecast.training.schedule import Budget, Chunks, Schedule
from forecast.training.source import build_source
from tests.training.interruption import killed_once_saved

TINY = SegRNN(input_size=12, segment=4, hidden_size=8, dropout=0.1)
SHAPES = ("cycles", "cosine", "one_cycle", "plateau")


def fitted(frame, training: Training, seed: int = 0):
    return Forecaster(TINY, h=3, training=training, seed=seed, progress=False).fit(frame)._fitted["segrnn"]


def same(one, two) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(one.net.state_dict().values(), two.net.state_dict().values(), strict=True)
    )


# --- schedules


@given(st.sampled_from(SHAPES), st.integers(1, 6), st.integers(1, 6), st.floats(0, 0.9), st.floats(0, 1))
def test_the_rate_never_leaves_its_range_and_validations_ascend_to_the_end(
    shape, cycles, validations, warmup, progress
):
    schedule = Schedule(cycles, validations, warmup, shape)
    assert 0 <= schedule.learning_rate_share(progress) <= 1 + 1e-9
    assert list(schedule.due) == sorted(set(schedule.due))
    assert schedule.due[-1] == pytest.approx(1.0)
    assert len(schedule.due) == len(schedule.ends) * validations


@given(st.integers(1, 300), st.sampled_from(SHAPES), st.integers(1, 5), st.integers(1, 6))
def test_every_schedule_counts_every_step_once_and_stops_for_each_validation(steps, shape, cycles, validations):
    schedule, budget = Schedule(cycles, validations, 0.05, shape), Budget(steps, None)
    chunks, seen, stops = Chunks(budget, schedule), [], []
    while chunks.next < steps:
        for chunk in chunks:
            seen += list(chunk)
        stops.append(schedule.passed(budget.progress(chunks.next)))
    assert seen == list(range(steps))
    assert stops == sorted(set(stops))
    assert stops[-1] == len(schedule.due)


def test_cosine_is_one_cycle_of_the_cycles():
    one, cosine = Schedule(1, 5, 0.1), Schedule(6, 5, 0.1, "cosine")
    assert cosine.ends == (1.0,)
    for progress in np.linspace(0, 1, 41):
        assert cosine.learning_rate_share(progress) == one.learning_rate_share(progress)


def test_one_cycle_rises_and_falls_alike_and_is_annihilated_at_the_end():
    schedule = Schedule(6, 5, 0.05, "one_cycle")
    rate = schedule.learning_rate_share
    assert (rate(0.0), rate(0.45)) == (pytest.approx(0.05), pytest.approx(1.0))
    assert rate(0.225) == pytest.approx(rate(0.675)) == pytest.approx(0.525)
    assert rate(0.9) == pytest.approx(0.05)
    assert rate(1.0) == pytest.approx(0.05 * 1e-3)
    ends = [rate(p) for p in np.linspace(0.45, 1.0, 50)]
    assert ends == sorted(ends, reverse=True)


def test_a_plateau_is_level_after_its_warm_up_and_every_validation_may_keep_a_model():
    schedule = Schedule(4, 3, 0.5, "plateau")
    assert schedule.learning_rate_share(0.0) < 0.01
    assert {schedule.learning_rate_share(p) for p in np.linspace(0.125, 1.0, 50)} == {1.0}
    np.testing.assert_allclose(np.diff(schedule.due), 1 / 12)
    assert all(schedule.ends_stretch(passed) for passed in range(1, 13))
    assert [p for p in range(1, 7) if Schedule(4, 3, 0.5).ends_stretch(p)] == [3, 6]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rate_stays_up_while_weights_are_averaged(shape):
    plain, averaged = Schedule(3, 5, 0.05, shape), Schedule(3, 5, 0.05, shape, averaged=0.25)
    for progress in np.linspace(0, 0.75, 40):
        assert averaged.learning_rate_share(progress) == plain.learning_rate_share(progress)
    assert min(averaged.learning_rate_share(p) for p in np.linspace(0.7501, 1, 40)) >= 0.2


def test_a_plateau_cuts_after_as_many_validations_as_it_waits_and_waits_again():
    plateau = Plateau(factor=0.5, patience=2)
    losses = [1.0, 0.9, 0.95, 0.8999, 0.91, 0.92, 0.5, 0.6, 0.4]
    #         best best  1     cut     1     cut   best  1   best
    assert [plateau.cut(losses[:n]) for n in range(len(losses) + 1)] == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


def test_a_plateau_bears_negative_losses():
    assert Plateau(0.1, 1).cut([-1.0, -2.0, -3.0]) == 1.0
    assert Plateau(0.1, 1).cut([-3.0, -2.0]) == 0.1


def test_the_learning_rate_of_a_plateau_follows_its_validations(frame):
    training = Training(
        max_steps=60, learning_rate=0.05, batch_size=8, schedule="plateau", cycles=3, validations=5, warmup=0.0,
        plateau_patience=1, plateau_factor=0.1, patience=None,
    )  # fmt: skip
    curves = fitted(frame, training).history["curves"]
    assert len(curves) == 15
    losses = [p["validation_loss"] for p in curves]
    expected = [0.05 * Plateau(0.1, 1).cut(losses[:n]) for n in range(15)]
    assert [p["learning_rate"] for p in curves] == pytest.approx(expected)
    assert curves[-1]["learning_rate"] < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_every_schedule_keeps_to_a_budget_in_seconds(shape, frame):
    training = Training(max_time=0.25, batch_size=8, schedule=shape, patience=None)
    history = fitted(frame, training).history
    assert history["steps"] >= 1
    assert history["seconds"] < 5


# --- averages


def follow(average: WeightAverage, parameter: nn.Parameter, values: list[float]) -> None:
    for step, value in enumerate(values):
        with torch.no_grad():
            parameter.fill_(value)
        average.update(step, step / len(values))


def test_swa_is_the_mean_of_the_last_part_and_until_then_the_net_itself():
    net = nn.Linear(1, 1, bias=False)
    average = WeightAverage(net, "swa", 0.5, share=0.5)
    average.update(0, progress=0.0)
    nn.init.constant_(net.weight, 2.0)
    with average.applied():
        assert net.weight.item() == 2.0
    follow(average, net.weight, [9.0, 9.0, 3.0, 8.0])
    with average.applied():
        assert net.weight.item() == pytest.approx((3.0 + 8.0) / 2)
    assert net.weight.item() == 8.0


def test_an_average_that_was_saved_goes_on_as_if_nothing_had_happened():
    net = nn.Linear(1, 1, bias=False)
    for kind in ("ema", "swa"):
        average, again = (WeightAverage(net, kind, 0.5, share=0.5) for _ in range(2))
        follow(average, net.weight, [9.0, 9.0, 3.0, 8.0])
        again.load([average.mean[0].clone()], average.count)
        for one in (average, again):
            follow(one, net.weight, [0.0, 1.0])
        assert torch.equal(average.mean[0], again.mean[0])


def test_ema_equals_hand_arithmetic():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 4.0)
    average = WeightAverage(net, "ema", 0.15, share=0.5)
    follow(average, net.weight, [1.0, 2.0])
    first = 0.1 * 4.0 + 0.9 * 1.0  # the decay warms up from a tenth
    assert average.mean[0].item() == pytest.approx(0.15 * first + 0.85 * 2.0)


def test_without_averaging_there_is_no_copy_of_the_weights():
    net = nn.Linear(1, 1)
    average = WeightAverage(net, "none", 0.5, 0.5)
    follow(average, net.weight, [1.0, 2.0])
    assert average.mean[0].data_ptr() == net.weight.data_ptr()
    with average.applied():
        assert net.weight.item() == 2.0


@pytest.mark.parametrize("kind", ["none", "ema", "swa"])
def test_the_weights_kept_are_those_that_validation_judged_whatever_the_average(kind, frame):
    panel, task = to_panel(frame), Task(3, 12, progress=False)
    training = Training(
        max_steps=40, learning_rate=0.03, batch_size=16, schedule="cosine", validations=4, averaging=kind,
        averaging_decay=0.9, loss="mae", patience=None,
    )  # fmt: skip
    model = Neural(TINY, training).fit(panel, task)
    source = build_source(panel, 12, 3, 12, None)
    module = ForecastModule(model.net, source, model.facts, training, training.budget(), 0)
    scaled = scale_window(source.at(source.validation))
    with torch.inference_mode():
        loss = module.loss_of(model.net(scaled.batch._replace(future=None)), scaled).item()
    (best,) = [p for p in model.history["curves"] if p["step"] == model.history["best_step"]]
    assert loss == pytest.approx(best["validation_loss"], rel=1e-5)


# --- losses


def test_smape_equals_hand_arithmetic_in_original_units():
    # forecasts 4 and 6 of 5 and 4: 200 * mean(1/9, 2/10) = 31.11, whatever the window is scaled by
    output, target = torch.tensor([[[4.0], [6.0]]]), torch.tensor([[5.0, 4.0]])
    for loc, scale in ((0.0, 1.0), (3.0, 0.5), (-2.0, 4.0)):
        zero = torch.tensor([[(0.0 - loc) / scale]])
        scaled_output, scaled_target = (output - loc) / scale, (target - loc) / scale
        errors = cell_loss("smape")(scaled_output, scaled_target) / mean_size(scaled_output, scaled_target, zero)
        assert 100 * errors.mean().item() == pytest.approx(31.111, abs=1e-3)


def test_smape_is_finite_and_has_a_bounded_gradient_at_zero():
    for forecast in (0.0, 1e-30, -1e-6, 0.3):
        output = torch.full((1, 1, 1), forecast, requires_grad=True)
        target, zero = torch.zeros(1, 1), torch.zeros(1, 1)
        loss = (cell_loss("smape")(output, target) / mean_size(output, target, zero)).sum()
        loss.backward()
        assert loss.item() <= 2.0
        assert abs(output.grad.item()) <= 5.0


def test_the_smape_loss_of_a_batch_is_that_of_its_original_values(frame):
    panel = to_panel(frame)
    facts = Facts(12, 3, seasons=(12,))
    training = Training(max_steps=1, batch_size=16, loss="smape")
    module = ForecastModule(
        TINY.build(facts), build_source(panel, 12, 3, 12, None), facts, training, training.budget(), 0
    )
    starts = module.source.validation
    scaled = scale_window(module.source.at(starts))
    output = torch.randn(len(starts), 3, 1) * 0.1
    series = module.source.validation_series
    center, spread = module.source.affine.center[series, None], module.source.affine.spread[series, None]
    forecast = scaled.restore(output)[..., 0].numpy().astype(np.float64) * spread + center
    rows = starts[:, None].numpy() + 12 + np.arange(3)
    actual = panel.values[rows]  # no series is padded here
    expected = np.mean(2 * np.abs(forecast - actual) / (np.abs(forecast) + np.abs(actual)))
    assert module.loss_of(output, scaled).item() == pytest.approx(expected, rel=1e-4)


def test_a_level_of_1e9_does_not_drown_the_smape_loss(frame):
    high = frame.assign(y=frame["y"] / frame.groupby("unique_id")["y"].transform("mean") + 1e9)
    training = Training(max_steps=1, batch_size=16, loss="smape")
    facts = Facts(12, 3, seasons=(12,))
    source = build_source(to_panel(high), 12, 3, 12, None)
    module = ForecastModule(TINY.build(facts), source, facts, training, training.budget(), 0)
    scaled = scale_window(module.source.at(module.source.validation))
    future = scaled.batch.future.unsqueeze(-1)
    near, far = (module.loss_of(future + shift, scaled).item() for shift in (0.01, 0.02))
    assert far == pytest.approx(2 * near, rel=1e-3)


def test_forks_learn_by_smape_too(frame, quick):
    training = replace(quick, loss="smape", gradient_clip_by="value")
    out = Forecaster(MQRNN(input_size=24, hidden_size=8), h=3, training=training, progress=False).fit(frame).predict()
    assert np.isfinite(out["mqrnn"]).all()


def test_training_by_smape_lowers_it(frame):
    training = Training(
        max_steps=60, batch_size=32, learning_rate=1e-2, schedule="cosine", validations=6, loss="smape", patience=None
    )
    bare = replace(TINY, seasonal_skip=False)
    history = Neural(bare, training).fit(to_panel(frame), Task(3, 12, progress=False)).history
    losses = [p["train_loss"] for p in history["curves"]]
    assert losses[-1] < 0.7 * losses[0]


def test_the_quantile_loss_without_quantiles_is_that_of_the_median_and_with_them_pinball():
    output, target = torch.randn(3, 4, 1), torch.randn(3, 4)
    torch.testing.assert_close(cell_loss("quantile")(output, target), cell_loss("mae")(output, target))
    several = torch.randn(3, 4, 3)
    probs = (0.1, 0.5, 0.9)
    for name in ("quantile", "mae", "smape"):
        assert torch.equal(cell_loss(name, probs)(several, target), pinball(probs)(several, target))


@pytest.mark.parametrize("loss", ["smape", "quantile", "mase", "huber"])
def test_nets_with_quantiles_train_whatever_the_loss_is_called(loss, frame, quick):
    model = SegRNN(input_size=12, segment=4, hidden_size=8, quantiles=(0.1, 0.9))
    out = Forecaster(model, h=3, training=replace(quick, loss=loss), progress=False).fit(frame).predict(level=80)
    assert (out["segrnn-lo-80"] <= out["segrnn-hi-80"]).all()


# --- settings


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"schedule": "linear"}, "schedule='linear': one of cycles, cosine, one_cycle, plateau"),
        ({"gradient_clip_by": "size"}, "gradient_clip_by='size': one of norm, value"),
        ({"averaging": "polyak"}, "averaging='polyak': one of none, ema, swa"),
        ({"averaging_decay": 1.0}, "averaging_decay=1.0"),
        ({"averaging_share": 0.0}, "averaging_share=0.0"),
        ({"plateau_factor": 1.0}, "plateau_factor=1.0"),
        ({"plateau_patience": 0}, "plateau_patience=0"),
        ({"learning_rate": "fast"}, "learning_rate='fast': above 0, or auto"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: above 0, or auto"),
        ({"sampling": "rows"}, "sampling='rows': one of windows, series"),
        ({"recency": 0.0}, "recency=0.0: above 0, or null"),
        ({"recency": float("nan")}, "recency=nan"),
    ],
)
def test_a_setting_out_of_range_is_named_with_what_it_may_be(changes, hint):
    with pytest.raises(ConfigError, match=hint):
        Training(**changes)


# --- resuming

RECIPES = {
    "plateau": {"schedule": "plateau", "plateau_patience": 1, "plateau_factor": 0.3, "learning_rate": 0.05},
    "one cycle, swa": {"schedule": "one_cycle", "averaging": "swa", "averaging_share": 0.8},
    "cosine, ema": {"schedule": "cosine", "averaging": "ema", "averaging_decay": 0.8},
    "auto": {"learning_rate": "auto"},
    "sampling, value": {"sampling": "series", "recency": 0.3, "gradient_clip_by": "value", "gradient_clip": 0.01},
    "smape": {"loss": "smape"},
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_interrupted_training_resumes_bit_for_bit_whatever_the_recipe(recipe, frame, tmp_path, monkeypatch):
    whole = Training(max_steps=28, batch_size=8, cycles=2, validations=6, patience=None)
    whole = replace(whole, **RECIPES[recipe])
    expected = fitted(frame, whole)

    resumable = replace(whole, checkpoint_dir=tmp_path)
    with killed_once_saved(monkeypatch, 16):
        fitted(frame, resumable)
    resumed = fitted(frame, resumable)
    assert same(resumed, expected)
    curves = [
        [{k: v for k, v in p.items() if k != "seconds"} for p in f.history["curves"]] for f in (resumed, expected)
    ]
    assert curves[0] == curves[1]
    assert resumed.history["learning_rate"] == expected.history["learning_rate"]
