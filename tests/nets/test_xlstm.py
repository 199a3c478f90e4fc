"""xLSTM's cells against the paper's recurrences, with and without the stabiliser; the blocks' defining properties."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.xlstm import XLSTM
from forecast.nets.xlstm_blocks import SLSTM, CausalConv, HeadNorm, MLSTMBlock, SLSTMBlock, mlstm
from forecast.windows.gather import Batch

B, HEADS, T, D = 2, 3, 7, 4


def mlstm_inputs(spread: float = 1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, B, HEADS, T, D, generator=generator, dtype=torch.float64)
    gates = spread * torch.randn(2, B, HEADS, T, generator=generator, dtype=torch.float64)
    return query, key, value, gates[0], functional.logsigmoid(gates[1])


def recurrent_mlstm(query, key, value, log_input, log_forget):
    """Equations 19 to 27: C, n and m from row to row."""
    memory = torch.zeros(B, HEADS, D, D, dtype=query.dtype)
    normaliser = torch.zeros(B, HEADS, D, dtype=query.dtype)
    m = torch.full((B, HEADS), -math.inf, dtype=query.dtype)
    outputs = []
    for t in range(T):
        q, k, v = query[:, :, t], key[:, :, t] / math.sqrt(D), value[:, :, t]
        before, m = m, torch.maximum(log_forget[:, :, t] + m, log_input[:, :, t])
        i, f = torch.exp(log_input[:, :, t] - m), torch.exp(log_forget[:, :, t] + before - m)
        memory = f[..., None, None] * memory + i[..., None, None] * v[..., :, None] * k[..., None, :]
        normaliser = f[..., None] * normaliser + i[..., None] * k
        below = torch.maximum((normaliser * q).sum(-1).abs(), torch.exp(-m))
        outputs.append((memory @ q[..., None])[..., 0] / below[..., None])
    return torch.stack(outputs, 2)


def plain_mlstm(query, key, value, log_input, log_forget):
    """The same memory without the stabiliser."""
    memory = torch.zeros(B, HEADS, D, D, dtype=query.dtype)
    normaliser = torch.zeros(B, HEADS, D, dtype=query.dtype)
    outputs = []
    for t in range(T):
        q, k, v = query[:, :, t], key[:, :, t] / math.sqrt(D), value[:, :, t]
        i, f = log_input[:, :, t].exp(), log_forget[:, :, t].exp()
        memory = f[..., None, None] * memory + i[..., None, None] * v[..., :, None] * k[..., None, :]
        normaliser = f[..., None] * normaliser + i[..., None] * k
        below = (normaliser * q).sum(-1).abs().clamp(min=1.0)
        outputs.append((memory @ q[..., None])[..., 0] / below[..., None])
    return torch.stack(outputs, 2)


@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_the_parallel_matrix_memory_equals_its_recurrent_form(spread):
    parts = mlstm_inputs(spread)
    torch.testing.assert_close(mlstm(*parts), recurrent_mlstm(*parts))


def test_the_stabiliser_changes_no_output_of_the_matrix_memory():
    parts = mlstm_inputs()
    torch.testing.assert_close(mlstm(*parts), plain_mlstm(*parts))


def test_the_gradient_is_right_although_the_stabiliser_has_none():
    one, two = ([part.clone().requires_grad_() for part in mlstm_inputs()] for _ in range(2))
    mlstm(*one).square().sum().backward()
    plain_mlstm(*two).square().sum().backward()
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("log_input", [-300.0, 300.0])
def test_extreme_input_gates_keep_the_matrix_memory_finite(log_input):
    parts = [part.float().requires_grad_() for part in mlstm_inputs()]
    parts[3] = torch.full((B, HEADS, T), log_input, requires_grad=True)
    output = mlstm(*parts)
    output.sum().backward()
    assert output.isfinite().all()
    assert all(part.grad.isfinite().all() for part in parts)


def scalar_memory(cell: SLSTM, rows, smoothed, forget=torch.sigmoid):
    """The paper's sLSTM without the stabiliser, head by head."""
    d = rows.shape[-1] // HEADS
    written = torch.zeros_like(rows)
    for head in range(HEADS):
        h = c = n = rows.new_zeros(B, d)
        for t in range(rows.shape[1]):
            gates = cell.gates(smoothed[:, t]).view(B, HEADS, 2 * d)[:, head]
            memory = cell.memory(rows[:, t]).view(B, HEADS, 2 * d)[:, head]
            i, f, z, o = (torch.cat([gates, memory], -1) + h @ cell.recurrent[head]).chunk(4, -1)
            c = forget(f) * c + i.exp() * torch.tanh(z)
            n = forget(f) * n + i.exp()
            h = torch.sigmoid(o) * c / n
            written[:, t, head * d : (head + 1) * d] = h
    return written


def test_the_scalar_memory_equals_its_equations_and_the_stabiliser_changes_nothing():
    torch.manual_seed(0)
    cell = SLSTM(HEADS * D, HEADS).double()
    rows, smoothed = torch.randn(2, B, T, HEADS * D, dtype=torch.float64)
    torch.testing.assert_close(cell(rows, smoothed), scalar_memory(cell, rows, smoothed))


def test_extreme_gates_keep_the_scalar_memory_finite_and_within_its_output_gate():
    torch.manual_seed(0)
    cell = SLSTM(HEADS * D, HEADS)
    rows, smoothed = torch.randn(2, B, T, HEADS * D)
    smoothed = (1e4 * smoothed).requires_grad_()
    output = cell(rows, smoothed)
    output.sum().backward()
    assert smoothed.grad.isfinite().all()
    assert (output.abs() <= 1).all()  # a weighted mean of tanh, gated


def test_heads_of_the_scalar_memory_do_not_mix():
    torch.manual_seed(0)
    cell = SLSTM(HEADS * D, HEADS)
    with torch.no_grad():  # what enters a head is left as it is; only its recurrence changes
        x = torch.randn(B, T, HEADS * D)
        before = cell(x, x)
        cell.recurrent[1] += 1.0
        after = cell(x, x)
    assert torch.equal(before[..., :D], after[..., :D])
    assert torch.equal(before[..., 2 * D :], after[..., 2 * D :])
    assert not torch.allclose(before[..., D : 2 * D], after[..., D : 2 * D])


@pytest.mark.parametrize("block", [MLSTMBlock, SLSTMBlock])
def test_a_block_is_causal(block):
    torch.manual_seed(0)
    net, x = block(8, 2, 0.0), torch.randn(B, T, 8)
    other = x.clone()
    other[:, 4:] += 1.0
    torch.testing.assert_close(net(other)[:, :4], net(x)[:, :4])
    assert not torch.allclose(net(other)[:, 4:], net(x)[:, 4:])


@pytest.mark.parametrize("block", [MLSTMBlock, SLSTMBlock])
def test_a_block_whose_down_projections_are_zero_adds_nothing(block):
    net, x = block(8, 2, 0.0), torch.randn(B, T, 8)
    torch.nn.init.zeros_(net.down.weight)
    torch.nn.init.zeros_(net.down.bias)
    if block is SLSTMBlock:
        torch.nn.init.zeros_(net.head_norm.scale)
    torch.testing.assert_close(net(x), x)


@pytest.mark.parametrize("rows", [2, T])
def test_the_causal_convolution_sees_four_rows(rows):
    torch.manual_seed(0)
    conv, x = CausalConv(3), torch.randn(B, rows, 3)
    conv.bias.data.normal_()
    padded = functional.pad(x.transpose(1, 2), (3, 0))
    expected = functional.conv1d(padded, conv.weight.T.unsqueeze(1), conv.bias, groups=3)
    torch.testing.assert_close(conv(x), functional.silu(expected).transpose(1, 2))


def test_queries_keys_and_values_stay_within_their_head():
    torch.manual_seed(0)
    block, smoothed, rows = MLSTMBlock(6, 3, 0.0), torch.randn(B, T, 12), torch.randn(B, T, 12)
    query, key, value, log_input, log_forget = block._read(smoothed, rows)
    for head in range(3):
        own = slice(4 * head, 4 * head + 4)
        both = smoothed[..., own] @ block.query_key[head]
        torch.testing.assert_close(torch.cat([query, key], -1)[:, head], both)
        torch.testing.assert_close(value[:, head], rows[..., own] @ block.value[head])
    assert log_input.shape == log_forget.shape == (B, 3, T)
    assert (log_forget < 0).all()


def test_head_norm_centres_each_head_of_each_row():
    normed = HeadNorm(2, 8)(torch.randn(B, T, 8)).unflatten(-1, (2, 4))
    torch.testing.assert_close(normed.mean(-1), torch.zeros(B, T, 2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("blocks", ["m", "s", "mms", "sm"])
@pytest.mark.parametrize(("input_size", "h", "segment"), [(24, 6, 6), (25, 7, 6), (3, 1, 24)])
def test_any_order_of_blocks_forecasts_any_window(blocks, input_size, h, segment):
    net = XLSTM(blocks=blocks, segment=segment, hidden_size=8).build(Facts(input_size, h, channels=2))
    kinds = [type(block).__name__[0].lower() for block in net.encoder.blocks]
    assert "".join(kinds) == blocks
    past = torch.randn(2, input_size)
    assert net(Batch(past, torch.ones_like(past))).shape == (2, h, 1)


@pytest.mark.parametrize("blocks", ["m", "s"])
def test_blocks_run_in_bfloat16(blocks):
    torch.manual_seed(0)
    net = XLSTM(blocks=blocks, segment=2, hidden_size=16).build(Facts(40, 4))
    batch = Batch(torch.randn(B, 40), None)
    exact = net(batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(batch).float()
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0.05)


def test_blocks_and_heads_that_cannot_be_built_are_refused():
    facts = Facts(12, 3)
    for blocks in ("", "mx"):
        with pytest.raises(ConfigError, match="letters m, s"):
            XLSTM(blocks=blocks).build(facts)
    with pytest.raises(ConfigError, match="multiple of heads=5"):
        XLSTM(hidden_size=8, heads=5).build(facts)
    with pytest.raises(ConfigError, match="segment=0"):
        XLSTM(segment=0).build(facts)
