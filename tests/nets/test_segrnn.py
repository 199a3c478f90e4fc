"""SegRNN: segments of a window, and recursive decoding against the recursion written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from forecast import Forecaster
from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.scaling import scale_window
from forecast.nets.segments import segment_length, segments
from forecast.nets.segrnn import SegRNN
from forecast.windows.gather import Batch


def test_segments_end_with_the_last_row_and_begin_with_zeros():
    cut = segments(torch.arange(1.0, 6.0).view(1, 5, 1), 3)
    assert cut.tolist() == [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]


def test_a_segment_holds_whole_rows_of_every_channel():
    rows = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]])
    assert segments(rows, 2).tolist() == [[[1.0, 10.0, 2.0, 20.0], [3.0, 30.0, 4.0, 40.0]]]


@pytest.mark.parametrize(
    ("facts", "length"),
    [
        (Facts(36, 6, seasons=(12,)), 12),
        (Facts(336, 48, seasons=(24, 168)), 24),
        (Facts(600, 30, seasons=(52,)), 24),
        (Facts(36, 6), 6),
        (Facts(36, 1), 2),
        (Facts(4, 9), 4),
    ],
)
def test_a_segment_follows_the_season_else_the_horizon(facts, length):
    assert segment_length(None, facts) == length
    assert segment_length(5, facts) == 5


def test_a_segment_below_one_row_is_refused():
    with pytest.raises(ConfigError, match="segment=0 must be at least 1"):
        segment_length(0, Facts(12, 3))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recursive_decoding_reads_its_own_segment_before_the_next(cell):
    torch.manual_seed(0)
    net = SegRNN(segment=4, hidden_size=6, cell=cell, decoding="recursive").build(Facts(12, 10, 2, seasons=(4,)))
    past, observed = torch.randn(3, 12), torch.ones(3, 12)
    skip = net.skip(past)[..., 0]

    def read(values: torch.Tensor, state=None):
        rows = torch.stack([values, torch.ones_like(values)], -1).reshape(3, 1, 8)
        return net.encoder(functional.relu(net.embed(rows)), state)[1]

    state = None
    for first in (0, 4, 8):
        state = read(past[:, first : first + 4], state)
    expected = []
    for first in (0, 4, 8):
        hidden = state[0][-1] if cell == "lstm" else state[-1]
        steps = net.project(hidden)[:, : min(4, 10 - first)] + skip[:, first : first + 4]
        expected.append(steps)
        if first < 8:
            state = read(steps, state)
    torch.testing.assert_close(net(Batch(past, observed))[..., 0], torch.cat(expected, 1))


@pytest.mark.parametrize(("input_size", "h", "segment"), [(24, 6, 6), (25, 7, 6), (3, 1, 24), (10, 30, 4)])
def test_segments_need_not_divide_past_or_horizon_when_decoding_recursively(input_size, h, segment):
    net = SegRNN(segment=segment, hidden_size=8, decoding="recursive").build(Facts(input_size, h))
    assert net(Batch(torch.randn(2, input_size), None)).shape == (2, h, 1)


def test_recursive_quantiles_do_not_cross_and_a_shorter_horizon_is_a_prefix():
    torch.manual_seed(0)
    arch = SegRNN(segment=4, hidden_size=8, num_layers=2, decoding="recursive")
    long, short = (arch.build(Facts(12, h, probs=(0.1, 0.5, 0.9))) for h in (11, 5))
    short.load_state_dict(long.state_dict())
    batch = Batch(torch.randn(2, 12), None)
    output = long(batch)
    assert (output.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(output[:, :5], short(batch))


def test_recursive_decoding_has_no_positions_to_learn():
    names = {name for name, _ in SegRNN(decoding="recursive").build(Facts(12, 3)).named_parameters()}
    assert "position" not in names


def test_an_unknown_decoding_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="parallel, recursive"):
        SegRNN(decoding="direct").build(Facts(12, 3))


def test_a_window_in_units_of_its_series_loses_its_last_value_only():
    batch = Batch(torch.tensor([[1.0, 5.0, 3.0], [4.0, 4.0, 4.0]]), None, torch.tensor([[7.0], [4.0]]))
    scaled = scale_window(batch, spread=False)
    assert scaled.batch.past.tolist() == [[-2.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert scaled.batch.future is not None and scaled.batch.future.tolist() == [[4.0], [0.0]]
    assert scaled.restore(torch.ones(2, 1, 1)).tolist() == [[[4.0]], [[4.0]]]  # a constant past gives a constant


@pytest.fixture(scope="module")
def in_series_units(frame, quick):
    net = SegRNN(input_size=12, segment=4, hidden_size=4, scaling="series")
    return Forecaster({"net": net}, h=3, training=quick, progress=False).fit(frame)


def test_in_units_of_the_series_forecasts_move_with_level_and_unit(in_series_units, frame):
    plain = in_series_units.predict(frame)["net"]
    moved = in_series_units.predict(frame.assign(y=250.0 * frame["y"] - 40.0))["net"]
    np.testing.assert_allclose(moved, 250.0 * plain - 40.0, rtol=1e-4)


def test_the_unit_is_that_of_all_rows_given_not_of_the_window(in_series_units, frame, quick):
    first = frame.groupby("unique_id").cumcount() == 0  # long before the window
    louder = frame.assign(y=frame["y"].where(~first, 1e3 * frame["y"]))
    assert not np.allclose(in_series_units.predict(louder)["net"], in_series_units.predict(frame)["net"], rtol=1e-6)
    by_window = Forecaster({"net": SegRNN(12, 4, 4)}, h=3, training=quick, progress=False).fit(frame)
    np.testing.assert_array_equal(by_window.predict(louder)["net"], by_window.predict(frame)["net"])


def test_an_unknown_scaling_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="scaling='x' is not one of window, series"):
        SegRNN(scaling="x").build(Facts(12, 3))
