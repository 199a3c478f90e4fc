"""What is learned of each series: its coefficients, its first factors by phase, and what a new series gets."""

from __future__ import annotations

import pytest
import torch

from forecast.nets.series_smoothing import SeriesSmoothing, first_states, phase_mean
from forecast.nets.smoothing import Kind
from forecast.windows.gather import Batch


def smoothing_of(series: int = 3, seasons: tuple[int, ...] = (2, 3), additive: bool = False) -> SeriesSmoothing:
    torch.manual_seed(0)
    module = SeriesSmoothing(series, seasons, additive)
    with torch.no_grad():
        module.table.normal_(std=0.5)
    return module


def batch_of(rows: int = 14, size: int = 3, **given) -> Batch:
    torch.manual_seed(1)
    return Batch(torch.rand(size, rows) + 0.5, **{"observed": None, **given})


def test_means_by_phase_leave_out_what_weighs_nothing():
    values = torch.tensor([[1.0], [10.0], [3.0], [20.0], [99.0]])
    weight = torch.tensor([[1.0], [1.0], [1.0], [1.0], [0.0]])
    assert phase_mean(values, weight, 2)[:, 0].tolist() == [2.0, 15.0]
    assert phase_mean(values, weight, 4)[:, 0].tolist() == [1.0, 10.0, 3.0, 20.0]
    assert phase_mean(values, weight, 6)[4:, 0].isnan().all()


def test_first_states_are_the_level_and_the_shortest_season_of_the_first_rows():
    short, long = torch.tensor([[0.5], [1.5]]), torch.tensor([[0.9], [1.1], [1.0], [0.9], [1.1], [1.0]])
    y = 4.0 * short.repeat(6, 1) * long.repeat(2, 1)
    age = torch.arange(12.0).unsqueeze(1)
    level, (first, second) = first_states(Kind(False), y, torch.ones_like(y), age, (2, 6))
    torch.testing.assert_close(level, torch.tensor([4.0]))
    torch.testing.assert_close(first, short)
    assert second.tolist() == [[1.0]] * 6


def test_a_phase_without_a_known_row_begins_neutral():
    y, known = torch.tensor([[2.0], [0.0], [6.0], [5.0]]), torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    age = torch.arange(4.0).unsqueeze(1)
    level, (factors,) = first_states(Kind(False), y, known, age, (3,))
    assert level.tolist() == [4.0] and factors[:, 0].tolist() == [0.5, 1.0, 1.5]
    assert first_states(Kind(True), y, known, age, (3,))[1][0][:, 0].tolist() == [-2.0, 0.0, 2.0]


def test_without_a_season_the_first_known_value_is_the_first_level():
    y, known = torch.tensor([[0.0, 5.0], [3.0, 6.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    age = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    level, factors = first_states(Kind(False), y, known, age, ())
    assert level.tolist() == [3.0, 5.0] and factors == []


def test_rows_after_the_first_season_do_not_shape_the_first_states():
    y = torch.rand(9, 2) + 0.5
    later = y.clone()
    later[4:] = 99.0
    age = torch.arange(9.0).unsqueeze(1).expand(9, 2)
    one, two = (first_states(Kind(False), x, torch.ones_like(x), age, (2, 4)) for x in (y, later))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("additive", [False, True])
def test_level_seasons_and_the_rest_make_the_value(additive):
    module, batch = smoothing_of(additive=additive), batch_of(series=torch.arange(3), ordinal=torch.tensor([4, 0, 9]))
    states = module(batch)
    sum_of_parts = states.plain + sum(factor[:, :14] for factor in states.factors)
    levels = states.units.levels(sum_of_parts.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(levels, batch.past)


def test_each_series_is_smoothed_by_its_own_parameters():
    module, batch = smoothing_of(), batch_of(series=torch.tensor([2, 0, 1]))
    before = module(batch).level
    with torch.no_grad():
        module.table[0] += 1.0
    changed = (module(batch).level != before).any(1)
    assert changed.tolist() == [False, True, False]


def test_a_new_series_gets_the_mean_coefficients_and_nothing_learned_about_seasons():
    module, past = smoothing_of(), torch.rand(1, 14) + 0.5
    new = module(Batch(past, None, series=torch.tensor([-1]), ordinal=torch.tensor([3])))
    with torch.no_grad():
        module.table[1, :3] = module.table[:, :3].mean(0)
        module.table[1, 3:] = 0.0
    known = module(Batch(past, None, series=torch.tensor([1]), ordinal=torch.tensor([3])))
    torch.testing.assert_close(new.level, known.level)
    torch.testing.assert_close(new.factors, known.factors)
    torch.testing.assert_close(module(Batch(past, None)).level.shape, known.level.shape)


def test_what_was_learned_about_a_phase_goes_with_the_phase():
    module = smoothing_of(1, (3,))
    with torch.no_grad():
        module.table[:] = torch.tensor([[-9.0, -9.0, 1.0, 2.0, 3.0]])  # hardly any smoothing
    flat = torch.full((2, 7), 1.0)
    states = module(Batch(flat, None, series=torch.zeros(2, dtype=torch.long), ordinal=torch.tensor([0, 5])))
    found = states.factors[0][:, :3]
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]))


@pytest.mark.parametrize("additive", [False, True])
def test_rows_before_the_first_known_one_change_nothing_after_it(additive):
    module, past = smoothing_of(1, (2, 3), additive), torch.rand(1, 11) + 0.5
    series = torch.zeros(1, dtype=torch.long)
    one = module(Batch(past, torch.ones(1, 11), series=series, ordinal=torch.tensor([7])))
    padded, known = (torch.cat([torch.zeros(1, 7), x], 1) for x in (past, torch.ones(1, 11)))
    two = module(Batch(padded, known, series=series, ordinal=torch.tensor([0])))
    torch.testing.assert_close(two.level[:, 7:], one.level)
    torch.testing.assert_close(two.plain[:, 7:], one.plain)
    torch.testing.assert_close(two.plain[:, :7], two.level[:, :7])
    assert two.age[0].tolist() == [-1.0] * 7 + list(range(11))


def test_unknown_rows_read_as_the_level():
    module, batch = smoothing_of(), batch_of()
    observed = torch.ones(3, 14)
    observed[1, 9:12] = 0
    states = module(batch._replace(past=batch.past * observed, observed=observed))
    assert torch.equal(states.level[1, 9:12], states.level[1, 8].expand(3))
    assert torch.equal(states.plain[1, 9:12], states.level[1, 9:12])


def test_coefficients_and_first_factors_learn_at_rates_of_their_own():
    torch.manual_seed(0)
    plain, fast = smoothing_of(), SeriesSmoothing(3, (2, 3), False, rate=4.0, factor_rate=0.5)
    with torch.no_grad():
        fast.table.copy_(plain.table / torch.tensor([4.0] * 3 + [0.5] * 5))
    batch = batch_of(series=torch.arange(3))
    torch.testing.assert_close(fast(batch).level, plain(batch).level)
    for module in (plain, fast):
        module(batch).level.sum().backward()
    torch.testing.assert_close(fast.table.grad[:, :3], 4.0 * plain.table.grad[:, :3])
    torch.testing.assert_close(fast.table.grad[:, 3:], 0.5 * plain.table.grad[:, 3:])


def test_values_that_are_not_above_zero_count_as_almost_nothing():
    module, batch = smoothing_of(), batch_of()
    past = batch.past.clone()
    past[0, 3], past[1] = -5.0, -1.0
    states = module(batch._replace(past=past))
    assert all(x.isfinite().all() for x in (states.level, states.plain, *states.factors))
