"""What may befall a training and the saving of a model: afterwards the last good one loads, or the next run goes on."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from forecast import ArtifactError, ConfigError, Forecaster, ForecastWarning, Training, TrainingError, atomic
from forecast.errors import StorageError
from forecast.models import LSTM, SegRNN
from forecast.training import keeper as keepers
from forecast.training import module as modules
from forecast.training.keeper import Keeper
from tests.conftest import seasonal_frame
from tests.fault_process import Forks, fit
from tests.training.interruption import killed_once_saved

KILL, TERM, INT = int(signal.SIGKILL), int(signal.SIGTERM), int(signal.SIGINT)
NET = SegRNN(input_size=12, segment=4, hidden_size=8)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    server = Forks()
    yield server
    server.end()


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """What an uninterrupted training gives."""
    return fit()


def checkpoints(folder: Path) -> list[Path]:
    return list(folder.glob("*/training.safetensors"))


@pytest.mark.parametrize(
    "strike",
    [
        ["write", 1, KILL, "half"],
        ["write", 3, KILL, "half"],
        ["replace", 1, KILL, "before"],
        ["replace", 1, KILL, "after"],
        ["replace", 3, KILL, "before"],
        ["replace", 3, KILL, "after"],
        ["step", 9, KILL, "before"],
    ],
    ids=lambda strike: "-".join(map(str, strike)),
)
def test_a_training_killed_while_it_saves_leaves_a_whole_checkpoint_and_the_next_goes_on(
    strike, forks, golden, tmp_path
):
    assert forks("fit", folder=str(tmp_path), strike=strike) == {"signal": KILL}
    found = checkpoints(tmp_path)
    assert len(found) == (0 if strike[:2] in (["write", 1], ["replace", 1]) and strike[3] != "after" else 1)
    for path in found:
        facts, tensors = keepers._read(path)
        assert 0 < facts["step"] < 28 and all(torch.isfinite(value).all() for value in tensors.values())
    again = forks("fit", folder=str(tmp_path))
    assert again["digest"] == golden["digest"] and again["steps"] == 28 and again["warnings"] == []


@pytest.mark.parametrize(("signum", "code"), [(TERM, 143), (INT, 130)])
@pytest.mark.parametrize(
    "place", [["step", 1], ["step", 11], ["checkpoint", 2]], ids=lambda place: "-".join(map(str, place))
)
def test_a_signal_ends_a_training_with_its_exit_code_and_the_next_resumes_bit_for_bit(
    place, signum, code, forks, tmp_path
):
    seasonal_frame().to_csv(tmp_path / "rows.csv", index=False)
    small = ["trainer.max_steps=20", "trainer.batch_size=8", "trainer.cycles=2", "trainer.validations=3"]
    words = ["fit", "data=rows.csv", "h=3", "model=lstm", "model.hidden_size=4", "data.input_size=12", "progress=false"]
    words += [*small, "trainer.patience=null", "trainer.threads=1"]
    here = {"folder": str(tmp_path)}
    answer = forks(
        "command", words=[*words, "trainer.checkpoint_dir=ck", "output=m"], strike=[*place, signum, "after"], **here
    )
    assert answer.get("code") == code, answer
    assert not (tmp_path / "m").exists()
    assert list(tmp_path.rglob("*.tmp")) == []
    assert len(checkpoints(tmp_path / "ck")) == (place != ["step", 1])
    assert forks("command", words=[*words, "trainer.checkpoint_dir=ck", "output=m"], **here)["code"] == 0
    assert forks("command", words=[*words, "output=whole"], **here)["code"] == 0
    resumed, whole = Forecaster.load(tmp_path / "m"), Forecaster.load(tmp_path / "whole")
    for name, value in whole._fitted["lstm"].net.state_dict().items():
        assert torch.equal(resumed._fitted["lstm"].net.state_dict()[name], value), name
    pd.testing.assert_frame_equal(resumed.predict(), whole.predict(), check_exact=True)


@pytest.mark.parametrize("signum", [TERM, INT])
def test_a_signal_in_the_training_of_a_job_ends_it_at_once_and_the_next_run_is_whole(signum, forks, tmp_path):
    seasonal_frame(series=2, freq="D").to_csv(tmp_path / "rows.csv", index=False)
    training = {"batch_size": 8, "cycles": 1, "validations": 1}
    settings = {"input_size": 12, "hidden_size": 4}
    net = {"name": "lstm", "max_steps": 20, "training": training, "settings": settings, "gate": {"enabled": False}}
    job = {"name": "sales", "h": 3, "freq": "D", "source": {"files": "rows.csv", "patience": 0}, "model": net}
    job |= {"sink": {"folder": "out"}, "folder": "home", "watch": {"enabled": False}, "progress": False}
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    order = {"words": ["batch", "job=job.yaml", "as_of=2015-02-20"], "folder": str(tmp_path)}
    answer = forks("command", strike=["step", 5, signum, "after"], **order)
    assert answer["code"] == 128 + signum and "stopped by" in answer["log"], answer
    assert not list((tmp_path / "out").rglob("*.parquet")) and not list(tmp_path.rglob("*.tmp"))
    again = forks("command", **order)
    assert again["code"] == 0, again
    (table,) = (tmp_path / "out" / "sales").rglob("forecasts.parquet")
    assert set(pd.read_parquet(table)["source"]) == {"lstm"}


def test_ctrl_c_stays_what_it_is_for_those_who_train_in_a_notebook(frame, quick, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(modules.ForecastModule, "training_step", interrupted)
    forecaster = Forecaster(NET, h=3, training=quick, progress=False)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(frame)
    assert signal.getsignal(signal.SIGINT) is before and not forecaster._fitted


def test_a_model_whose_saving_is_killed_anywhere_is_the_old_one_or_the_new_one(forks, tmp_path, frame, quick):
    old = Forecaster(NET, h=3, training=quick, progress=False).fit(frame)
    new = Forecaster(LSTM(input_size=12, hidden_size=4), h=3, training=quick, progress=False).fit(frame.iloc[:-1])
    source, target = new.save(tmp_path / "new"), tmp_path / "target"
    forecasts = {"segrnn": old.predict(), "lstm": new.predict()}
    places = [
        [place, number, KILL, when]
        for number in (1, 2, 3)
        for place, when in (("write", "half"), ("replace", "before"), ("replace", "after"))
    ]
    seen = []
    for strike in places:
        shutil.rmtree(target, ignore_errors=True)
        old.save(target)
        assert forks("save", source=str(source), target=str(target), strike=strike) == {"signal": KILL}, strike
        loaded = Forecaster.load(target)
        (name,) = loaded.models
        pd.testing.assert_frame_equal(loaded.predict(), forecasts[name], check_exact=True)
        seen.append(name)
        assert forks("save", source=str(source), target=str(target))["code"] == 0
        pd.testing.assert_frame_equal(Forecaster.load(target).predict(), forecasts["lstm"], check_exact=True)
    assert seen == ["segrnn"] * 8 + ["lstm"]  # the manifest is the last of three files


def failing(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "no room"), (errno.EROFS, "access is refused"), (errno.EIO, "Input/output")]
)
def test_a_disk_that_refuses_a_checkpoint_or_a_model_is_named_with_what_is_needed(
    code, words, tmp_path, frame, quick, monkeypatch
):
    target = tmp_path / "m"
    fitted = Forecaster(NET, h=3, training=quick, progress=False).fit(frame)
    fitted.save(target)
    whole = {path.name: path.read_bytes() for path in target.iterdir()}
    other = Forecaster(NET, h=3, training=quick, seed=5, progress=False).fit(frame)

    def refused(self: Path, data: bytes) -> None:
        raise failing(code)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refused)
        with pytest.raises(StorageError, match=rf"{tmp_path}/m'.*{words}") as caught:
            other.save(target)
        training = Training(max_steps=2, batch_size=8, cycles=1, validations=1, checkpoint_dir=str(tmp_path / "ck"))
        with pytest.raises(StorageError, match=rf"training\.safetensors'.*{words}"):
            Forecaster(NET, h=3, training=training, progress=False).fit(frame)
    assert code != errno.ENOSPC or "bytes are needed" in str(caught.value)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == whole
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize("name", ["model.json", "model-", "history-"])
def test_a_disk_that_fails_to_read_a_model_is_told_and_its_file_named(name, tmp_path, frame, quick, monkeypatch):
    target = Forecaster(NET, h=3, training=quick, progress=False).fit(frame).save(tmp_path / "m")
    real = io.open

    def broken(file: Any, *args: Any, **options: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and Path(file).name.startswith(name):
            raise failing(errno.EIO)
        return real(file, *args, **options)

    monkeypatch.setattr(io, "open", broken)
    with pytest.raises(ArtifactError, match=rf"{name}.*cannot be read \(Input/output error\)"):
        Forecaster.load(target)


def test_a_checkpoint_that_the_disk_fails_to_read_is_told_and_training_starts_anew(tmp_path, frame, quick, monkeypatch):
    from dataclasses import replace

    training = replace(quick, checkpoint_dir=str(tmp_path))
    expected = Forecaster(NET, h=3, training=training, progress=False).fit(frame).predict()

    def broken(path: Path) -> None:
        raise failing(errno.EIO)

    monkeypatch.setattr(keepers, "_read", broken)
    with pytest.warns(ForecastWarning, match="cannot be read.*Input/output error"):
        again = Forecaster(NET, h=3, training=training, progress=False).fit(frame)
    pd.testing.assert_frame_equal(again.predict(), expected, check_exact=True)


def test_no_flipped_bit_of_a_checkpoint_is_ever_trained_on(tmp_path, monkeypatch):
    with killed_once_saved(monkeypatch, 8):
        fit(str(tmp_path))
    (path,) = checkpoints(tmp_path)
    original = path.read_bytes()
    facts, tensors = keepers._read(path)
    keeper = Keeper(None, path.parent, facts["fingerprint"])
    header = 8 + int.from_bytes(original[:8], "little")
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, 8, 4), *rng.integers(8, header, 60), *rng.integers(header, len(original), 60)]
    for place in places:
        flipped = bytearray(original)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(flipped))
        with pytest.warns(ForecastWarning, match="cannot be read"):
            assert keeper._load() is None, f"bit flipped in byte {place}"
    for length in (0, 7, 100, header, len(original) - 1):
        path.write_bytes(original[:length])
        with pytest.warns(ForecastWarning, match="cannot be read"):
            assert keeper._load() is None
    path.write_bytes(original)
    found = keeper._load()
    assert found is not None and found[1].keys() == tensors.keys()


def test_a_checkpoint_without_a_checksum_is_not_trusted(tmp_path, monkeypatch):
    with killed_once_saved(monkeypatch, 8):
        fit(str(tmp_path))
    (path,) = checkpoints(tmp_path)
    facts, tensors = keepers._read(path)
    path.write_bytes(safetensors.torch.save(tensors, metadata={"training": json.dumps(facts)}))
    with pytest.warns(ForecastWarning, match="its checksum does not match"):
        assert Keeper(None, path.parent, facts["fingerprint"])._load() is None


@pytest.mark.parametrize(
    "name", ["../../out", "/out", "a/b", "..", "a\0b", "CON", "~", "x" * 300, "-rf", "..%2f", "Größe 💥"]
)
def test_no_name_of_a_model_leads_a_checkpoint_or_a_log_out_of_its_folder(name, tmp_path, frame, quick):
    from dataclasses import replace

    place = tmp_path / "deep" / "er"
    training = replace(quick, checkpoint_dir=str(place / "ck"), log_dir=str(place / "log"))
    Forecaster({name: NET}, h=3, training=training, progress=False).fit(frame)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"training.safetensors", "metrics.csv"}
    assert {path.parent.parent for path in files} == {place / "ck", place / "log"}


@pytest.mark.parametrize("big", [1e38, 1e200])
def test_a_value_of_absurd_size_does_not_make_forecasts_that_are_none(big, frame, quick):
    wild = frame.copy()
    wild.loc[30, "y"] = big
    with pytest.warns(ForecastWarning, match="1 value of 1 series lies absurdly far from the others"):
        out = Forecaster(NET, h=3, training=quick, progress=False).fit(wild).predict(level=[80])
    assert np.isfinite(out.iloc[:, 2:].to_numpy()).all()


def test_an_exploding_training_publishes_nothing_and_the_command_fails(tmp_path, monkeypatch, capsys):
    from forecast.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modules, "weighted_mean", lambda errors, weight: (errors * float("inf")).sum())
    seasonal_frame().to_csv("rows.csv", index=False)
    words = ["fit", "data=rows.csv", "h=3", "model=lstm", "model.hidden_size=4", "data.input_size=12", "progress=false"]
    assert main([*words, "trainer.max_steps=4", "trainer.batch_size=8", "trainer.checkpoint_dir=ck", "output=m"]) == 5
    told = capsys.readouterr().err
    assert "at step 0" in told and "no model was made" in told and "learning_rate" in told
    assert not Path("m").exists() and checkpoints(Path("ck")) == []


@pytest.mark.parametrize("net", [NET, LSTM(input_size=12, hidden_size=4)], ids=["segrnn", "lstm"])
def test_a_learning_rate_of_a_thousand_ends_in_finite_forecasts_or_in_a_clear_error(net, frame):
    wild = Training(max_steps=30, batch_size=8, cycles=1, validations=3, patience=None, learning_rate=1e3)
    assert wild.gradient_clip is not None  # by default
    forecaster = Forecaster(net, h=3, training=wild, progress=False)
    said = ""
    try:
        forecaster.fit(frame)
    except TrainingError as error:
        said = str(error)
    if said:
        assert "learning_rate" in said and "no model was made" in said and not forecaster._fitted
    else:
        (fitted,) = forecaster._fitted.values()
        assert all(np.isfinite(point["gradient_norm"]) for point in fitted.history["curves"])
        assert np.isfinite(forecaster.predict().iloc[:, 2:].to_numpy()).all()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_memory_that_runs_out_in_training_says_what_to_lower(error, frame, quick, monkeypatch):
    def exhausted(*_: object) -> None:
        raise error

    monkeypatch.setattr(modules.ForecastModule, "training_step", exhausted)
    with pytest.raises(
        TrainingError, match=r"Memory ran out while training with batch_size=8; no model was made\. Lower"
    ):
        Forecaster(NET, h=3, training=quick, progress=False).fit(frame)


def test_an_accelerator_that_is_not_there_is_named(frame, quick):
    from dataclasses import replace

    with pytest.raises(ConfigError, match=r"accelerator='tpu' cannot be used on this machine.*accelerator='cpu'"):
        Forecaster(NET, h=3, training=replace(quick, accelerator="tpu"), progress=False).fit(frame)


def test_training_has_no_worker_processes_that_could_die():
    """Batches are gathered from arrays in this process; data loaders with workers are what hangs when one is killed."""
    source = Path(keepers.__file__).parents[1]
    named = [
        path.relative_to(source).as_posix()
        for path in sorted(source.rglob("*.py"))
        if any(word in path.read_text(encoding="utf-8") for word in ("num_workers", "DataLoader(", "utils.data"))
    ]
    assert named == []


def test_threads_and_process_change_no_bit_of_a_training(forks, golden):
    for model in ("segrnn", "lstm"):
        one, many = (forks("fit", model=model, threads=threads) for threads in (1, 8))
        assert one["digest"] == many["digest"], model
    assert forks("fit")["digest"] == golden["digest"]


def test_writes_are_synced_before_they_are_named(tmp_path, frame, quick, monkeypatch):
    """What a power cut would lose has not been named yet: file, name, folder, and the manifest after its parts."""
    log: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        log.append("folder" if os.path.isdir(path) else "file")
        fsync(descriptor)

    def spy_replace(source: Any, target: Any) -> None:
        log.append(Path(target).name.partition("-")[0])
        replace(source, target)

    fitted = Forecaster(NET, h=3, training=quick, progress=False).fit(frame)
    monkeypatch.setattr(atomic.os, "fsync", spy_fsync)
    monkeypatch.setattr(atomic.os, "replace", spy_replace)
    fitted.save(tmp_path / "m")
    assert log == ["file", "model", "folder", "file", "history", "folder", "file", "model.json", "folder"]
