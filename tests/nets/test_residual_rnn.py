"""Residual recurrent layers against their equations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.residual_rnn import ResidualEncoder, ResidualRNN
from tests.nets.cells import STEPS, run


def norm(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("cell", STEPS)
def test_an_encoder_equals_its_equations(cell):
    torch.manual_seed(0)
    encoder = ResidualEncoder(cell, 2, 4, 3, 0.0)
    x = torch.randn(3, 7, 2)
    states = run(cell, encoder.first, x)
    for layer in encoder.layers:
        states = states + run(cell, layer, norm(states))
    torch.testing.assert_close(encoder(x), norm(states)[:, -1], atol=1e-4, rtol=1e-4)


def test_a_layer_that_gives_nothing_passes_the_one_below_through():
    torch.manual_seed(1)
    deep, shallow = ResidualEncoder("lstm", 1, 4, 3, 0.0), ResidualEncoder("lstm", 1, 4, 1, 0.0)
    shallow.first.load_state_dict(deep.first.state_dict())
    for layer in deep.layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    x = torch.randn(3, 7, 1)
    torch.testing.assert_close(deep(x), shallow(x))


def test_no_layer_at_all_is_refused():
    with pytest.raises(ConfigError, match="num_layers=0"):
        ResidualRNN(num_layers=0).build(Facts(8, 2))


def test_an_unknown_cell_is_refused():
    with pytest.raises(ConfigError, match="cell='tcn'"):
        ResidualRNN(cell="tcn").build(Facts(8, 2))
