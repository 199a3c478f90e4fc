"""Jobs whose nets know the calendar and the holidays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecast import ConfigError, Forecaster, Schema
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.run import run
from forecast.models import LSTM
from tests.batch.shop import SLOT, H, published, sales, sales_job

TINY = ModelPolicy(model=LSTM(input_size=14, hidden_size=4), max_steps=2, gate=None)
SCHEMA = Schema(calendar="auto", holidays="DE")
KNOWN = "2026-04-01"  # the first day that is not known at the slot


def test_a_job_forecasts_with_the_calendar_what_a_forecaster_does(tmp_path):
    rows = sales()
    job = sales_job(tmp_path / "dated", rows, schema=SCHEMA, model=TINY)
    outcome = run(job, SLOT)
    assert outcome.counts == {"lstm": 4}
    options = {"h": H, "freq": "D", "max_steps": 2, "progress": False}
    known = rows[rows["ds"] < KNOWN]
    expected = Forecaster(TINY.model, **options, calendar="auto", holidays="DE").fit(known).predict()["lstm"]
    np.testing.assert_allclose(published(job)["mean"], expected, rtol=1e-5)
    plain = sales_job(tmp_path / "plain", rows, model=TINY)
    run(plain, SLOT)
    assert not np.allclose(published(plain)["mean"], published(job)["mean"])
    again = run(replace(job, model=replace(TINY, gate=None)), SLOT)  # the saved model is read and asked again
    assert (again.state, again.run) == ("unchanged", outcome.run)


def test_a_job_runs_no_functions_of_time(tmp_path):
    with pytest.raises(ConfigError, match=r"a job runs no code of the user's.*schema.futr_exog"):
        sales_job(tmp_path, sales(), schema=Schema(time_features=("payday",)))
    with pytest.raises(ConfigError, match="'hour' is not known"):
        sales_job(tmp_path, sales(), schema=Schema(calendar=("hour",)))
