"""The command line: what it writes, how it fails, how fast it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import Forecaster, load_dataset
from forecast.cli import _quoted, main
from forecast.usage import HELP

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
    assert main(["predict", "model=my model", "samples=5", "output=futures.parquet"]) == 0
    assert len(pd.read_parquet("futures.parquet")) == 9 * 5
    assert main(["predict", "model=my model", "level=[]", "statistics=[mean,median]", "output=means.csv"]) == 0
    assert list(pd.read_csv("means.csv").columns) == ["unique_id", "ds", "lstm", "lstm-mean", "lstm-median"]


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


def test_a_published_protocol_is_one_experiment(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    stamps = pd.date_range("2016-07-01", periods=14_500, freq="h")
    y = [np.sin(np.arange(14_500) / 24) + rng.normal(0, 0.1, 14_500) for _ in range(2)]
    frames = [pd.DataFrame({"unique_id": name, "ds": stamps, "y": v}) for name, v in zip("ab", y, strict=True)]
    pd.concat(frames).to_parquet(tmp_path / "etth1.parquet")
    monkeypatch.setenv("FORECAST_DATA_DIR", str(tmp_path))
    small = [
        "h=2870",
        "model.settings.segrnn.hidden_size=4",
        "trainer.max_steps=1",
        "trainer.validations=1",
        "progress=false",
    ]
    assert main(["backtest", "experiment=etth1", *small]) == 0
    (folder,) = run_folders("backtest")
    cv = pd.read_parquet(folder / "forecasts.parquet")
    assert cv["cutoff"].nunique() == 2880 - 2870 + 1
    assert cv["ds"].max() == stamps[14_399] and cv["cutoff"].min() == stamps[11_519]
    train = y[0][:8640]
    actual = cv.loc[cv["unique_id"] == "a"].groupby("ds")["y"].first()
    np.testing.assert_allclose(actual, (y[0][11_520:14_400] - train.mean()) / train.std())


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


def untrained(monkeypatch) -> None:
    """From here on, training or forecasting at all is a failure of the test."""
    from forecast import commands
    from forecast.baselines.local import LocalModel
    from forecast.training.neural import Neural

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained before the settings were checked")

    monkeypatch.setattr(Neural, "fit", refuse)
    monkeypatch.setattr(LocalModel, "fit", refuse)
    monkeypatch.setattr(commands, "backtest", refuse)


def test_the_quantiles_of_the_help_work_with_the_levels_asked_for():
    arguments = ["backtest", "data=airpassengers", *NET, *TINY, "baselines=[]", "model.quantiles=[0.1,0.9]"]
    assert main(arguments) == 0
    (folder,) = run_folders("backtest")
    assert {"lstm-lo-95", "lstm-hi-80"} <= set(pd.read_parquet(folder / "forecasts.parquet").columns)


def test_a_saved_net_with_quantiles_forecasts_the_usual_levels(table):
    assert main(["fit", f"data={table}", "h=3", *NET, *TINY, "model.quantiles=[0.2]", "output=m"]) == 0
    assert main(["predict", "model=m", "output=out.csv"]) == 0
    assert "lstm-lo-95" in pd.read_csv("out.csv").columns
    assert Forecaster.load("m").models["lstm"].architecture.quantiles == (0.025, 0.1, 0.2, 0.9, 0.975)


BAD_SETTINGS = {
    "refit=no": "refit='no' must be true or false",
    "progress=off": "progress='off' must be true or false",
    "report.enabled=0": "report.enabled=0 must be true or false",
    "val_size=-1": "val_size=-1",
    "val_size=2.5": "val_size=2.5",
    "n_windows=0": "n_windows=0",
    "step_size=x": "step_size='x'",
    "seed=-1": "seed=-1",
    "seed=2147483648": "seed=2147483648",
    "seed=null": "seed=None",
    "level=[120]": "level=[120]",
    "baselines=naive": "must be a list of names",
    "model.hidden_size=0": "hidden_size=0",
    "model.dropout=1.5": "dropout=1.5",
    "data.input_size=-3": "input_size=-3",
    "data.season_length=0": "season_length=0",
    "trainer.max_steps=2.5": "max_steps=2.5",
    "h=5000000": "h=5000000",
}


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_a_setting_that_cannot_be_used_is_refused_before_training(setting, capsys, monkeypatch):
    untrained(monkeypatch)
    assert main(["backtest", "data=airpassengers", *NET, *TINY, setting]) == 2
    assert BAD_SETTINGS[setting] in capsys.readouterr().err


def test_a_place_that_cannot_be_saved_to_is_refused_before_training(capsys, monkeypatch):
    untrained(monkeypatch)
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("x")
    assert main(["fit", "data=nile", *NET, *TINY, "output=mine"]) == 6
    assert "thesis.txt" in capsys.readouterr().err


def test_a_horizon_past_the_calendar_is_refused_before_training(capsys, monkeypatch):
    untrained(monkeypatch)
    assert main(["fit", "data=airpassengers", *NET, *TINY, "h=100000"]) == 2
    assert "9999" in capsys.readouterr().err


def test_a_table_of_an_unknown_kind_is_refused_before_the_model_is_read(capsys):
    assert main(["predict", "model=nowhere", "output=x.xlsx"]) == 2
    assert "x.xlsx: write to a .csv or a .parquet" in capsys.readouterr().err


@pytest.mark.parametrize("name", [r"a\b.csv", r"${oc.env:HOME}\'a.csv", 'a,b="c".csv'])
def test_a_file_is_found_whatever_it_is_called(name, frame, capsys):
    frame.to_csv(name, index=False)
    for more in ([], ["-m", "seed=1,2"]):
        assert main(["fit", *more, f"data={name}", "h=2", *NET, *TINY, f"output={name} model"]) == 0
    assert main(["predict", f"model={name} model", f"data={name}", f"output=out {name}"]) == 0
    assert len(pd.read_csv(f"out {name}")) == 6


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["\\", "'", '"', "${", "}", "$", "{", ":", "a", ",", "=", " "]), max_size=8).map("".join)
)
def test_any_text_comes_through_the_quotes_unchanged(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    (override,) = OverridesParser.create().parse_overrides([f"data.path={_quoted(text)}"])
    assert OmegaConf.to_container(OmegaConf.create({"path": override.value()}), resolve=True) == {"path": text}


def test_null_for_a_file_means_the_default():
    assert main(["fit", "data=nile", *NET, *TINY, "output=null"]) == 0
    (folder,) = run_folders("fit")
    assert main(["predict", f"model={folder / 'model'}", "data=null", "output=null"]) == 0
    assert not Path("null").exists()


def test_a_job_that_fails_does_not_stop_the_sweep(capsys, monkeypatch):
    from forecast import commands

    real = commands.backtest

    def sometimes(models, panel, task, *rest, **more):
        if task.seed == 2:
            raise ValueError("unlucky number")
        return real(models, panel, task, *rest, **more)

    monkeypatch.setattr(commands, "backtest", sometimes)
    sweep = ["backtest", "-m", "data=nile", *NET, *TINY, "baselines=[]", "report.enabled=false"]
    assert main([*sweep, "h=4,0", "seed=2,3"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["forecast"] * 3
    assert "job 0" in lines[0] and "seed=2" in lines[0] and "ValueError: unlucky number" in lines[0]
    assert "job 2" in lines[1] and "h=0 must be" in lines[1]
    assert len(list(Path("runs/backtest-sweep").glob("*/*/run.json"))) == 1
