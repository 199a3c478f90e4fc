"""Encoded rows: written out they are one cell for each label, and hidden labels are unknown ones, for any shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.encoding import fit_encoding
from forecast.windows.encoded import EncodedTable
from forecast.windows.views import stretches, window_view

NAMES = ("red", "green", "blue")


def table(codes: list[int], *, labels: bool = True) -> EncodedTable:
    """A number for each row and, with ``labels``, its colour (-1 for none)."""
    columns = [Numbers("size", np.arange(len(codes), dtype=np.float64))]
    if labels:
        columns.append(Labels("colour", np.array(codes, dtype=np.int64), NAMES))
    covariates = Covariates(tuple(columns))
    known = Covariates((columns[0], Labels("colour", np.arange(len(codes)) % 3, NAMES))) if labels else covariates
    return EncodedTable.encoded(covariates, fit_encoding(known))


@given(st.lists(st.integers(-1, 2), min_size=3, max_size=9), st.data())
def test_rows_are_numbers_followed_by_one_cell_for_each_label_and_one_for_none(codes, data):
    rows = table(codes)
    chosen = data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, max_size=12))
    cells = rows.of(torch.tensor(chosen))
    order = [sorted(NAMES).index(NAMES[codes[row]]) if codes[row] >= 0 else 3 for row in chosen]
    assert cells.shape == (len(chosen), 1 + 4) and (cells[:, 1:].sum(-1) == 1).all()
    assert cells[:, 1:].argmax(-1).tolist() == order
    torch.testing.assert_close(cells[:, 0], rows.numbers[chosen, 0], rtol=0, atol=0)


def test_a_table_without_labels_is_its_numbers():
    rows = table([0, 0, 0], labels=False)
    torch.testing.assert_close(rows.of(torch.tensor([2, 0])), rows.numbers[[2, 0]], rtol=0, atol=0)


def test_hiding_the_rows_of_a_window_hides_each_of_them():
    rows = table([0, 1, 2])
    whole = rows.of(torch.tensor([0, 1, 2]))
    windows = torch.stack([whole, whole])
    hidden = rows.hide(windows, torch.tensor([[True], [False]]))
    assert hidden[0, :, 1:].tolist() == [[0, 0, 0, 1]] * 3
    torch.testing.assert_close(hidden[1], whole, rtol=0, atol=0)
    torch.testing.assert_close(hidden[..., 0], windows[..., 0], rtol=0, atol=0)
    for row in range(3):
        flat = rows.hide(windows[:, row], torch.tensor([[True], [False]]))
        torch.testing.assert_close(flat, hidden[:, row], rtol=0, atol=0)


@given(st.integers(0, 3), st.integers(1, 12), st.data())
def test_stretches_are_slices(channels, width, data):
    values = torch.arange(12 * channels, dtype=torch.float32).view(12, channels)
    starts = data.draw(st.lists(st.integers(0, 12 - width), max_size=5))
    found = stretches(values, torch.tensor(starts, dtype=torch.int64), width)
    assert found.shape == (len(starts), width, channels)
    for place, start in enumerate(starts):
        assert torch.equal(found[place], values[start : start + width])


def test_the_view_of_all_windows_copies_nothing():
    values = torch.zeros(10, 2)
    assert window_view(values, 4).data_ptr() == values.data_ptr() and window_view(values, 4).shape == (7, 8)


@pytest.mark.parametrize("labels", [True, False])
def test_moved_to_a_device_it_is_the_same(labels):
    rows = table([0, 1, -1], labels=labels)
    moved = rows.to(torch.device("cpu"))
    assert type(moved) is type(rows) and moved.width == rows.width
    assert torch.equal(moved.of(torch.arange(3)), rows.of(torch.arange(3)))
