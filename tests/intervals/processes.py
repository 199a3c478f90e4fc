"""Simulated processes with known truth, as panels of many series."""

from __future__ import annotations

import numpy as np
import pandas as pd


def ar1(rng: np.random.Generator, series: int, length: int) -> np.ndarray:
    """AR(1) with coefficient 0.7, levels and sizes far apart."""
    noise = rng.standard_normal((series, length + 50))
    y = np.zeros_like(noise)
    for t in range(1, y.shape[1]):
        y[:, t] = 0.7 * y[:, t - 1] + noise[:, t]
    return (y[:, 50:] + 5.0) * np.exp(rng.normal(size=series))[:, None]


def seasonal(rng: np.random.Generator, series: int, length: int) -> np.ndarray:
    """A season of 4 steps and noise, sizes far apart."""
    wave = 3.0 * np.sin(np.pi / 2.0 * (np.arange(length) + rng.integers(4, size=series)[:, None]))
    return (10.0 + wave + rng.standard_normal((series, length))) * np.exp(rng.normal(size=series))[:, None]


def heteroscedastic(rng: np.random.Generator, series: int, length: int) -> np.ndarray:
    """Noise whose size wanders: a logarithm that is itself an AR(1)."""
    size = np.zeros((series, length))
    for t in range(1, length):
        size[:, t] = 0.9 * size[:, t - 1] + 0.3 * rng.standard_normal(series)
    return 20.0 + np.exp(size) * rng.standard_normal((series, length))


def counts(rng: np.random.Generator, series: int, length: int) -> np.ndarray:
    """Poisson counts, of a rate of each series between 1 and 8."""
    return rng.poisson(rng.uniform(1.0, 8.0, series)[:, None], (series, length)).astype(np.float64)


def intermittent(rng: np.random.Generator, series: int, length: int) -> np.ndarray:
    """Nothing on seven days in ten, else a Poisson count."""
    return counts(rng, series, length) * (rng.random((series, length)) < 0.3)


def broken(rng: np.random.Generator, length: int, at: int, factor: float) -> np.ndarray:
    """One AR(1) around 50 whose noise is ``factor`` times as large from row ``at`` on."""
    noise = rng.standard_normal(length) * np.where(np.arange(length) < at, 1.0, factor)
    y = np.zeros(length)
    for t in range(1, length):
        y[t] = 0.6 * y[t - 1] + noise[t]
    return 50.0 + y


def long(values: np.ndarray) -> pd.DataFrame:
    """A long frame of ``values`` (S, N), or (N,) of one series, at integer times."""
    values = np.atleast_2d(values)
    series, length = values.shape
    ids = [f"s{number:04d}" for number in range(series)]
    return pd.DataFrame(
        {"unique_id": np.repeat(ids, length), "ds": np.tile(np.arange(length), series), "y": values.ravel()}
    )
