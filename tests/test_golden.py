"""What released versions saved is read by this one: models, stores, ledgers and published forecasts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import ArtifactError, Forecaster, artifact
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.migrations import MIGRATIONS
from forecast.batch.ledger.text import runs_text
from forecast.batch.models import journal
from forecast.batch.models.store import ModelStore
from forecast.batch.opening import open_job
from forecast.batch.run import attempt
from forecast.batch.sinks import manifest
from tests.fixtures.golden import EXPECTED, LEDGER, NIGHTS, rows, traces, unpack_job

FIXTURES = Path(__file__).parent / "fixtures"
FORMATS = sorted(path for path in FIXTURES.glob("format*") if path.is_dir())
IDS = [path.name for path in FORMATS]
# Weights are the same everywhere; what processors make of them may differ in the last digits of a float.
CLOSE = {"check_exact": False, "rtol": 1e-4}


def expected(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"unique_id": str}, parse_dates=["ds"])


def test_every_format_has_its_fixture():
    """Who raises a format adds ``fixtures/formatN``, made by ``tests/fixtures/golden.py``, and keeps those there are."""
    assert IDS[-1] == f"format{max(artifact.FORMAT, journal.FORMAT, manifest.FORMAT)}"
    assert sum(
        path.stat().st_size for folder in FORMATS for path in folder.rglob("*") if path.is_file()
    ) < 100_000 * len(IDS)


@pytest.mark.parametrize("folder", FORMATS, ids=IDS)
@pytest.mark.parametrize("name", ["model", "stateful"])
def test_a_saved_model_forecasts_what_it_did(name, folder, tmp_path):
    place = Path(shutil.copytree(folder / name, tmp_path / "model"))
    loaded = Forecaster.load(place)
    before = expected(folder / f"{name}.csv")
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), before, check_dtype=False, **CLOSE)
    again = Forecaster.load(loaded.save(tmp_path / "again"))
    pd.testing.assert_frame_equal(again.predict(level=[80]), loaded.predict(level=[80]), check_exact=True)
    longer = Forecaster.load(place)
    longer.update(rows(46).groupby("unique_id").tail(1))
    assert (longer.predict()["ds"].min() - before["ds"].min()).days == 1


@pytest.mark.parametrize("folder", FORMATS, ids=IDS)
def test_a_format_of_the_future_is_refused_with_both_versions(folder, tmp_path):
    place = Path(shutil.copytree(folder / "model", tmp_path / "model"))
    text = (place / "model.json").read_text(encoding="utf-8")
    (place / "model.json").write_text(text.replace('"format": 1', '"format": 1000', 1), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"format 1000, this version reads {artifact.FORMAT}"):
        Forecaster.load(place)


@pytest.mark.parametrize("folder", FORMATS, ids=IDS)
def test_a_job_goes_on_where_an_older_version_left_it(folder, tmp_path):
    job = open_job(unpack_job(folder / "job", tmp_path / "job"))
    published = pd.read_csv(folder / "job" / EXPECTED, dtype={"unique_id": str, "run": str}, keep_default_na=False)
    before = job.open_sink().read("sales")
    assert before["run"].tolist() == published["run"].tolist()
    np.testing.assert_array_equal(before["mean"], published["mean"].astype(float))
    ledger = Ledger(job.ledger_url).open()
    old = ledger.committed("sales")
    assert old["run"].tolist() == list(dict.fromkeys(published["run"]))
    assert runs_text(ledger, ["list"]).count("committed") >= len(NIGHTS)
    assert ledger.show(old["run"].iloc[0]).history[-1].state == "committed"
    (model,) = set(old["model_hash"])

    outcome = attempt(job, "2026-02-12")
    assert outcome.exit_code in (0, 10), outcome.text
    new = ledger.committed("sales")
    assert len(new) == len(NIGHTS) + 1 and new["version"].tolist() == [1] * len(new)
    after = job.open_sink().read("sales")
    pd.testing.assert_frame_equal(after[after["run"].isin(old["run"])].reset_index(drop=True), before, check_exact=True)
    latest = after[after["run"] == new["run"].iloc[-1]]
    assert set(latest["source"]) == {"lstm"} and set(latest["reason"]) == {""}
    # An option that models did not have then may call for another training; the model of then is there to go back to.
    assert ModelStore(job.home / "models").load(model).name == "lstm"


@pytest.mark.parametrize("folder", FORMATS, ids=IDS)
def test_a_ledger_of_an_older_version_gets_the_migrations_it_lacks_and_keeps_its_runs(folder, tmp_path):
    path = unpack_job(folder / "job", tmp_path / "job")
    ledger = Ledger(open_job(path).ledger_url)
    runs = ledger.open().runs()
    assert runs["state"].tolist() == ["committed"] * len(NIGHTS)
    dump = (folder / "job" / LEDGER).read_text()
    assert 1 <= dump.count('INSERT INTO "forecast_migrations"') <= len(MIGRATIONS)


@pytest.mark.parametrize("folder", FORMATS, ids=IDS)
def test_a_fixture_tells_nothing_of_the_machine_it_was_made_on(folder):
    assert traces(folder, ["/home/", "/tmp/", "/root", "/Users/", "C:\\"]) == []
