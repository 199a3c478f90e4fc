"""Evenly spread random numbers, and quantiles of the paths made from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecast.nets.samples import MEMORIES, normal_scores, quantiles_of, uniforms


@pytest.mark.parametrize("draws", [1, 2])
def test_each_step_visits_the_middle_of_every_stratum_once(draws):
    numbers = uniforms(20, 7, draws)
    assert numbers.shape == (7, 20, draws) and numbers.dtype == torch.float32
    middles = (torch.arange(20) + 0.5) / 20
    torch.testing.assert_close(numbers[..., 0].sort(-1).values, middles.expand(7, 20))
    assert ((numbers > 0) & (numbers < 1)).all()


@pytest.mark.parametrize("samples", [2, 20, 21])
def test_paths_come_in_antithetic_pairs(samples):
    numbers, half = uniforms(samples, 5, 2), -(-samples // 2)
    assert numbers.shape[1] == samples
    one, other = numbers[:, : samples - half], numbers[:, half:]
    torch.testing.assert_close(one[..., 0] + other[..., 0], torch.ones_like(one[..., 0]))
    assert torch.equal(one[..., 1], other[..., 1])


def test_steps_differ_and_longer_horizons_begin_like_shorter_ones():
    numbers = uniforms(20, 6, 2)
    assert len({tuple(step.tolist()) for step in numbers[..., 0]}) == 6
    assert torch.equal(uniforms(20, 3, 2), numbers[:3])


def test_the_numbers_are_rebuilt_identically_whatever_the_global_seed_and_can_be_trained_through():
    uniforms.cache_clear()
    with torch.inference_mode():
        one = uniforms(10, 4, 2)
    uniforms.cache_clear()
    torch.manual_seed(99)
    assert torch.equal(one, uniforms(10, 4, 2))
    assert not one.is_inference()
    with torch.device("meta"):
        assert uniforms(6, 2, 1).device.type == "cpu"


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("memory", [0.3, *MEMORIES])
def test_sums_over_the_steps_are_spread_as_evenly_as_many_more_random_ones(draws, memory):
    """Of 100 paths, the 10 % quantile of a normal sum: its error against that of 100 independent paths (0.17)."""
    scores, total, variance, errors = normal_scores(uniforms(100, 48, draws).double()), 0.0, 0.0, []
    for step in scores:
        total, variance = memory * total + step, memory**2 * variance + 1.0
        quantile = quantiles_of((total / math.sqrt(variance))[None, :, None], (0.1,))
        errors.append(quantile.item() - stats.norm.ppf(0.1))
    independent = math.sqrt(0.1 * 0.9 / 100) / stats.norm.pdf(stats.norm.ppf(0.1))
    assert np.sqrt(np.mean(np.square(errors))) < 0.6 * independent


def test_quantiles_of_four_samples_by_hand():
    paths = torch.tensor([[[4.0], [1.0], [2.0], [3.0]]])  # stand for 1/8, 3/8, 5/8, 7/8
    found = quantiles_of(paths, (0.01, 0.125, 0.25, 0.5, 0.875, 0.99))
    assert found.tolist() == [[[1.0, 1.0, 1.5, 2.5, 4.0, 4.0]]]


@given(
    values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=30),
    probs=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_quantiles_do_not_cross_and_stay_among_the_samples(values, probs):
    paths = torch.tensor(values, dtype=torch.float32)[None, :, None]
    found = quantiles_of(paths, tuple(probs))[0, 0]
    assert (found.diff() >= 0).all()
    assert found[0] >= paths.min() and found[-1] <= paths.max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_are_the_same_with_gradients_and_leave_the_paths_as_they_were(dtype):
    paths = torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    before = paths.clone()
    plain = quantiles_of(paths, (0.1, 0.5))
    assert torch.equal(paths, before)
    slow = quantiles_of(paths.clone().requires_grad_(), (0.1, 0.5))
    assert torch.equal(plain, slow.detach())
    slow.sum().backward()
