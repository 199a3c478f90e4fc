"""Rows regrouped: folding by dilation, and each row with those before it."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from forecast.nets.rows import fold, trailing, unfold


def test_folding_puts_rows_that_are_d_apart_in_one_sequence():
    x = torch.arange(5.0).reshape(1, 5, 1)
    assert fold(x, 2)[..., 0].tolist() == [[0, 2, 4], [1, 3, 0]]


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 12), st.integers(1, 2))
def test_unfolding_undoes_folding(size, rows, dilation, channels):
    x = torch.arange(float(size * rows * channels)).reshape(size, rows, channels)
    folded = fold(x, dilation)
    assert folded.shape == (size * dilation, -(-rows // dilation), channels)
    assert torch.equal(unfold(folded, dilation, rows), x)


def test_each_row_comes_with_those_before_it():
    x = torch.tensor([[[1.0, 10], [2, 20], [3, 30]]])
    assert trailing(x, 2).tolist() == [[[0, 1, 0, 10], [1, 2, 10, 20], [2, 3, 20, 30]]]


def test_a_linear_map_of_trailing_rows_is_a_causal_convolution():
    torch.manual_seed(0)
    x, weight = torch.randn(3, 7, 2), torch.randn(4, 2, 3)
    expected = functional.conv1d(functional.pad(x.transpose(1, 2), (2, 0)), weight).transpose(1, 2)
    torch.testing.assert_close(trailing(x, 3) @ weight.flatten(1).T, expected)
