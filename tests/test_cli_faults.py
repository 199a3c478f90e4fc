"""Commands under attack and in a crowd: what is injected is never called, and no two runs share a folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecast import ConfigError, Forecaster
from forecast.batch.opening import open_job
from forecast.cli import main
from tests.fault_process import Forks

SAID = "spoken by an injected function"
TINY = ["trainer.max_steps=2", "trainer.batch_size=8", "trainer.cycles=1", "trainer.validations=1", "progress=false"]
FIT = ["fit", "data=nile", "model=lstm", "model.hidden_size=4", "data.input_size=12", *TINY]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    server = Forks()
    yield server
    server.end()


def test_sixteen_runs_that_start_in_one_second_have_sixteen_folders(forks, frame, tmp_path):
    Forecaster("naive", h=2, progress=False).fit(frame).save("m")
    words = ["predict", "model=m", "progress=false"]
    answers = forks("command", words=words, folder=str(tmp_path), second="2026-01-01_00-00-00", copies=16)["answers"]
    assert [answer["code"] for answer in answers] == [0] * 16, answers
    folders = sorted(Path("runs", "predict").iterdir())
    assert len(folders) == 16 and all(folder.name.startswith("2026-01-01_00-00-00-") for folder in folders)
    tables = [pd.read_parquet(folder / "forecasts.parquet") for folder in folders]
    assert all(table.equals(tables[0]) for table in tables)


INJECTED = [
    "hydra.launcher._target_=builtins.print",
    "hydra.sweeper._target_=builtins.print",
    "+hydra.callbacks.evil._target_=builtins.print",
    f"+hydra.callbacks={{evil:{{_target_:builtins.print,_args_:['{SAID}']}}}}",
    "++hydra.callbacks.evil={_target_:os.system,command:true}",
    "model._target_=os.system",
    "+model._args_=['true']",
    "+trainer._target_=builtins.print",
    "trainer={_target_:builtins.print}",
    "model={_target_:builtins.eval}",
    "+model.inner={_target_:builtins.print}",
]


@pytest.mark.parametrize("payload", INJECTED)
@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["once", "sweep"])
def test_nothing_on_the_command_line_makes_us_call_what_it_names(payload, sweep, capfd):
    assert main([FIT[0], *sweep, *FIT[1:], payload]) == 2
    told = capfd.readouterr()
    assert told.err.startswith("forecast: ") and SAID not in told.out
    assert not list(Path("runs").rglob("model.json")) if Path("runs").exists() else True


@pytest.mark.parametrize("payload", ["+data._target_=builtins.print", "+report={_target_:builtins.print}"])
def test_a_target_where_nothing_is_built_is_only_a_word(payload, capfd):
    code = main(["backtest", *FIT[1:], "baselines=[]", "report.enabled=false", payload])
    assert code in (0, 2) and SAID not in capfd.readouterr().out


LOADED = [
    {"hydra": {"run": {"dir": "/etc/forecast"}}},
    {"defaults": ["override hydra/launcher: joblib"]},
    {"_target_": "os.system"},
    {"model": {"_target_": "os.system", "name": "naive"}},
    {"model": {"name": "lstm", "settings": {"_target_": "os.system"}}},
    {"model": {"name": "os.system"}},
    {"source": {"_target_": "builtins.print", "files": "x.csv"}},
    {"sink": {"_target_": "builtins.print", "folder": "out"}},
    {"name": "../../etc/forecast"},
    {"name": "${oc.env:CANARY}"},
]


@pytest.mark.parametrize("given", LOADED, ids=str)
def test_a_jobs_file_can_name_nothing_to_call_and_no_folder_of_hydras(given, monkeypatch):
    monkeypatch.setenv("CANARY", "../canary")
    job: dict[str, Any] = {"name": "sales", "h": 2, "freq": "D", "model": {"name": "naive"}}
    Path("job.yaml").write_text(json.dumps({**job, "source": {"files": "x.csv"}, **given}))
    with pytest.raises(ConfigError):
        open_job("job.yaml")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["job.yaml"]


RESOLVERS = ["${oc.env:CANARY}", "${oc.decode:'[1]'}", "${hydra:runtime.cwd}", "${now:%Y}", "${run_id:}", "{{7*7}}"]


@pytest.mark.parametrize("text", RESOLVERS)
def test_what_was_saved_is_read_to_the_letter(text, monkeypatch, frame, capsys):
    monkeypatch.setenv("CANARY", "canary-value")
    renamed = frame.assign(unique_id=frame["unique_id"].map({"s0": text}).fillna(frame["unique_id"]))
    Forecaster({text: "naive"}, h=2, progress=False).fit(renamed).save("m")
    assert main(["predict", "model=m", "output=out.csv", "progress=false"]) == 0
    out = pd.read_csv("out.csv")
    assert text in out.columns and text in set(out["unique_id"])
    assert main(["describe", "m"]) == 0
    assert text in capsys.readouterr().out
    assert all(b"canary-value" not in path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file())


def test_the_settings_of_a_run_that_is_reported_again_are_text(monkeypatch):
    monkeypatch.setenv("CANARY", "canary-value")
    assert main(["backtest", *FIT[1:], "baselines=[]", "report.enabled=false"]) == 0
    (folder,) = Path("runs", "backtest").iterdir()
    facts = json.loads((folder / "run.json").read_text())
    facts["configuration"]["model"] = {"_target_": "builtins.print", "x": "${oc.env:CANARY}"}
    facts["data"] = "${oc.env:CANARY}<script>alert(1)</script>"
    (folder / "run.json").write_text(json.dumps(facts))
    assert main(["report", f"run={folder}", "output=report.html"]) == 0
    page = Path("report.html").read_text()
    assert "canary-value" not in page and "<script>alert" not in page and "${oc.env:CANARY}" in page


def test_a_full_disk_is_one_line_that_says_where_and_how_much(monkeypatch, frame, capsys):
    Forecaster("naive", h=2, progress=False).fit(frame).save("m")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert main(["predict", "model=m", "output=deep/out.csv", "progress=false"]) == 8
    told = capsys.readouterr().err
    assert "out.csv" in told and "no room" in told and "bytes are needed" in told and len(told.splitlines()) == 1
    assert list(Path("deep").iterdir()) == []


def test_a_sweep_in_which_a_job_fails_runs_the_others_lists_it_and_fails(capsys):
    sweep = ["backtest", "-m", *FIT[1:], "baselines=[]", "report.enabled=false", "h=2,0,3", "seed=7"]
    assert main(sweep) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and "job 1" in told[0] and "h=0" in told[0] and "seed=7" in told[0]
    done = sorted(path.parent.name for path in Path("runs/backtest-sweep").glob("*/*/run.json"))
    assert done == ["0", "2"]


def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    from forecast.batch.ledger.ledger import Ledger
    from forecast.errors import MissingExtraError, exit_code

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"needs the package psycopg.*forecast\[postgres\]") as caught:
        Ledger("postgresql://ann:geheim@127.0.0.1:1/x").open()
    assert "geheim" not in str(caught.value) and exit_code(caught.value) == 2
