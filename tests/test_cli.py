"""The command line: what it writes, how it fails, how fast it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from forecast import Forecaster, load_dataset
from forecast.cli import HELP, main

TINY = ["trainer.max_steps=2", "trainer.batch_size=8", "trainer.cycles=1", "trainer.validations=1", "progress=false"]
NET = ["model=lstm", "model.hidden_size=4", "data.input_size=12"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_folders(command: str) -> list[Path]:
    return sorted(Path("runs", command).iterdir())


@pytest.fixture
def table(frame) -> Path:
    path = Path("my table's data.csv")
    frame.to_csv(path, index=False)
    return path


def test_help_is_immediate_and_imports_nothing_heavy():
    code = (
        "import sys; from forecast.cli import main; main(['--help']); main(['backtest', '--help']);"
        "heavy = {'pandas', 'torch', 'numpy', 'hydra', 'pytorch_lightning'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "forecast backtest data=elnino" in done.stdout


@pytest.mark.parametrize("command", HELP)
def test_every_command_has_help_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"forecast {command}" in capsys.readouterr().out


def test_a_backtest_on_a_shipped_set_writes_forecasts_scores_and_a_report(capsys):
    assert main(["backtest", "data=airpassengers", *NET, *TINY, "baselines=[naive,seasonal_naive]"]) == 0
    (folder,) = run_folders("backtest")
    names = {path.name for path in folder.iterdir()}
    assert {"forecasts.parquet", "history.parquet", "scores.csv", "run.json", "report.html"} <= names
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores["model"]) == {"lstm", "naive", "seasonal_naive"}
    assert str(folder) in capsys.readouterr().out


def test_the_net_of_a_backtest_is_the_one_of_the_notebook():
    assert main(["backtest", "data=airpassengers", *NET, *TINY, "baselines=[]", "seed=3", "level=[]"]) == 0
    (folder,) = run_folders("backtest")
    from forecast import Training
    from forecast.models import LSTM

    training = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
    notebook = Forecaster(LSTM(input_size=12, hidden_size=4), h=12, seed=3, training=training, progress=False)
    expected = notebook.cross_validation(load_dataset("airpassengers"))
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "forecasts.parquet"), expected, check_exact=True)


def test_a_report_can_be_written_again_byte_for_byte():
    assert main(["backtest", "data=nile", "model=naive", "baselines=[]", "progress=false"]) in (0, 2)
    assert main(["backtest", "data=nile", *NET, *TINY, "baselines=[naive]"]) == 0
    folder = run_folders("backtest")[-1]
    first = (folder / "report.html").read_bytes()
    assert main(["report", f"run={folder}", "output=again.html"]) == 0
    assert Path("again.html").read_bytes() == first


def test_fit_then_predict_on_a_file_with_an_awkward_name(table):
    assert main(["fit", f"data={table}", "h=3", *NET, *TINY, "output=my model"]) == 0
    assert main(["predict", "model=my model", "level=[90]", "output=out.csv"]) == 0
    out = pd.read_csv("out.csv")
    assert list(out.columns) == ["unique_id", "ds", "lstm", "lstm-lo-90", "lstm-hi-90"]
    assert len(out) == 9
    assert main(["predict", "model=my model", f"data={table}", "h=1", "output=new.parquet"]) == 0
    assert len(pd.read_parquet("new.parquet")) == 3


def test_describe_prints_what_a_model_is(table, capsys):
    main(["fit", f"data={table}", "h=3", *NET, *TINY, "output=m"])
    capsys.readouterr()
    assert main(["describe", "m"]) == 0
    out = capsys.readouterr().out
    assert "class: LSTM" in out
    assert "hidden_size: 4" in out


def test_a_split_column_fixes_the_cutoff(frame):
    position = frame.groupby("unique_id").cumcount(ascending=False)
    frame.assign(split=["test" if p < 5 else "train" for p in position]).to_parquet("s.parquet")
    assert main(["backtest", "data=s.parquet", "h=5", *NET, *TINY, "baselines=[naive]"]) == 0
    (folder,) = run_folders("backtest")
    got = pd.read_parquet(folder / "forecasts.parquet")
    assert got.groupby("unique_id").size().tolist() == [5, 5, 5]
    assert (got["cutoff"] < got["ds"]).all()


def test_a_sweep_runs_every_job_in_a_folder_of_its_own():
    arguments = ["backtest", "-m", "data=nile", "model=lstm,gru", "model.hidden_size=4", "data.input_size=6", *TINY]
    assert main([*arguments, "baselines=[]", "report.enabled=false"]) == 0
    jobs = sorted(Path("runs/backtest-sweep").glob("*/[0-9]"))
    assert [json.loads((job / "run.json").read_text())["configuration"]["model_name"] for job in jobs] == [
        "lstm",
        "gru",
    ]


def test_two_runs_in_one_second_have_folders_of_their_own():
    for _ in range(2):
        main(["fit", "data=nile", *NET, *TINY])
    assert len(run_folders("fit")) == 2


FAILURES = {
    "an unknown command": (["forcast"], 2, "Known: backtest"),
    "an unknown data set": (["fit", "data=elnin"], 2, "Available options in 'data'"),
    "an unknown key": (["fit", "model.hiden=3"], 2, "hiden"),
    "a bad horizon": (["fit", "data=nile", "h=0"], 2, "h=0"),
    "a horizon nobody knows": (["fit", "data=t.csv"], 2, "Add h=24"),
    "a file that is not there": (["fit", "data=no/such.csv", "h=1"], 4, "does not exist"),
    "broken data": (["fit", "data=bad.csv", "h=1"], 4, "infinite"),
    "no model there": (["predict", "model=nowhere"], 6, "model.json is missing"),
    "no run there": (["report", "run=nowhere"], 2, "not the run folder"),
    "an unknown baseline": (["backtest", "data=nile", "baselines=[naiv]"], 2, "Did you mean 'naive'"),
    "an unknown set to show": (["data", "show", "elnin"], 2, "elnino"),
    "describe of nothing": (["describe"], 2, "one path"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_with_a_hint_and_its_exit_code(case, capsys):
    arguments, code, hint = FAILURES[case]
    Path("t.csv").write_text("ds,y\n" + "".join(f"{i},{i}\n" for i in range(20)))
    Path("bad.csv").write_text("ds,y\n1,1\n2,inf\n3,1\n")
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert hint in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_debug_shows_the_traceback():
    from forecast import ConfigError

    with pytest.raises(ConfigError):
        main(["report", "run=nowhere", "--debug"])


@pytest.mark.parametrize("payload", ["model._target_=os.system", "++model._target_=builtins.eval"])
def test_a_target_given_on_the_command_line_is_never_called(payload, capsys):
    assert main(["fit", "data=nile", payload, *TINY]) == 2
    assert "not one of our models" in capsys.readouterr().err


def test_data_list_and_show_tell_what_there_is(capsys):
    assert main(["data", "list"]) == 0
    assert main(["data", "show", "elnino"]) == 0
    out = capsys.readouterr().out
    assert "airpassengers" in out
    assert "licence" in out


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert "torch" in capsys.readouterr().out
