"""What comes after a cutoff reaches nothing made before it: windows, scales, encodings, weights, forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import strategies as st

from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.nets.scaling import scale_window
from forecast.panel.calendar import with_calendar
from forecast.schema import Schema
from forecast.training.neural import Neural
from forecast.windows.gather import Batch, gather
from forecast.windows.sampler import training_windows
from forecast.windows.store import build_store, fit_affine
from tests.invariants.models import (
    GROUPS,
    NETS,
    fitted,
    forecaster,
    holds,
    in_order,
    panels,
    predict,
    same,
    tables,
    teaching,
)
from tests.invariants.panels import FUTR, ROLES, STAT, H, Sample, panel
from tests.test_invariants import NETS as EVERY_NET
from tests.test_invariants import QUICK, model_of

pytestmark = pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")

POISON = (1e9, -1e30, float("nan"))


def poisoned(sample: Sample, rows: int, poison: float) -> pd.DataFrame:
    """The frame with ``poison`` in the target and in what is known up to the cutoff, in the last ``rows`` steps."""
    frame, late = sample.frame, sample.back < rows
    columns = {"y": poison}
    if "price" in frame:
        columns |= {"price": poison, "weather": "hail"}
    return frame.assign(**{name: frame[name].mask(late, value) for name, value in columns.items()})


def panel_of(sample: Sample, frame: pd.DataFrame | None = None):
    """The panel of a sample with covariates."""
    schema = Schema(**ROLES)
    return to_panel(sample.frame if frame is None else frame, schema, sample.freq, static=sample.static)


@pytest.mark.parametrize("group", GROUPS)
def test_rows_after_a_cutoff_change_no_forecast_made_at_it(group):
    static = "static_df"

    @holds(
        group,
        sample=panels(group, series=2, shortest=24, longest=40),
        poison=st.sampled_from(POISON),
        hit=st.sampled_from([1, 2]),
        refit=st.booleans(),
    )
    def check(sample, poison, hit, refit):
        exog = sample.static is not None
        given = {static: sample.static} if exog else {}
        one, two = (
            in_order(
                forecaster(group, sample.freq, exog).cross_validation(
                    frame, n_windows=2, refit=refit, level=[80], **given
                )
            )
            for frame in (sample.frame, poisoned(sample, hit * H, poison))
        )
        first = one["cutoff"] == one.groupby("unique_id")["cutoff"].transform("min")
        untouched = first if hit == 2 else first | ~first
        same(one[untouched].drop(columns="y"), two[untouched].drop(columns="y"))


@pytest.mark.parametrize("group", GROUPS)
def test_a_fold_is_a_fit_on_what_was_known_and_nothing_else(group):
    # Every row is there, known or not: what is known at a cutoff is then the frame up to it.
    @holds(group, sample=panels(group, series=2, shortest=24, longest=40, masks=("none", "unknown")))
    def check(sample):
        exog = sample.static is not None
        given = {"static_df": sample.static} if exog else {}
        models = forecaster(group, sample.freq, exog)
        folds = models.cross_validation(sample.frame, n_windows=2, refit=True, level=[80], **given)
        for back in (2 * H, H):
            cut = sample.until(back)
            alone = forecaster(group, sample.freq, exog).fit(cut.frame, **given)
            future = {"futr_df": alone.make_future_frame().merge(cut.future, how="left")} if exog else {}
            expected = alone.predict(level=[80], **future)
            fold = folds.merge(expected[["unique_id", "ds"]])  # of one cutoff: they are a horizon apart
            same(in_order(fold.drop(columns=["cutoff", "y"])), in_order(expected))


@pytest.mark.parametrize("name", NETS)
def test_scales_windows_and_encodings_come_from_training_rows_alone(name):
    held = 5

    @holds("nets", sample=panel(exog=True, shortest=30), poison=st.sampled_from(POISON))
    def check(sample, poison):
        model, task = Neural(model_of(name), QUICK, name), Task(H, 4, held)
        clean, other = panel_of(sample), panel_of(sample, poisoned(sample, held, poison))
        one, two = (model.prepare(p, task) for p in (clean, other))
        assert one.readings == two.readings
        for part in ("center", "spread"):
            np.testing.assert_array_equal(getattr(one.source.affine, part), getattr(two.source.affine, part))
        numbers = torch.arange(one.source.windows.total)
        starts = one.source.windows.start(numbers)
        assert starts.sort()[0].tolist() == two.source.windows.start(numbers).sort()[0].tolist()
        # The same windows, whose order may be another: that of the series follows all of their rows.
        for cells, others in zip(one.source.at(starts), two.source.at(starts), strict=True):
            assert cells is others or cells == others if not torch.is_tensor(cells) else torch.equal(cells, others)


def test_every_window_is_there_once_with_the_values_of_its_own_steps():
    @holds("closed", sample=panel(), input_size=st.integers(1, 6), h=st.integers(1, 4), masked=st.booleans())
    def check(sample, input_size, h, masked):
        whole = to_panel(sample.frame, freq=sample.freq)
        affine, none = fit_affine(whole), np.zeros(len(whole), dtype=np.int64)
        store = build_store(whole, affine, none, indicator=masked, trained_as=np.arange(len(whole)))
        windows = training_windows(store, input_size + h)
        assert windows.total == np.maximum(whole.lengths - input_size - h + 1, 0).sum()
        if not windows.total:
            return
        batch = gather(store, windows.start(torch.arange(windows.total)), input_size, h)
        series, place = batch.series.numpy(), batch.ordinal.numpy() - whole.first[batch.series.numpy()]
        assert len(set(zip(series, place, strict=True))) == windows.total
        rows = sample.frame.set_index(["unique_id", "place"])["y"]
        steps = np.arange(input_size + h)
        keys = pd.MultiIndex.from_arrays([np.repeat(whole.ids[series], len(steps)), (place[:, None] + steps).ravel()])
        truth = rows.reindex(keys).to_numpy().reshape(-1, len(steps))
        cells = torch.cat([batch.past, batch.future], 1).double().numpy()
        known = np.isfinite(truth)
        if masked:
            told = torch.cat([batch.observed, batch.future_observed], 1).numpy() > 0
            np.testing.assert_array_equal(told, known)
        rounding = (1e-6 * sample.size[whole.ids[series]]).to_numpy()[:, None]
        back = cells * affine.spread[series][:, None] + affine.center[series][:, None]
        assert (np.abs(np.where(known, back - truth, 0.0)) <= rounding).all()


@pytest.mark.parametrize("spread", [True, False])
def test_a_window_is_scaled_by_its_past_alone(spread):
    cells = st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=8)

    @holds("closed", past=cells, observed=st.lists(st.booleans(), min_size=8, max_size=8), masked=st.booleans())
    def check(past, observed, masked):
        known = torch.tensor([observed], dtype=torch.float32) if masked else None
        window = torch.tensor([past]) * (1.0 if known is None else known)
        ahead = None if known is None else torch.ones(1, H)
        parts = [
            scale_window(Batch(window, known, torch.full((1, H), value), ahead), spread=spread) for value in (0.0, 1e9)
        ]
        assert torch.equal(parts[0].batch.past, parts[1].batch.past)
        assert torch.equal(parts[0].loc, parts[1].loc)
        assert torch.equal(parts[0].scale, parts[1].scale)


@pytest.mark.parametrize("name", EVERY_NET)
def test_from_cell_to_forecast_no_gradient_comes_from_the_forecast_time_on(name):
    """From the store to original units: scaling, regression and net, with the true future beside the past."""
    prepared = Neural(model_of(name), QUICK, name).prepare(panel_of(teaching("MS", None, True)), Task(H, 12))
    source, net = prepared.source, prepared.net.eval()
    who = source.store.identity
    tracks = {role: track for role in ("hist", "futr") if (track := getattr(who, role, None)) is not None}
    leaves = {"values": source.store.values, **{role: track.numbers for role, track in tracks.items()}}
    leaves = {role: cells.clone().requires_grad_() for role, cells in leaves.items()}
    tracks = {role: replace(track, numbers=leaves[role]) for role, track in tracks.items()}
    identity = None if who is None else replace(who, **tracks)
    store = replace(source.store, values=leaves["values"], identity=identity)
    source = replace(source, store=store)
    size = source.input_size
    for start in source.windows.start(torch.tensor([0, source.windows.total // 2])).tolist():
        scaled = source.scaled(source.at(torch.tensor([start])))
        grads = torch.autograd.grad(scaled.restore(net(scaled.batch)).sum(), list(leaves.values()), allow_unused=True)
        for role, grad in zip(leaves, grads, strict=True):
            rows = [] if grad is None else grad.abs().sum(1).nonzero()[:, 0].tolist()
            first = start + (0 if role == "values" else int(tracks[role].shift[int(who.number(torch.tensor(start)))]))
            assert all(first <= row < first + size + (H if role == "futr" else 0) for row in rows), role
            assert rows or role != "values"


@pytest.mark.parametrize("calendar", ["auto", ["day_of_year", "month_of_year"]])
def test_calendar_features_are_functions_of_time_alone(calendar):
    @holds("nets", sample=panel(freqs=("D", "h", "W-MON", "B"), series=3, shortest=4), cut=st.integers(1, 3))
    def check(sample, cut):
        whole = to_panel(sample.frame, Schema(calendar=calendar), sample.freq)
        short = whole.take(np.arange(len(whole))[::-1]).head(whole.lengths[::-1] - cut)
        others = with_calendar(replace(short, values=np.full_like(short.values, 1e9)), H).futr
        known = with_calendar(whole, H).futr
        lengths = np.minimum(known.lengths[::-1], others.lengths)
        one = known.take(np.arange(len(whole))[::-1]).between(short.first, lengths).covariates
        two = others.between(short.first, lengths).covariates
        assert one.names == two.names
        for mine, theirs in zip(one.columns, two.columns, strict=True):
            np.testing.assert_array_equal(mine.values, theirs.values)


@pytest.mark.parametrize("name", NETS)
def test_what_is_known_ahead_reaches_the_forecasts_of_its_own_series(name):
    """The counterpart of everything above: what may be known is made use of."""

    @holds("nets", sample=panel(exog=True, kinds=("noise", "walk"), shortest=12, masks=("none",), series=3))
    def check(sample):
        models = fitted("nets", sample.freq, sample.tz, True)
        before = predict(models, sample)
        mine = sample.future["unique_id"] == "s0"
        changed = sample.future.assign(promo=sample.future["promo"].mask(mine, 1.0 - sample.future["promo"]))
        after = predict(models, replace(sample, future=changed))
        mine = before["unique_id"] == "s0"
        assert not np.isclose(before.loc[mine, name], after.loc[mine, name], rtol=1e-9, atol=0.0).any()
        same(before[~mine], after[~mine])


def test_what_was_not_asked_for_is_not_read():
    """Features of static tables and of the future belong to rows; a model without them forecasts without them."""
    sample = teaching("D", None, True)
    plain = forecaster("nets", "D").fit(sample.frame)
    bare = forecaster("nets", "D").fit(sample.frame[["unique_id", "ds", "y"]])
    same(plain.predict(), bare.predict())
    assert not {*FUTR, *STAT} & set(plain.predict())
    assert tables(sample).keys() == {"futr_df", "static_df"}
