"""Small models and panels for the tests of a job's models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from forecast import Training
from forecast.baselines.naive import SeasonalNaive
from forecast.batch.models.kept import Kept, sample_of
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import DLinear
from forecast.panel.panel import Panel

START = pd.Timestamp("2024-01-01")


def daily_panel(series: int = 6, length: int = 70, seed: int = 0) -> Panel:
    """Daily series with a strong week, all ending on one day."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    y = (
        20
        + 5 * np.sin(2 * np.pi * t / 7)[None] * rng.uniform(0.5, 2, (series, 1))
        + rng.normal(0, 0.3, (series, length))
    )
    ids = np.repeat([f"s{n:03d}" for n in range(series)], length)
    stamps = np.tile(pd.date_range(START, periods=length), series)
    return to_panel(pd.DataFrame({"unique_id": ids, "ds": stamps, "y": y.ravel()}))


def slot(day: int) -> datetime:
    """The slot of the run that knows ``day`` days."""
    return datetime(2024, 1, 1, 2, tzinfo=UTC) + timedelta(days=day)


@pytest.fixture(scope="session")
def panel() -> Panel:
    return daily_panel()


@pytest.fixture(scope="session")
def task() -> Task:
    return Task(h=4, season_length=7, progress=False)


@pytest.fixture(scope="session")
def brief() -> Training:
    """A training of a few steps."""
    return Training(max_steps=6, batch_size=16, cycles=1, validations=1)


@pytest.fixture(scope="session")
def net() -> DLinear:
    return DLinear(input_size=14)


@pytest.fixture(scope="session")
def local(panel: Panel, task: Task) -> Callable[[int], Kept]:
    """A model that takes no time to make, another one for each season length."""

    def make(season: int) -> Kept:
        model = SeasonalNaive(season_length=season)
        return Kept("seasonal_naive", model, model.fit(panel, task), task, sample_of(panel))

    return make


def days(panel: Panel, count: int) -> Panel:
    """What was known after ``count`` days."""
    return panel.head(np.full(len(panel), count))


def with_values(panel: Panel, change: Callable[[np.ndarray], np.ndarray]) -> Panel:
    return replace(panel, values=change(panel.values.copy()))
