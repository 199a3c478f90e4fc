"""Scaling, heads, skip and decoders: the parts every net is put together from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from forecast.errors import ConfigError
from forecast.nets.decoders import Recursive
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts
from forecast.nets.heads import Ordered, point_index
from forecast.nets.rnn import RNN
from forecast.nets.scaling import scale_window
from forecast.nets.segrnn import SegRNN
from forecast.nets.skip import SeasonalSkip
from forecast.windows.gather import Batch

floats = st.floats(-1e6, 1e6, width=32)
windows = st.lists(st.lists(floats, min_size=5, max_size=5), min_size=1, max_size=4)


@given(windows)
def test_scaling_is_undone_by_restore(rows):
    past = torch.tensor(rows)
    scaled = scale_window(Batch(past, None, past.clone()))
    back = scaled.restore(scaled.batch.future.unsqueeze(-1))[..., 0]
    varies = (scaled.scale > 0).expand_as(past)
    torch.testing.assert_close(back[varies], past[varies], rtol=1e-3, atol=1e-3 * float(past.abs().max()) + 1e-6)


@given(windows, st.floats(0.01, 100), st.floats(-100, 100))
def test_window_units_do_not_depend_on_level_and_unit(rows, a, b):
    past = torch.tensor(rows, dtype=torch.float64)
    one, two = scale_window(Batch(past, None)), scale_window(Batch(a * past + b, None))
    # Where float32 cannot resolve the variation on either level, it is rounding noise and dropped on purpose.
    assume((one.scale > 0).all() and (two.scale > 0).all())
    torch.testing.assert_close(one.batch.past, two.batch.past, rtol=1e-6, atol=1e-6)


def test_a_constant_past_restores_any_output_to_the_constant():
    scaled = scale_window(Batch(torch.full((2, 6), 7.0), None))
    assert (scaled.restore(torch.randn(2, 3, 1)) == 7.0).all()


def test_unknown_rows_change_neither_level_nor_spread():
    known = torch.tensor([[3.0, 5.0, 4.0]])
    padded = torch.cat([torch.zeros(1, 4), known], 1)
    observed = (torch.arange(7) >= 4).float()[None]
    plain, masked = scale_window(Batch(known, None)), scale_window(Batch(padded, observed))
    torch.testing.assert_close(masked.loc, plain.loc)
    torch.testing.assert_close(masked.scale, plain.scale)
    torch.testing.assert_close(masked.batch.past[:, 4:], plain.batch.past)
    assert (masked.batch.past[:, :4] == 0).all()


def test_the_level_is_the_last_known_value_when_the_end_is_unknown():
    past = torch.tensor([[1.0, 2.0, 9.0, 0.0]])
    assert scale_window(Batch(past, torch.tensor([[1.0, 1, 1, 0]]))).loc.item() == 9.0


@given(st.lists(st.floats(-1e8, 1e8, width=32), min_size=5, max_size=5))
def test_ordered_quantiles_never_cross(free):
    ordered = Ordered(Facts(8, 4, probs=(0.1, 0.3, 0.5, 0.7, 0.9)))(torch.tensor(free))
    assert (ordered.diff() >= 0).all()
    assert ordered[2] == torch.tensor(free)[2]


def test_the_point_forecast_of_a_quantile_net_is_its_median():
    assert point_index((0.1, 0.5, 0.9)) == 1
    assert point_index(()) == 0


def test_the_seasonal_skip_starts_as_the_mean_of_seasonal_naive_forecasts():
    past = torch.arange(8.0)[None]
    skip = SeasonalSkip(8, 5, (2, 4))
    two, four = torch.tensor([6.0, 7, 6, 7, 6]), torch.tensor([4.0, 5, 6, 7, 4])
    torch.testing.assert_close(skip(past)[0, :, 0], (two + four) / 2)


def test_without_a_season_the_skip_is_the_last_value():
    assert (SeasonalSkip(8, 3, ())(torch.randn(2, 8)) == 0).all()


def test_full_teacher_forcing_in_one_call_equals_the_loop():
    torch.manual_seed(0)
    decoder = Recursive("lstm", 6, 1, Facts(8, 4), 0.0, teacher_forcing=1.0).train()
    state = (torch.randn(1, 3, 6), torch.randn(1, 3, 6))
    skip, truth = torch.randn(3, 4, 1), torch.randn(3, 4)
    at_once = decoder(state, skip, Batch(torch.randn(3, 5), None, truth, None, progress=0.0))
    known = torch.ones_like(truth)
    looped = decoder(state, skip, Batch(torch.randn(3, 5), None, truth, known, progress=0.0))
    torch.testing.assert_close(at_once, looped)


def test_a_recursive_decoder_sees_no_truth_at_prediction():
    torch.manual_seed(0)
    decoder = Recursive("gru", 6, 1, Facts(8, 4), 0.0, teacher_forcing=1.0).eval()
    state, skip, past = torch.randn(1, 3, 6), torch.zeros(3, 4, 1), torch.randn(3, 5)
    one = decoder(state, skip, Batch(past, None, torch.full((3, 4), 1e9), None, 0.0))
    two = decoder(state, skip, Batch(past, None, None, None, 1.0))
    assert torch.equal(one, two)


def test_teacher_forcing_fades_with_progress():
    torch.manual_seed(0)
    decoder = Recursive("gru", 6, 1, Facts(8, 4), 0.0, teacher_forcing=1.0).train()
    state, skip, past, truth = torch.randn(1, 3, 6), torch.zeros(3, 4, 1), torch.randn(3, 5), torch.randn(3, 4)
    free = decoder(state, skip, Batch(past, None))
    torch.testing.assert_close(decoder(state, skip, Batch(past, None, truth, None, progress=1.0)), free)
    assert not torch.allclose(decoder(state, skip, Batch(past, None, truth, None, progress=0.0)), free)


@pytest.mark.parametrize(("input_size", "h", "segment"), [(24, 6, 6), (25, 7, 6), (3, 1, 24), (10, 30, 4)])
def test_segments_need_not_divide_past_or_horizon(input_size, h, segment):
    net = SegRNN(segment=segment, hidden_size=8).build(Facts(input_size, h))
    assert net(Batch(torch.randn(2, input_size), None)).shape == (2, h, 1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_segment_nets_decode_each_segment_as_if_alone(cell):
    torch.manual_seed(3)
    long = SegRNN(segment=4, hidden_size=8, cell=cell).build(Facts(12, 12))
    short = SegRNN(segment=4, hidden_size=8, cell=cell).build(Facts(12, 4))
    state = {k: v[:1] if k == "position" else v for k, v in long.state_dict().items()}
    short.load_state_dict(state)
    batch = Batch(torch.randn(3, 12), None)
    torch.testing.assert_close(long(batch)[:, :4], short(batch))


def test_an_unknown_cell_or_nonlinearity_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="lstm"):
        recurrent("transformer", 1, 1)
    with pytest.raises(ConfigError, match="tanh, relu"):
        RNN(nonlinearity="sigmoid").build(Facts(4, 1))


def test_small_variation_on_a_high_level_is_not_taken_for_a_constant():
    past = 1000.0 + torch.sin(torch.arange(48.0))[None]
    assert scale_window(Batch(past, None)).scale.item() > 0.5


def test_quantiles_between_trained_ones_are_interpolated_in_probability(frame, quick):
    from forecast import Forecaster
    from forecast.models import LSTM

    arch = LSTM(input_size=12, hidden_size=4, quantiles=(0.1, 0.5, 0.9))
    out = Forecaster(arch, h=2, training=quick, progress=False).fit(frame).predict(quantiles=[0.1, 0.2, 0.5])
    low, between, middle = (out[f"lstm-q-{q}"] for q in (0.1, 0.2, 0.5))
    torch.testing.assert_close(torch.tensor(between), torch.tensor(0.75 * low + 0.25 * middle))
