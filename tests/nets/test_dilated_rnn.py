"""Dilated RNN: the state of row t comes from row t - d, whatever shortcut computes it."""

from __future__ import annotations

import pytest
import torch

from forecast.errors import ConfigError
from forecast.nets.dilated_rnn import DilatedEncoder, DilatedRNN, dilated, spacings
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts
from forecast.windows.gather import Batch
from tests.nets.cells import STEPS, run


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize(("rows", "dilation"), [(8, 1), (8, 2), (9, 4), (5, 7)])
def test_a_dilated_layer_equals_its_step_equations(cell, rows, dilation):
    torch.manual_seed(0)
    layer, x = recurrent(cell, 2, 3), torch.randn(4, rows, 2)
    torch.testing.assert_close(dilated(layer, x, dilation), run(cell, layer, x, dilation), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4), (1, 2, 3), (1, 3, 2), (1, 4, 4), (2, 4), (3, 2), (1, 50)])
def test_an_encoder_equals_all_its_layers_written_out(dilations):
    torch.manual_seed(1)
    encoder = DilatedEncoder("lstm", 2, 3, dilations, 0.0)
    x = torch.randn(4, 13, 2)
    expected = x
    for layer, dilation in zip(encoder.layers, dilations, strict=True):
        expected = run("lstm", layer, expected, dilation)
    last = expected[:, -dilations[0] :].flatten(1)
    torch.testing.assert_close(encoder(x), last, atol=1e-5, rtol=1e-5)
    assert encoder.width == last.shape[1]


def test_each_layer_runs_only_on_the_rows_that_are_asked_for():
    assert spacings((1, 2, 4)) == (1, 2, 4)
    assert spacings((1, 2, 6)) == (1, 2, 6)
    assert spacings((1, 2, 3)) == (1, 1, 3)
    assert spacings((2, 4)) == (1, 1)


def test_one_dilated_layer_sees_no_row_between_its_steps():
    torch.manual_seed(2)
    layer, x = recurrent("gru", 1, 3), torch.randn(1, 9, 1, requires_grad=True)
    dilated(layer, x, 4)[:, -1].sum().backward()
    assert x.grad[0, :, 0].ne(0).nonzero().flatten().tolist() == [0, 4, 8]


@pytest.mark.parametrize("dilations", [(), (0,), (1, -2)])
def test_dilations_that_cannot_be_are_refused(dilations):
    with pytest.raises(ConfigError, match="from 1 up"):
        DilatedRNN(dilations=dilations).build(Facts(12, 3))


def test_a_first_dilation_beyond_the_window_is_refused():
    with pytest.raises(ConfigError, match="window of 12 rows"):
        DilatedRNN(dilations=(13,)).build(Facts(12, 3))


def test_a_fused_readout_gives_a_whole_forecast():
    net = DilatedRNN(hidden_size=4, dilations=(3, 6), cell="gru").build(Facts(12, 5, probs=(0.1, 0.5, 0.9)))
    assert net(Batch(torch.randn(2, 12), None)).shape == (2, 5, 3)
