"""One step at a time by hand: what the layer itself would have said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.nets.encoders import CELLS, recurrent
from forecast.nets.steps import PRECISIONS, LayerSteps, LSTMSteps, steps
from forecast.processor import native_bf16

WINDOWS, SAMPLES, CHANNELS, HIDDEN = 3, 4, 2, 5


def parts(cell: str = "lstm", layers: int = 1, dropout: float = 0.0):
    torch.manual_seed(0)
    layer = recurrent(cell, CHANNELS, HIDDEN, layers, dropout)
    readout = nn.Linear(HIDDEN, 3)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(3.0)  # gates far from the middle
    _, state = layer(torch.randn(WINDOWS, 6, CHANNELS))
    detached = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
    return layer, readout, detached


def given(count: int = 5):
    """Channels of some steps: one differs from path to path, one only from window to window."""
    generator = torch.Generator().manual_seed(1)
    return [
        [torch.randn(SAMPLES, WINDOWS, generator=generator), torch.randn(WINDOWS, generator=generator)]
        for _ in range(count)
    ]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_step_is_that_of_a_pass_over_all_rows(layers):
    layer, readout, state = parts(layers=layers)
    with torch.no_grad():
        onward = steps(layer, readout, state, SAMPLES)
        assert isinstance(onward, LSTMSteps)
        found = torch.stack([onward(channels) for channels in given()], -1)
        for sample in range(SAMPLES):
            rows = torch.stack([torch.stack([a[sample], b], -1) for a, b in given()], 1)  # (windows, steps, channels)
            whole = readout(layer(rows, state)[0])
            torch.testing.assert_close(found[:, sample], whole.permute(2, 0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_other_cells_and_gradients_go_through_the_layer(cell):
    layer, readout, state = parts(cell)
    onward = steps(layer, readout, state, SAMPLES)
    assert isinstance(onward, LayerSteps)
    read = onward(given()[0])
    assert read.shape == (3, SAMPLES, WINDOWS)
    read.sum().backward()
    assert all(weight.grad is not None for weight in layer.parameters())
    with torch.no_grad():
        assert isinstance(steps(layer, readout, state, SAMPLES), LSTMSteps if cell == "lstm" else LayerSteps)
        one, other = LayerSteps(layer, readout, state, SAMPLES), steps(layer, readout, state, SAMPLES)
        for channels in given():
            torch.testing.assert_close(other(channels), one(channels), atol=1e-5, rtol=1e-5)


def test_what_drops_out_is_left_to_the_layer():
    layer, readout, state = parts(layers=2, dropout=0.5)
    with torch.no_grad():
        assert isinstance(steps(layer.train(), readout, state, SAMPLES), LayerSteps)
        assert isinstance(steps(layer.eval(), readout, state, SAMPLES), LSTMSteps)


def test_the_state_given_stays_as_it_was():
    layer, readout, state = parts()
    before = [part.clone() for part in state]
    with torch.no_grad():
        steps(layer, readout, state, SAMPLES)(given()[0])
    assert all(torch.equal(part, old) for part, old in zip(state, before, strict=True))


def test_bfloat16_rounds_the_products_and_nothing_else():
    layer, readout, state = parts()
    with torch.no_grad():
        exact, rounded = (steps(layer, readout, state, SAMPLES, name) for name in ("32", "bf16"))
        for channels in given():
            full, half = exact(channels), rounded(channels)
            assert half.dtype == torch.float32
            torch.testing.assert_close(half, full, atol=0.03, rtol=0.0)
            assert not torch.equal(half, full)


def test_auto_rounds_where_the_processor_computes_in_bfloat16():
    layer, readout, state = parts()
    with torch.no_grad():
        kinds = {name: steps(layer, readout, state, SAMPLES, name).weights[0].dtype for name in PRECISIONS}
    assert kinds["32"] == torch.float32 and kinds["bf16"] == torch.bfloat16
    assert kinds["auto"] == (torch.bfloat16 if native_bf16() else torch.float32)
