"""Fixtures that every test may use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings

from forecast import Training

# The gate draws the same examples every time, so that it fails for a change and never by luck; `make fuzz` draws new ones.
settings.register_profile(
    "ci",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("fuzz", settings.get_profile("ci"), max_examples=1000, derandomize=False)
# Where it is enough to know that a test fails: nobody looks for the simplest example.
settings.register_profile("gate", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """The tests run side by side already; threads of one net would only get in each other's way."""
    torch.set_num_threads(1)


def seasonal_frame(
    series: int = 3, length: int = 60, season: int = 12, seed: int = 0, freq: str = "MS"
) -> pd.DataFrame:
    """Long frame of noisy seasonal series with trends, levels far apart and lengths that differ."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        n = length - number
        t = np.arange(n)
        level = 10.0 ** (number % 4)
        y = level * (5 + np.sin(2 * np.pi * t / season) + 0.01 * t + 0.1 * rng.standard_normal(n))
        stamps = pd.date_range("2015-01-01", periods=n, freq=freq)
        frames.append(pd.DataFrame({"unique_id": f"s{number}", "ds": stamps, "y": y}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Three monthly seasonal series of about sixty rows."""
    return seasonal_frame()


@pytest.fixture(scope="session")
def quick() -> Training:
    """Two small steps: enough to run everything once."""
    return Training(max_steps=2, batch_size=8, cycles=1, validations=1)
