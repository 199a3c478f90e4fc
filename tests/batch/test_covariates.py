"""Jobs with covariates: columns of the source, and a table of what is known of the steps to come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import ConfigError, DataError, Forecaster, Schema
from forecast.batch.demands import SideTables
from forecast.batch.hashing import data_hash
from forecast.batch.job import Job
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.opening import job_of
from forecast.batch.quarantine import inspect_rows
from forecast.batch.run import run
from forecast.batch.settings import from_mapping
from forecast.ingest.terms import Terms
from forecast.models import LSTM
from tests.batch.shop import SLOT, H, published, sales, sales_job, table

SCHEMA = Schema(hist_exog=("price",), futr_exog=("promo",))
TERMS = Terms(SCHEMA, "D")
TINY = ModelPolicy(model=LSTM(input_size=14, hidden_size=4), max_steps=2, gate=None)
KNOWN = pd.Timestamp("2026-04-01")  # the first day that is not known at the slot


def shops() -> pd.DataFrame:
    """Sales with prices, known to the end, and promotions on some days."""
    rows = sales()
    rng = np.random.default_rng(2)
    return rows.assign(price=rng.standard_normal(len(rows)), promo=rng.choice(["none", "half", "all"], len(rows)))


def promotions(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of the future: every promotion, past and to come."""
    return rows[["unique_id", "ds", "promo"]]


def covariate_job(folder: Path, rows: pd.DataFrame, future: pd.DataFrame | None = None, **changes: object) -> Job:
    settings = {"schema": SCHEMA, "model": TINY, "future": promotions(rows) if future is None else future}
    return sales_job(folder, rows, **{**settings, **changes})


def test_a_job_forecasts_what_a_forecaster_does(tmp_path):
    rows = shops()
    outcome = run(covariate_job(tmp_path, rows), SLOT)
    assert outcome.counts == {"lstm": 4}
    known = rows[rows["ds"] < KNOWN]
    alike = Forecaster(
        TINY.model,
        h=H,
        freq="D",
        max_steps=2,
        progress=False,
        **{k: list(getattr(SCHEMA, k)) for k in ("hist_exog", "futr_exog")},
    )
    ahead = rows[(rows["ds"] >= KNOWN) & (rows["ds"] < KNOWN + pd.Timedelta(days=H))]
    expected = alike.fit(known).predict(futr_df=promotions(ahead))["lstm"]
    np.testing.assert_allclose(published(covariate_job(tmp_path, rows))["mean"], expected, rtol=1e-5)


def test_prices_after_the_slot_change_nothing_and_promotions_do(tmp_path):
    rows = shops()
    late = rows["ds"] >= KNOWN
    job = covariate_job(tmp_path, rows)
    first = run(job, SLOT)
    poisoned = rows.assign(price=rows["price"].mask(late, 1e9), y=rows["y"].mask(late, -1e9))
    again = run(replace(job, source=table(poisoned)), SLOT)
    assert (again.state, again.run) == ("unchanged", first.run)
    before = published(job)["mean"]
    planned = promotions(rows.assign(promo=rows["promo"].mask(late, "all")))
    other = run(replace(job, future=planned), SLOT)
    assert (other.state, other.version) == ("committed", 2)
    assert not np.allclose(published(job)["mean"], before)


def test_a_series_without_its_future_is_named_and_gets_a_naive_forecast(tmp_path):
    rows = shops()
    table_ahead = promotions(rows)
    gone = (table_ahead["unique_id"] == "shop 2") & (table_ahead["ds"] == KNOWN + pd.Timedelta(days=2))
    job = covariate_job(tmp_path, rows, table_ahead[~gone])
    outcome = run(job, SLOT)
    assert outcome.counts == {"lstm": 3, "seasonal_naive": 1}
    frame = published(job).set_index("unique_id")
    assert "1 of 7 rows are missing (2026-04-03)" in frame.loc["shop 2", "reason"].iloc[0]
    assert np.isfinite(frame["mean"]).all()


def test_cells_that_cannot_be_read_quarantine_their_series():
    rows = shops()
    rows.loc[[3, 200], "price"] = np.inf
    future = promotions(rows).assign(ds=lambda f: f["ds"] + pd.Timedelta(days=120))
    found = inspect_rows(rows, TERMS, side=SideTables(future=future, h=H))
    assert list(found.quarantined) == ["shop 0", "shop 1"]
    assert found.quarantined["shop 0"][0].rows == (3,)
    assert found.panel.hist is not None
    assert np.isnan(found.panel.hist.cells()["price"]).sum() == 2
    assert found.panel.futr is not None
    assert found.panel.futr.lengths.tolist() == [120 + H] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"future": None}, "schema.futr_exog and future go together.*no table"),
        ({"schema": Schema(hist_exog=("price",))}, r"futr_exog=\[\] and a table"),
    ],
)
def test_a_job_that_cannot_know_the_future_is_refused_before_it_runs(tmp_path, changes, message):
    job = covariate_job(tmp_path, shops())
    with pytest.raises(ConfigError, match=message):
        replace(job, **changes)


def test_a_column_that_is_not_there_stops_the_run(tmp_path):
    rows = shops()
    with pytest.raises(DataError, match="price: no such column"):
        inspect_rows(rows.drop(columns="price"), TERMS)
    with pytest.raises(DataError, match="promo of futr_df: no such column"):
        inspect_rows(rows, TERMS, side=SideTables(future=promotions(rows).drop(columns="promo"), h=H))


def test_the_hash_of_the_data_tells_covariates_apart():
    rows = shops()
    own = data_hash(rows, SCHEMA)
    assert data_hash(rows.assign(price=rows["price"] + 1e-9), SCHEMA) != own
    assert data_hash(rows.assign(promo="none"), SCHEMA) != own
    assert data_hash(rows.assign(other=1.0), SCHEMA) == own


def test_the_file_of_a_job_names_covariates_and_the_table(tmp_path):
    promotions(shops()).to_parquet(tmp_path / "future.parquet")
    given = {
        "h": 7,
        "freq": "D",
        "source": {"data": "elnino"},
        "future": str(tmp_path / "future.parquet"),
        "schema": {"hist_exog": ["price"], "futr_exog": ["promo"]},
        "model": {"name": "naive"},
    }
    job = job_of(from_mapping(given, "shops", {}))
    assert (job.schema.hist_exog, job.schema.futr_exog) == (("price",), ("promo",))
    assert job.future == given["future"]


def test_a_saved_model_whose_covariates_the_job_does_not_read_is_refused(tmp_path):
    rows = shops()
    roles = {"hist_exog": ["price"], "futr_exog": ["promo"]}
    fitted = Forecaster(TINY.model, h=H, freq="D", max_steps=2, progress=False, **roles).fit(rows[rows["ds"] < KNOWN])
    saved = ModelPolicy(saved=fitted.save(tmp_path / "saved"))
    outcome = run(covariate_job(tmp_path / "one", rows, model=saved), SLOT)
    assert outcome.counts == {"lstm": 4}
    deaf = covariate_job(tmp_path / "two", rows, model=saved, schema=Schema(futr_exog=("promo",)))
    with pytest.raises(
        ConfigError, match=r"fitted with hist_exog=\['price'\] and schema.hist_exog of the job lacks price"
    ):
        run(deaf, SLOT)
