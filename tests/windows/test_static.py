"""Static features in batches: each window carries those of its own series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import DataError, ForecastWarning
from forecast.nets.facts import Needs
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.encoding import fit_encoding
from forecast.panel.readings import Readings
from forecast.training.source import HIDDEN_LABELS, build_source
from forecast.windows.gather import gather
from forecast.windows.sampler import training_windows
from forecast.windows.static import static_table, tell_strangers
from forecast.windows.store import build_store, fit_affine
from tests.windows.test_windows import counting_panel


def featured(sizes: list[int]):
    """Series ``s`` has the number s and the label "s"."""
    count = len(sizes)
    static = Covariates(
        (
            Numbers("number", np.arange(count, dtype=np.float64)),
            Labels("label", np.arange(count), tuple(str(s) for s in range(count))),
            Labels("same", np.zeros(count, dtype=np.int64), ("x",)),
        )
    )
    return replace(counting_panel(sizes), static=static)


@given(st.lists(st.integers(5, 12), min_size=1, max_size=6), st.booleans())
def test_every_window_carries_the_features_of_its_series(sizes, series_too):
    panel = featured(sizes)
    encoding = fit_encoding(panel.static)
    zero = np.zeros(len(panel), dtype=np.int64)
    same = type(fit_affine(panel))(np.zeros(len(panel)), np.ones(len(panel)))
    trained_as = np.arange(len(panel)) if series_too else None
    store = build_store(panel, same, zero, indicator=False, trained_as=trained_as, readings=Readings(encoding))
    windows = training_windows(store, 4)
    batch = gather(store, windows.start(torch.arange(windows.total)), 3, 1)
    series = (batch.past[:, 0] // 1000).long()
    assert batch.static.shape == (windows.total, 1 + len(sizes) + 1 + 2)
    assert batch.static[:, 1 : 2 + len(sizes)].argmax(1).tolist() == series.tolist()
    assert batch.static[:, 1:].sum(1).tolist() == [2.0] * windows.total
    expected = static_table(panel, encoding).numbers[series, 0]
    torch.testing.assert_close(batch.static[:, 0], expected)
    assert batch.series.tolist() == (series.tolist() if series_too else [-1] * windows.total)


def test_hidden_labels_become_unknown_and_numbers_stay():
    panel = featured([5, 5])
    table = static_table(panel, fit_encoding(panel.static))
    vectors = table.of(torch.tensor([0, 1]))
    hidden = table.hide(vectors, torch.tensor([[True, False], [False, True]]))
    assert hidden[:, 1:].tolist() == [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]]
    torch.testing.assert_close(hidden[:, 0], vectors[:, 0])


def test_training_hides_some_labels_at_random_and_other_batches_none():
    panel = featured([40] * 4)
    encoding = fit_encoding(panel.static)
    source = build_source(panel, 6, 2, 1, None, Needs(static=True), readings=Readings(encoding))
    batch = source.batch(2000, seed=1, step=5, progress=0.0)
    share = batch.static[:, 5].mean().item()
    assert share == pytest.approx(HIDDEN_LABELS, abs=0.03)
    torch.testing.assert_close(source.batch(2000, 1, 5, 0.0).static, batch.static)
    assert source.at(source.validation).static[:, 5].sum() == 0


def test_a_job_on_other_features_is_another_job():
    panel = featured([20, 20])
    encoding = fit_encoding(panel.static)
    other = replace(panel, static=panel.static.take(np.array([1, 0])))
    one, two = (build_source(p, 6, 2, 1, None, Needs(static=True), readings=Readings(encoding)) for p in (panel, other))
    assert list(one.content()) != list(two.content())


def test_labels_not_met_in_training_are_told_in_one_warning():
    panel = featured([5, 5, 5])
    encoding = fit_encoding(panel.static.take(np.array([0])))
    with pytest.warns(ForecastWarning, match=r"count as unknown \(label: '1', '2'\)") as told:
        tell_strangers(panel, Readings(encoding))
    assert len(told) == 1


def test_a_panel_without_the_features_is_refused():
    panel = featured([5])
    with pytest.raises(DataError, match="fitted with static features, the data have none"):
        static_table(counting_panel([5]), fit_encoding(panel.static))
