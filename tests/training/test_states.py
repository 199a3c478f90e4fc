"""States of series: new rows alone advance them, and other old rows are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import ConfigError
from forecast.models import GRU, LSTM, RNN
from forecast.nets.facts import Facts
from forecast.panel.append import append
from forecast.panel.panel import Panel
from forecast.timeline import fit_timeline
from forecast.training.saved_states import restored_states, state_arrays
from forecast.training.states import (
    NO_ROW,
    States,
    advance,
    fingerprint,
    first_known,
    gathered,
    pieces,
    resumable,
    resumed,
)

FACTS = Facts(input_size=6, h=3, channels=2, seasons=(4,), probs=(0.1, 0.5))
CELLS = [LSTM(hidden_size=4, num_layers=2), GRU(hidden_size=4), RNN(hidden_size=4), RNN(4, 4, nonlinearity="relu")]
STEP = fit_timeline(1, np.array([0]))
numbers = st.one_of(st.just(np.nan), st.floats(-1e3, 1e3).map(lambda v: round(v, 2)))
rows = st.lists(numbers, min_size=1, max_size=150).map(np.array)


def panel_of(*series, first=None, ids=None) -> Panel:
    lengths = [len(y) for y in series]
    names = pd.Index(ids if ids is not None else [f"s{i}" for i in range(len(series))], dtype=object)
    start = np.zeros(len(series), dtype=np.int64) if first is None else np.array(first, dtype=np.int64)
    values = np.concatenate([np.asarray(y, dtype=np.float64) for y in series])
    return Panel(names, values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), start, STEP)


def net_of(arch):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return arch.stream(FACTS).eval()


def read(net, panel: Panel) -> States:
    return advance(net, FACTS, States.start(panel.ids, net, FACTS), panel)


def same(one: States, two: States) -> bool:
    """Equal to rounding in what a kernel computes, to the bit in the rest."""
    exact = [one.last, one.check, *vars(one.running).values()]
    others = [two.last, two.check, *vars(two.running).values()]
    return np.allclose(one.carry, two.carry, atol=1e-5) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(exact, others, strict=True)
    )


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6).map(np.array))
def test_pieces_cover_every_row_once_in_order(lengths):
    read_up_to = np.zeros_like(lengths)
    for which, first, size in pieces(lengths):
        np.testing.assert_array_equal(read_up_to[which], first)
        read_up_to[which] += size
    np.testing.assert_array_equal(read_up_to, lengths)


@settings(max_examples=15)
@given(st.lists(rows, min_size=1, max_size=3), st.data())
@pytest.mark.parametrize("arch", CELLS, ids=repr)
def test_advancing_in_any_steps_equals_reading_at_once(arch, series, data):
    panel, net = panel_of(*series, first=[5 * i - 3 for i in range(len(series))]), net_of(arch)
    states, stop = States.start(panel.ids, net, FACTS), np.zeros(len(panel), dtype=np.int64)
    while (stop < panel.lengths).any():
        stop = np.minimum(stop + data.draw(st.integers(1, 100)), panel.lengths)
        part = panel.head(stop)
        assert (resumable(states, part) >= 0).tolist() == (states.last != NO_ROW).tolist()
        states = advance(net, FACTS, states, part)
    assert same(states, read(net, panel))


@given(rows, st.integers(0, 150))
def test_fingerprints_of_two_stretches_add_up_to_that_of_both(y, cut):
    panel = panel_of(y, y[: max(1, len(y) // 2)], first=[-4, 9])
    stop = np.full(2, min(cut, len(y)), dtype=np.int64)
    one, two = panel.head(stop), panel.slice(stop, panel.lengths)
    np.testing.assert_array_equal(fingerprint(one) + fingerprint(two), fingerprint(panel))


def test_a_fingerprint_sees_every_change_and_no_neighbour():
    y = np.arange(2048.0, 6000.0)
    own = fingerprint(panel_of(y))[0]
    swapped, halved = y.copy(), y.copy()
    swapped[[0, 2048]], halved[7] = y[[2048, 0]], y[7] / 2
    others = [swapped, halved, y + 1, y[:-1], np.append(y, 0.0), np.where(y == 3000, np.nan, y), -y]
    assert len({own, *(fingerprint(panel_of(v))[0] for v in others)}) == 1 + len(others)
    assert fingerprint(panel_of(y, first=[1]))[0] != own
    assert fingerprint(panel_of(y * 3, y, y + 2))[1] == own
    assert fingerprint(panel_of([np.nan, np.nan], [1.0]))[0] == 0


OLD = np.sin(np.arange(30.0))


@pytest.mark.parametrize(
    ("given", "first", "goes_on"),
    [
        (OLD, 0, True),
        (np.append(OLD, [3.0, np.nan]), 0, True),
        (np.append([np.nan, np.nan], OLD), -2, True),
        (OLD[:-1], 0, False),
        (np.append(OLD[:-1], 9.0), 0, False),
        (np.append(9.0, OLD[1:]), 0, False),
        (np.append(7.0, OLD), -1, False),
        (np.where(np.arange(30) == 11, np.nan, OLD), 0, False),
        (OLD[5:], 5, False),
        (OLD, 1, False),
        (np.array([1.0, 2.0]), 30, False),
    ],
)
def test_states_go_on_only_with_the_very_rows_that_they_have_read(given, first, goes_on):
    net = net_of(CELLS[1])
    states = read(net, panel_of(OLD * 2, OLD))
    place = resumable(states, panel_of(given, first=[first], ids=["s1"]))
    assert place.tolist() == [1 if goes_on else -1]
    assert resumable(states, panel_of(given, first=[first], ids=["s0"])).tolist() == [-1]


def test_a_series_without_known_rows_waits_for_the_first():
    net = net_of(CELLS[0])
    panel = panel_of([np.nan] * 4, OLD)
    states = read(net, panel)
    assert states.last[0] == NO_ROW
    assert first_known(panel).tolist() == [4, 0]
    grown = append(panel, panel_of([np.nan, 2.0, 3.0], first=[4]))
    later = advance(net, FACTS, resumed(states, grown, resumable(states, grown), net, FACTS), grown)
    assert same(later, read(net, grown))


def test_series_may_come_and_go_and_change_places():
    net = net_of(CELLS[2])
    states = read(net, panel_of(OLD, OLD + 1, OLD * 2, ids=["a", "b", "c"]))
    panel = panel_of(OLD * 2, OLD - 5, np.append(OLD, 1.0), ids=["c", "new", "a"])
    place = resumable(states, panel)
    assert place.tolist() == [2, -1, 0]
    assert same(advance(net, FACTS, resumed(states, panel, place, net, FACTS), panel), read(net, panel))


def test_advancing_leaves_the_states_before_as_they_were():
    net = net_of(CELLS[0])
    panel = panel_of(OLD, OLD[:9])
    states = read(net, panel.head(np.array([20, 5])))
    before = {name: value.copy() for name, value in state_arrays(states).items()}
    advance(net, FACTS, states, panel)
    for name, value in state_arrays(states).items():
        np.testing.assert_array_equal(value, before[name])


def test_states_come_back_from_their_arrays():
    net = net_of(CELLS[0])
    states = read(net, panel_of(OLD, OLD[:9]))
    assert same(restored_states(state_arrays(states), states.ids, net, FACTS), states)


@pytest.mark.parametrize(
    "forge",
    [
        lambda a: a.pop("mean"),
        lambda a: a.update(extra=a["mean"]),
        lambda a: a.update(mean=a["mean"].astype(np.float32)),
        lambda a: a.update(carry=a["carry"][:, :1]),
        lambda a: a.update(carry=a["carry"] * np.nan),
        lambda a: a.update(value=a["value"] / 0.0),
        lambda a: a.update(spread=-1 - a["spread"]),
        lambda a: a.update(count=-1 - a["count"]),
        lambda a: a.update(recent=a["recent"] * np.inf),
        lambda a: a.update(recent=a["recent"][:, :2]),
        lambda a: a.update(last=a["last"][:1]),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_arrays_that_could_not_be_states_are_refused(forge):
    net = net_of(CELLS[0])
    states = read(net, panel_of(OLD, OLD[:9]))
    arrays = dict(state_arrays(states))
    forge(arrays)
    with pytest.raises(ConfigError, match="states"):
        restored_states(arrays, states.ids, net, FACTS)


def test_states_of_other_series_are_refused():
    net = net_of(CELLS[0])
    states = read(net, panel_of(OLD, OLD[:9]))
    with pytest.raises(ConfigError, match="states of 1 series"):
        restored_states(state_arrays(states), states.ids[:1], net, FACTS)


def test_vouched_rows_are_not_looked_at():
    net = net_of(CELLS[3])
    panel = panel_of(OLD)
    states = replace(read(net, panel), check=np.zeros(1, dtype=np.uint64))
    assert resumable(states, panel).tolist() == [-1]
    assert resumable(states, panel, unchanged=True).tolist() == [0]


@settings(max_examples=10)
@given(data=st.data())
@pytest.mark.parametrize("arch", [LSTM(hidden_size=6), GRU(hidden_size=5, num_layers=2), RNN(hidden_size=7)])
def test_a_state_is_the_same_to_the_last_bit_in_whatever_pieces_and_company_a_series_is_read(arch, data):
    net = net_of(arch)
    values = np.random.default_rng(0).normal(size=(40, 70))
    whole = read(net, panel_of(*values))
    count = data.draw(st.integers(1, 40))
    states = States.start(whole.ids[:count], net, FACTS)
    done = 0
    while done < 70:
        done += data.draw(st.integers(1, 40))
        states = advance(net, FACTS, states, panel_of(*values[:count, :done]))
    np.testing.assert_array_equal(states.carry, whole.carry[:count])


def test_series_are_gathered_from_several_states_in_any_order():
    net = net_of(LSTM(hidden_size=4))
    one = read(net, panel_of([1.0, 2.0], [3.0], ids=["a", "b"]))
    two = read(net, panel_of([4.0, 5.0, 6.0], ids=["c"]))
    together = gathered([one, two], np.array([2, 0]))
    both = read(net, panel_of([4.0, 5.0, 6.0], [1.0, 2.0], ids=["c", "a"]))
    assert together.ids.tolist() == ["c", "a"] and same(together, both)
