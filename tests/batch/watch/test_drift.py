"""Drift is found when there is some, and as good as never when there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecast.batch.watch.drift import PERIOD, drift, relative_losses, with_periods
from forecast.batch.watch.scores import LEVEL_SUMS, POINT_SUMS, QUANTILE_SUMS, Tally
from forecast.batch.watch.settings import WatchSettings

DAYS, STEPS, SERIES = 60, 4, 25
SETTINGS = WatchSettings()
Of = Callable[[int, int], float]


def always(value: float) -> Of:
    return lambda target, step: value


UNBIASED, AS_PROMISED = always(0.0), always(0.8)


def job(
    loss: Of, bias: Of = UNBIASED, coverage: Of = AS_PROMISED, days: int = DAYS, skip: tuple[int, ...] = ()
) -> Tally:
    """The cells of a job that ran every day: of each, mean scaled error, mean signed one and coverage by target."""
    rows, levels, days_run = [], [], [day for day in range(days) if day not in skip]
    for day in days_run:
        for step in range(1, STEPS + 1):
            target = day + step
            if target >= days:
                continue
            key = {"run": f"r{day:03d}", "step": step, "source": "m", "target": target}
            scaled = SERIES * loss(target, step)
            rows.append(
                {**key, "model": "m", "n": SERIES, "n_scaled": SERIES, "absolute": scaled,
                 "scaled": scaled, "symmetric": 0.0, "signed": SERIES * bias(target, step),
                 "signed_scaled": SERIES * bias(target, step), "size": 1.0}
            )  # fmt: skip
            levels.append({**key, "level": "80", "n": SERIES, "covered": SERIES * coverage(target, step), "width": 1.0})
    quantiles = pd.DataFrame(columns=["run", "step", "source", "target", "q", *QUANTILE_SUMS])
    sums = Tally(pd.DataFrame(rows), pd.DataFrame(levels), quantiles)
    return with_periods(sums, np.array(days_run))


def noisy(rng: np.random.Generator, mean: float = 0.0, spread: float = 0.2, correlation: float = 0.3) -> Of:
    """Lognormal losses by target, correlated from day to day, larger for further steps."""
    noise = rng.normal(size=DAYS + STEPS)
    for at in range(1, noise.size):
        noise[at] = correlation * noise[at - 1] + np.sqrt(1 - correlation**2) * noise[at]
    return lambda target, step: float(np.exp(mean + spread * noise[target]) * (1 + 0.3 * step))


def kinds(sums: Tally, settings: WatchSettings = SETTINGS) -> list[str]:
    return [alert.kind for alert in drift(sums, settings)]


def test_a_period_holds_every_step_of_one_day_of_actuals() -> None:
    sums = job(always(1.0))
    whole = sums.points[sums.points[PERIOD] == 20]
    assert set(whole["target"]) == {21}
    assert sorted(whole["step"]) == [1, 2, 3, 4]
    assert set(sums.levels[sums.levels[PERIOD] == 20]["target"]) == {21}


def test_a_job_with_a_finer_grid_than_its_schedule_has_one_period_for_each_run() -> None:
    points = pd.DataFrame({"run": "r", "step": range(1, 49), "source": "m", "target": range(101, 149)})
    sums = with_periods(Tally(points, points.iloc[:0], points.iloc[:0]), np.array([100, 124]))
    assert sums.points[PERIOD].tolist() == [0] * 24 + [1] * 24
    assert sums.levels.empty


def test_a_target_before_every_cutoff_is_in_no_period() -> None:
    points = pd.DataFrame({"run": "r", "step": [1, 2], "source": "m", "target": [99, 101]})
    assert with_periods(Tally(points, points, points), np.array([100])).levels["target"].tolist() == [101]


def test_nothing_is_said_of_a_job_that_is_as_it_was_nor_of_a_young_one() -> None:
    assert kinds(job(always(1.0))) == []
    assert kinds(job(always(9.0), days=6)) == []
    assert kinds(Tally(*(pd.DataFrame(columns=["run", "step", "source", "target", PERIOD, *sums])
                         for sums in (POINT_SUMS, LEVEL_SUMS, QUANTILE_SUMS)))) == []  # fmt: skip


def test_false_alarms_are_rare() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(60):
        daily = rng.binomial(SERIES, 0.8, size=DAYS + STEPS) / SERIES
        drawn = rng.normal(0, 0.3, size=DAYS + STEPS)
        sums = job(noisy(rng), lambda t, s, b=drawn: float(b[t]), lambda t, s, c=daily: float(c[t]))
        alarms += bool(kinds(sums))
    assert alarms <= 2


@pytest.mark.parametrize(
    ("factor", "days", "severity"), [(1.5, 10, "warning"), (3.0, 3, "critical"), (10.0, 1, "critical")]
)
def test_a_rise_of_errors_is_found_the_sooner_the_larger_it_is(factor: float, days: int, severity: str) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(10):
        calm = noisy(rng, spread=0.15)
        risen = lambda t, s, f=calm: f(t, s) * (factor if t >= DAYS - days else 1.0)  # noqa: E731
        found += [alert for alert in drift(job(risen), SETTINGS, lambda t: f"day {t}") if alert.kind == "accuracy"]
    assert len(found) >= 9
    assert np.median([alert.value or 0 for alert in found]) == pytest.approx(factor, rel=0.15)
    assert {alert.severity for alert in found} == {severity}
    near = sum(f"since day {DAYS - days}:" in alert.message for alert in found)
    assert near >= len(found) / 2


def test_a_rise_that_is_certain_but_small_is_no_news() -> None:
    sums = job(lambda t, s: 1.1 if t >= DAYS - 10 else 1.0 + 0.001 * (t % 2))
    assert kinds(sums) == []
    assert kinds(sums, WatchSettings(accuracy_ratio=1.05)) == ["accuracy"]


def test_days_without_a_run_are_no_drift_although_their_forecasts_are_older() -> None:
    harder = lambda target, step: float(step**2) * (1 + 0.01 * (target % 3))  # noqa: E731
    assert kinds(job(harder, skip=(DAYS - 5, DAYS - 4, DAYS - 3))) == []


def test_the_error_of_each_step_is_held_against_that_step() -> None:
    sums = job(lambda target, step: float(10**step))
    losses = relative_losses(sums.points, np.arange(5, 40))
    np.testing.assert_allclose(losses.to_numpy(), 1.0)


def test_a_drop_of_errors_is_no_alert() -> None:
    rng = np.random.default_rng(2)
    calm = noisy(rng)
    assert kinds(job(lambda t, s: calm(t, s) * (0.2 if t >= DAYS - 10 else 1.0))) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_forecasts_that_lean_to_one_side_are_a_bias_with_its_direction(sign: int) -> None:
    drawn = np.random.default_rng(3).normal(0, 0.05, size=DAYS + STEPS)
    sums = job(always(1.0), lambda t, s: float(drawn[t]) + (0.5 * sign if t >= DAYS - 14 else 0.0))
    (alert,) = drift(sums, SETTINGS)
    assert (alert.kind, alert.severity) == ("bias", "warning")
    assert alert.value == pytest.approx(0.5 * sign, abs=0.05)
    assert ("too high" if sign > 0 else "too low") in alert.message


def test_a_lean_that_noise_explains_is_no_bias() -> None:
    drawn = np.random.default_rng(4).normal(0, 2.0, size=DAYS + STEPS)
    drawn[-14:] += 0.4 - drawn[-14:].mean()
    assert kinds(job(always(1.0), lambda t, s: float(drawn[t]))) == []


def test_intervals_that_hold_too_little_are_a_warning_and_too_much_good_to_know() -> None:
    rng = np.random.default_rng(5)
    daily = rng.binomial(SERIES, 0.8, size=DAYS + STEPS) / SERIES
    little = job(always(1.0), coverage=lambda t, s: float(daily[t] - (0.25 if t >= DAYS - 14 else 0)))
    much = job(always(1.0), coverage=lambda t, s: 1.0 if t >= DAYS - 14 else float(daily[t]))
    (warned,), (told,) = drift(little, SETTINGS), drift(much, SETTINGS)
    assert (warned.kind, warned.severity, warned.where) == ("coverage", "warning", "level 80")
    assert (told.severity, told.limit) == ("info", 0.8)
    assert warned.value == pytest.approx(0.55, abs=0.04)


def test_coverage_that_swings_from_day_to_day_needs_more_days_before_it_is_drift() -> None:
    """All series move together: 25 of them are worth one, and 14 days with 8 hits may well happen at 80 %."""
    daily = np.random.default_rng(6).binomial(1, 0.8, size=DAYS + STEPS).astype(float)
    daily[DAYS - 14 : DAYS] = [1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0]
    assert kinds(job(always(1.0), coverage=lambda t, s: float(daily[t]))) == []
