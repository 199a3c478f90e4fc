"""``forecast batch``, ``runs`` and ``rollback`` as an operator types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from forecast.batch.ledger.ledger import Ledger
from forecast.cli import main
from tests.batch.shop import files, sales

CANARY = "Canary%2F7f3a9"


@pytest.fixture(autouse=True)
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job in the current folder."""
    monkeypatch.chdir(tmp_path)
    sales().to_csv("sales.csv", index=False)
    job = {
        "h": 7,
        "freq": "D",
        "source": {"files": "sales.csv", "patience": 0},
        "model": {"name": "seasonal_naive"},
        "sink": {"folder": "out"},
        "watch": {"enabled": False},
        "patience": 0.2,
        "progress": False,
    }
    path = Path("conf", "batch", "nightly.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(job))
    return path


def batch(*words: str) -> int:
    return main(["batch", "job=nightly", *words])


def test_a_job_runs_once_and_then_has_nothing_to_do(capsys):
    assert batch("as_of=2026-04-01") == 0
    assert "version 1) is published" in capsys.readouterr().out
    before = files(Path("out"))
    assert batch("as_of=2026-04-01") == 0
    told = capsys.readouterr()
    assert "nothing to do" in told.out and told.err == ""
    assert files(Path("out")) == before
    assert len(pd.read_parquet("out/nightly")) == 28


def test_a_backfill_tells_each_slot_and_ends_with_a_summary(capsys):
    assert batch("--from", "2026-04-01", "--to=2026-04-03") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line[:25] for line in told if line.startswith("nightly")] == [
        f"nightly 2026-04-0{day}T00:00Z" for day in (1, 2, 3)
    ]
    assert told[-1] == "3 slots: 3 committed. Exit code 0."


def test_checks_and_rehearsals_write_nothing(capsys):
    before = files(Path())
    assert batch("--check-only", "as_of=2026-04-01") == 0
    assert batch("--dry-run", "as_of=2026-04-01") == 0
    told = capsys.readouterr().out
    assert "360 rows of 4 series" in told and "28 forecasts" in told and "nothing was written" in told
    assert files(Path()) == before and not Path("out").exists() and not Path("batch").exists()
    assert batch("--check-only", "as_of=2026-04-01", "contract.min_series=9") == 4
    assert files(Path()) == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["as_of=soon"], 2, "not a time"),
        (["horizon=3"], 2, "no setting 'horizon'"),
        (["nonsense"], 2, "not a setting"),
        (["--forever"], 2, "no option '--forever'"),
        (["--to", "2026-04-01"], 2, "--to needs --from"),
        (["--check-only", "--dry-run"], 2, "do not go together"),
        (["--dry-run", "--from", "2026-04-01"], 2, "do not go together"),
        (["as_of=2020-01-01"], 4, "no row that was known"),
        (["as_of=2026-04-01", "source.files=none*.csv"], 8, "none*.csv"),
        (["as_of=2026-04-01", "schema.target_col=z"], 4, "z"),
        (["as_of=2026-04-01", "contract.max_value=5"], 4, ""),
    ],
)
def test_what_goes_wrong_has_its_exit_code_and_says_why(capsys, words, code, told):
    assert batch(*words) == code
    assert told in capsys.readouterr().err


def test_without_a_job_there_is_nothing_to_run(capsys):
    assert main(["batch"]) == 2
    assert "Add job=NAME" in capsys.readouterr().err
    assert main(["batch", "job=weekly"]) == 2
    assert "conf/batch/weekly.yaml" in capsys.readouterr().err


def test_some_bad_series_are_an_exit_code_of_their_own(capsys):
    rows = sales()
    rows["y"] = rows["y"].astype(object)
    rows.loc[3, "y"] = "n/k"
    rows.to_csv("sales.csv", index=False)
    assert batch("as_of=2026-04-01") == 3
    told = capsys.readouterr()
    assert "shop 0" in told.out and "quarantined" in told.out
    assert "shop 0" in told.err  # a line of the log, although progress=false


def test_the_ledger_is_told_as_text(capsys):
    batch("--from", "2026-04-01", "--to", "2026-04-02")
    capsys.readouterr()
    assert main(["runs", "list", "job=nightly"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 3 and "committed" in listed[1]
    later, earlier = (line.split()[0] for line in listed[1:])
    assert main(["runs", "show", later, "job=nightly"]) == 0
    assert f"run {later}: committed, version 1" in capsys.readouterr().out
    assert main(["runs", "diff", earlier, later, f"ledger=sqlite:///{Path('batch/nightly/batch.db').resolve()}"]) == 0
    assert "data: new" in capsys.readouterr().out
    assert main(["runs", "list", "job=nightly", "state=failed"]) == 0
    assert capsys.readouterr().out == "No runs.\n"


def test_a_ledger_that_is_not_there_is_not_made(capsys):
    assert main(["runs", "list", "job=nightly"]) == 8
    assert "the job has not run" in capsys.readouterr().err
    assert not Path("batch").exists()


def test_a_rollback_goes_to_the_model_before(capsys):
    assert main(["rollback", "job=nightly"]) == 6
    batch("model.settings.season_length=7", "as_of=2026-04-01")
    batch("model.settings.season_length=14", "as_of=2026-04-02", "model.gate.enabled=false")
    capsys.readouterr()
    assert main(["rollback", "job=nightly", "reason=too slow"]) == 0
    assert "current model again" in capsys.readouterr().out
    assert batch("as_of=2026-04-03", "model.settings.season_length=7") == 0
    hashes = Ledger(f"sqlite:///{Path('batch/nightly/batch.db').resolve()}").committed("nightly")["model_hash"]
    assert hashes[0] == hashes[2] != hashes[1]


def test_no_secret_gets_into_any_output_file_or_ledger(capfd, monkeypatch):
    """A database that is away, a source that is away and a webhook that refuses, all with passwords."""
    monkeypatch.setenv("CANARY", CANARY)
    url = "postgresql://me:${oc.env:CANARY}@127.0.0.1:1/db?sslpassword=" + CANARY
    watch = ["watch.enabled=true", f"watch.webhook=http://127.0.0.1:1/services/{CANARY}?token={CANARY}"]
    assert batch("as_of=2026-04-01", f"sink.url={url}", "sink.folder=null", "ledger=sqlite:///ledger.db", *watch) == 8
    assert batch("as_of=2026-04-02", *watch, "contract.min_series=9") == 4
    query = ["source.files=null", f"source.url={url}", "source.query=SELECT * FROM t WHERE k = :api_key"]
    assert batch("as_of=2026-04-02", *query, f"source.params.api_key={CANARY}") == 8
    assert batch("as_of=2026-04-02", f"postgresql://me:{CANARY}@h/db") == 2
    assert batch("as_of=2026-04-02", "sink.folder=null", f"sink.url=postgresql://me:{CANARY}@h:port/db") == 2
    assert main(["runs", "list", f"ledger=postgresql://me:{CANARY}@127.0.0.1:1/db"]) == 8
    assert main(["runs", "list", "job=nightly", "ledger=sqlite:///ledger.db"]) == 0
    told = capfd.readouterr()
    secrets = [CANARY, CANARY.replace("%2F", "/"), "7f3a9"]
    for where, text in {"out": told.out.encode(), "err": told.err.encode(), **files(Path())}.items():
        assert not [secret for secret in secrets if secret.encode() in text], where
    assert Path("ledger.db").exists() and any("reports" in name for name in files(Path()))


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from forecast.cli import main; [main([c, '--help']) for c in ('batch', 'runs', 'rollback')];"
        "heavy = {'pandas', 'torch', 'numpy', 'hydra', 'sqlalchemy', 'yaml'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "forecast batch job=nightly" in done.stdout
