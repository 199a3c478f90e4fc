"""The linear recurrence: loop, scan and the gradient all against the equation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.nets import scan as module
from forecast.nets.scan import loop, recurrence, scan


def written_out(keep, new):
    states = [new[0]]
    for t in range(1, len(new)):
        states.append(new[t] + keep[t] * states[-1])
    return torch.stack(states)


def example(rows: int, dtype=torch.float32):
    torch.manual_seed(rows)
    return torch.rand(rows, 2, 3, dtype=dtype), torch.randn(rows, 2, 3, dtype=dtype)


def test_a_recurrence_by_hand():
    keep, new = torch.tensor([9.0, 0.5, 2.0]), torch.tensor([1.0, 1.0, 1.0])
    assert recurrence(keep, new).tolist() == [1.0, 1.5, 4.0]
    assert loop(keep[1:], new, reverse=True).tolist() == [2.5, 3.0, 1.0]


@given(st.integers(1, 40))
def test_loop_and_scan_equal_the_equation(rows):
    keep, new = example(rows)
    expected = written_out(keep, new)
    torch.testing.assert_close(loop(keep[1:], new), expected)
    torch.testing.assert_close(scan(keep[1:], new), expected)


@given(st.integers(1, 40))
def test_loop_and_scan_agree_in_reverse(rows):
    keep, new = example(rows)
    expected = written_out(keep.flip(0).roll(1, 0), new.flip(0)).flip(0)
    torch.testing.assert_close(loop(keep[1:], new, reverse=True), expected)
    torch.testing.assert_close(scan(keep[1:], new, reverse=True), expected)


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("solver", ["loop", "scan"])
def test_the_gradient_is_that_of_finite_differences(rows, solver, monkeypatch):
    monkeypatch.setattr(module, "loop", getattr(module, solver))
    keep, new = (value.requires_grad_() for value in example(rows, torch.float64))
    assert torch.autograd.gradcheck(recurrence, (keep, new))


def test_the_gradient_equals_that_of_the_written_out_loop():
    keep, new = (value.requires_grad_() for value in example(23))
    weight = torch.randn(23, 2, 3)
    (written_out(keep, new) * weight).sum().backward()
    expected = keep.grad.clone(), new.grad.clone()
    keep.grad = new.grad = None
    (recurrence(keep, new) * weight).sum().backward()
    torch.testing.assert_close((keep.grad, new.grad), expected)


def test_a_state_kept_forever_is_a_sum_even_over_many_rows():
    new = torch.ones(1000, 1)
    assert scan(torch.ones(999, 1), new)[-1].item() == 1000.0
    assert loop(torch.zeros(999, 1), new)[-1].item() == 1.0
