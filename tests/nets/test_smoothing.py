"""Exponential smoothing: block by block equals row by row, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from forecast.nets import smoothing
from forecast.nets.scan import scan
from forecast.nets.smoothing import Kind, smooth

SEASONS = [(), (1,), (3,), (2, 5), (4, 3), (3, 6), (2, 3, 4)]


def row_by_row(kind: Kind, y: Tensor, start: Tensor, rate: Tensor, rates, firsts) -> tuple[Tensor, ...]:
    """The published recursion as it is written in the paper."""
    level, levels, factors = start, [], [list(first) for first in firsts]
    for t, value in enumerate(y):
        now = [factor[t] for factor in factors]
        plain = kind.rest(value, kind.join(*now)) if now else value
        level = rate[t] * plain + (1 - rate[t]) * level
        levels.append(level)
        for i, factor in enumerate(factors):
            others = [f for j, f in enumerate(now) if j != i]
            factor.append(rates[i][t] * kind.rest(value, kind.join(level, *others)) + (1 - rates[i][t]) * now[i])
    return torch.stack(levels), *map(torch.stack, factors)


def example(rows: int, seasons: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    """Values, first level, rates and first factors of two series, all above 0."""
    torch.manual_seed(seed)
    rates = [torch.rand(rows, 2, dtype=torch.float64) for _ in range(1 + len(seasons))]
    firsts = [torch.rand(m, 2, dtype=torch.float64) + 0.5 for m in seasons]
    return [torch.rand(rows, 2, dtype=torch.float64) + 0.5, torch.rand(2, dtype=torch.float64) + 0.5, *rates, *firsts]


def flat(kind: Kind, y: Tensor, start: Tensor, rate: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
    count = len(parts) // 2
    level, factors = smooth(kind, y, start, rate, parts[:count], parts[count:])
    return level, *factors


def test_two_rows_by_hand():
    y, half = torch.tensor([[8.0], [6.0]]), torch.full((2, 1), 0.5)
    level, (season,) = smooth(Kind(False), y, torch.tensor([2.0]), half, [half], [torch.tensor([[2.0], [1.0]])])
    assert level[:, 0].tolist() == [3.0, 4.5]  # (8 / 2 + 2) / 2, (6 / 1 + 3) / 2
    assert season[:, 0].tolist() == pytest.approx([2.0, 1.0, (8 / 3 + 2) / 2, (6 / 4.5 + 1) / 2])
    level, (season,) = smooth(Kind(True), y, torch.tensor([2.0]), half, [half], [torch.tensor([[2.0], [1.0]])])
    assert level[:, 0].tolist() == [4.0, 4.5]  # (8 - 2 + 2) / 2, (6 - 1 + 4) / 2
    assert season[:, 0].tolist() == [2.0, 1.0, 3.0, 1.25]


@settings(max_examples=30)
@given(st.integers(1, 30), st.sampled_from(SEASONS), st.booleans(), st.integers(0, 99))
def test_season_by_season_equals_row_by_row(rows, seasons, additive, seed):
    y, start, rate, *parts = example(rows, seasons, seed)
    count = len(seasons)
    expected = row_by_row(Kind(additive), y, start, rate, parts[:count], parts[count:])
    for found, wanted in zip(flat(Kind(additive), y, start, rate, *parts), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("seasons", SEASONS)
@pytest.mark.parametrize("additive", [False, True])
def test_the_written_gradient_is_the_numerical_one(seasons, additive):
    inputs = [x.requires_grad_() for x in example(11, seasons)]
    assert torch.autograd.gradcheck(lambda *given: flat(Kind(additive), *given), inputs)


def test_the_scan_of_accelerators_gives_the_same(monkeypatch):
    inputs = [x.requires_grad_() for x in example(17, (3, 5))]
    one = flat(Kind(False), *inputs)
    gradients = torch.autograd.grad(sum(x.square().sum() for x in one), inputs)
    monkeypatch.setattr(smoothing, "_solver", lambda _: scan)
    two = flat(Kind(False), *inputs)
    torch.testing.assert_close(two, one)
    torch.testing.assert_close(torch.autograd.grad(sum(x.square().sum() for x in two), inputs), gradients)


def test_a_rate_of_zero_holds_level_and_factors():
    y, start, rate, *parts = example(12, (3,))
    still = torch.ones(12, 1, dtype=torch.float64)
    still[4:9] = 0
    level, season = flat(Kind(False), y, start, rate * still, parts[0] * still, parts[1])
    assert torch.equal(level[4:9], level[3].expand(5, 2))
    assert torch.equal(season[7:12], season[4:9])  # a season later


@pytest.mark.parametrize("additive", [False, True])
def test_an_exactly_seasonal_series_keeps_its_level_and_factors(additive):
    kind = Kind(additive)
    short, long = torch.tensor([[0.5], [1.5]]), torch.tensor([[0.8], [1.2], [1.0]])
    y = kind.join(torch.full((12, 1), 7.0), short.repeat(6, 1), long.repeat(4, 1))
    rate = torch.full((12, 1), 0.3)
    level, (first, second) = smooth(kind, y, torch.tensor([7.0]), rate, [rate, rate], [short, long])
    torch.testing.assert_close(level, torch.full((12, 1), 7.0))
    torch.testing.assert_close(first, short.repeat(7, 1))
    torch.testing.assert_close(second, long.repeat(5, 1))
