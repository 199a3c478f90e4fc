"""Covariates in windows: each row has those of its own series and time, past and future, and nothing leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import DataError, ForecastWarning
from forecast.nets.facts import Facts, Needs, followed, inputs
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.encoding import FARTHEST, fit_encoding
from forecast.panel.known import Known
from forecast.panel.panel import Panel
from forecast.panel.readings import Readings, fit_readings
from forecast.training.source import build_source
from forecast.windows.gather import Batch, gather
from forecast.windows.sampler import last_windows, training_windows
from forecast.windows.static import tell_strangers
from forecast.windows.store import Affine, Store, build_store
from tests.windows.test_windows import counting_panel

H = 2


def covered(sizes: list[int], ahead: int = H) -> Panel:
    """Numbers that tell series and row, ``s * 1000 + row``, as flags of parity and as labels of it."""
    panel = counting_panel(sizes)
    cells = np.concatenate([1000 * s + np.arange(n) for s, n in enumerate(sizes)]).astype(np.float64)
    wide = np.array(sizes) + ahead
    later = np.concatenate([1000 * s + np.arange(n) for s, n in enumerate(wide)]).astype(np.float64)
    parity = Labels("parity", later.astype(np.int64) % 2, ("even", "odd"))
    offsets = np.concatenate([[0], np.cumsum(wide)]).astype(np.int64)
    futr = Known(Covariates((Numbers("flag", later % 2), parity)), offsets, panel.first)
    return replace(panel, hist=Covariates((Numbers("flag", cells % 2),)), futr=futr)


def laid_out(panel: Panel, padding: list[int] | None = None, ahead: int = H) -> Store:
    same = Affine(np.zeros(len(panel)), np.ones(len(panel)))
    readings = fit_readings(panel, static=False, hist=True, futr=True)
    before = np.array(padding or [0] * len(panel), dtype=np.int64)
    return build_store(panel, same, before, indicator=padding is not None, readings=readings, ahead=ahead)


@given(st.lists(st.integers(5, 12), min_size=1, max_size=5))
def test_every_row_of_every_window_has_the_covariates_of_its_own_time(sizes):
    store = laid_out(covered(sizes))
    windows = training_windows(store, 3 + H)
    batch = gather(store, windows.start(torch.arange(windows.total)), 3, H)
    rows = torch.cat([batch.past, batch.future], 1).long()
    flag = (rows % 2).bool()
    assert batch.futr.shape == (windows.total, 3 + H, 1 + 3)
    assert ((batch.futr[..., 0] > 0) == flag).all()
    assert batch.futr[..., 1:].argmax(-1).tolist() == (rows % 2).tolist()
    assert ((batch.hist[..., 0] > 0) == flag[:, :3]).all()


@given(st.lists(st.integers(3, 9), min_size=1, max_size=5))
def test_at_the_end_of_a_series_the_rows_ahead_are_there(sizes):
    store = laid_out(covered(sizes))
    batch = gather(store, last_windows(store, 3), 3)
    after = batch.past[:, -1:].long() + torch.arange(1, H + 1)
    assert batch.futr[:, 3:, 1:].argmax(-1).tolist() == (after % 2).tolist()


def test_rows_before_a_short_series_know_nothing():
    panel = covered([4, 6])
    store = laid_out(panel, [3, 0])
    batch = gather(store, last_windows(store, 7)[:1], 7)
    unknown = 2  # of even, odd, unknown
    assert batch.futr[0, :3, 1:].argmax(-1).tolist() == [unknown] * 3
    assert batch.hist[0, :3, 0].tolist() == [0.0] * 3  # a missing number reads as the mean


def test_rows_ahead_that_are_not_known_are_missing():
    panel = covered([5, 6], ahead=1)
    store = laid_out(panel)
    batch = gather(store, last_windows(store, 3), 3)
    assert batch.futr[:, 3:, 1:].argmax(-1)[:, 1].tolist() == [2, 2]


@given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12), st.floats(-1e5, 1e5))
def test_numbers_relative_to_where_a_window_ends_forget_the_level_of_their_series(values, level):
    def told(shift: float) -> torch.Tensor:
        own = np.array(values) + shift * np.repeat([0.0, 1.0], 6)
        panel = replace(counting_panel([6, 6]), hist=Covariates((Numbers("price", own),)))
        encoding = fit_encoding(panel.hist, offsets=panel.offsets)
        if encoding.numbers[0].within is None:
            return torch.zeros(1)
        same = Affine(np.zeros(2), np.ones(2))
        store = build_store(panel, same, np.zeros(2, dtype=np.int64), indicator=False, readings=Readings(hist=encoding))
        return gather(store, last_windows(store, 4), 4).hist[..., -1]

    one, two = told(0.0), told(level)
    assert (one.abs() <= FARTHEST).all()
    if one.shape == two.shape and one.ndim == 2:
        assert (one[:, -1] == 0).all()
        torch.testing.assert_close(one, two, atol=0.05, rtol=1e-2)


def test_flags_have_no_cell_relative_to_their_series():
    panel = covered([6, 6])
    assert fit_encoding(panel.hist, offsets=panel.offsets).numbers[0].within is None


def test_what_came_after_the_training_rows_teaches_no_encoding():
    panel = covered([12, 12])
    poisoned = replace(panel, hist=Covariates((Numbers("flag", np.where(np.arange(24) % 12 < 8, panel.values, 1e9)),)))
    clean = replace(panel, hist=Covariates((Numbers("flag", panel.values),)))
    cut = np.full(2, 8)
    one, two = (fit_readings(p.head(cut), static=False, hist=True, futr=True) for p in (clean, poisoned))
    assert one == two


def test_some_labels_are_forgotten_in_training_and_all_are_there_in_validation():
    source = build_source(covered([40]), 4, H, 1, None, Needs(hist=True), readings=fitted([40]))
    batches = [source.batch(64, 0, step, 0.5).futr for step in range(3)]
    unknown = torch.cat(batches)[..., -1].mean()
    assert 0.02 < unknown < 0.25
    assert source.at(source.validation).futr[..., -1].sum() == 0


def fitted(sizes: list[int]) -> Readings:
    return fit_readings(covered(sizes), static=False, hist=True, futr=True)


def test_labels_never_met_are_told_once_for_all_roles():
    panel = covered([6])
    strange = Labels("parity", np.zeros(8, dtype=np.int64), ("neither",))
    new = replace(panel, futr=replace(panel.futr, covariates=Covariates((Numbers("flag", np.zeros(8)), strange))))
    with pytest.warns(ForecastWarning, match=r"count as unknown \(parity: 'neither'\)") as told:
        tell_strangers(new, fitted([6]))
    assert len(told) == 1


def test_data_without_the_covariates_of_the_model_are_refused():
    readings = fitted([6])
    same = Affine(np.zeros(1), np.ones(1))
    for role in ("hist", "futr"):
        panel = replace(covered([6]), **{role: None})
        with pytest.raises(DataError, match=f"{role}_exog: the model was fitted with such covariates"):
            build_store(panel, same, np.zeros(1, dtype=np.int64), indicator=False, readings=readings, ahead=H)


def test_inputs_put_the_covariates_of_the_past_beside_its_values_and_no_others():
    store = laid_out(covered([9]))
    batch = gather(store, torch.tensor([0]), 4, H)
    facts = Facts(4, H, hist=1, futr=4)  # those known into the future come by way of the regression
    rows = inputs(batch)
    assert rows.shape == (1, 4, facts.inputs)
    assert torch.equal(inputs(batch._replace(futr=batch.futr + 1)), rows)


def test_forecast_rows_read_as_a_past_know_nothing_of_covariates_that_end_with_it():
    read = followed(Batch(torch.zeros(1, 3), None, hist=torch.ones(1, 3, 2)), torch.ones(1, 2))
    assert read.hist.shape == (1, 2, 2)
    assert read.hist.abs().sum() == 0
