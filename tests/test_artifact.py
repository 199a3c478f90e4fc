"""Saved models: bit-equal after loading, whole or refused, and never a way to run code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from forecast import ArtifactError, Forecaster, Training, atomic
from forecast import artifact as artifacts
from forecast.errors import StorageError
from forecast.models import LSTM, SegRNN


@pytest.fixture(scope="module")
def saved(frame, quick, tmp_path_factory) -> Path:
    models = {"net": SegRNN(input_size=12, segment=4, hidden_size=8), "seasonal_naive": "seasonal_naive"}
    forecaster = Forecaster(models, h=3, training=quick, progress=False).fit(frame)
    return forecaster.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def weights_file(folder: Path) -> Path:
    return next(folder.glob("model-*.safetensors"))


def edit(folder: Path, change) -> None:
    """Change the manifest as a forger would: with a fresh checksum."""
    path = folder / "model.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["checksum"] = artifacts._checksum(manifest)
    path.write_text(json.dumps(manifest))


def test_a_loaded_forecaster_predicts_bit_for_bit_the_same(frame, quick, tmp_path):
    for model in (LSTM(input_size=12, hidden_size=8), LSTM(input_size=12, hidden_size=8, quantiles=(0.1, 0.9))):
        fitted = Forecaster(model, h=3, training=quick, progress=False).fit(frame)
        loaded = Forecaster.load(fitted.save(tmp_path / "m"))
        pd.testing.assert_frame_equal(loaded.predict(level=[80]), fitted.predict(level=[80]), check_exact=True)


def test_saving_a_loaded_model_gives_the_same_bytes(saved, tmp_path):
    again = Forecaster.load(saved).save(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == {p.name: p.read_bytes() for p in again.iterdir()}


def test_a_new_model_replaces_the_old_one_and_leaves_no_litter(saved, copy, frame, quick):
    Forecaster(LSTM(input_size=12, hidden_size=4), h=3, training=quick, progress=False).fit(frame).save(copy)
    assert list(Forecaster.load(copy).models) == ["lstm"]
    assert len(list(copy.iterdir())) == 3


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_crash_at_any_write_leaves_the_old_model_whole(copy, frame, quick, monkeypatch, failing):
    before = Forecaster.load(copy).predict()
    new = Forecaster(LSTM(input_size=12, hidden_size=4), h=3, training=quick, progress=False, seed=9).fit(
        frame.iloc[:-1]
    )
    calls = 0
    replace = atomic.os.replace

    def crash(source, target):
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", crash)
        with pytest.raises(OSError, match="No space"):
            new.save(copy)
    pd.testing.assert_frame_equal(Forecaster.load(copy).predict(), before, check_exact=True)
    assert not list(copy.glob("*.tmp"))


def test_no_flipped_bit_is_ever_taken_for_a_model(copy):
    rng = np.random.default_rng(0)
    for path in sorted(copy.iterdir()):
        original = path.read_bytes()
        for position in rng.integers(0, len(original), 70):
            flipped = bytearray(original)
            flipped[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(flipped))
            with pytest.raises(ArtifactError):
                Forecaster.load(copy)
        path.write_bytes(original)
    Forecaster.load(copy)


def test_a_digit_that_does_not_change_its_number_is_noticed_too(copy):
    path = copy / "model.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(\d\.\d+)", r"\g<1>0", text, count=1), encoding="utf-8")
    with pytest.raises(ArtifactError, match="damaged"):
        Forecaster.load(copy)


def test_no_truncated_file_is_ever_taken_for_a_model(copy):
    for path in sorted(copy.iterdir()):
        original = path.read_bytes()
        for share in (0.0, 0.3, 0.9, 0.999):
            path.write_bytes(original[: int(len(original) * share)])
            with pytest.raises(ArtifactError):
                Forecaster.load(copy)
        path.write_bytes(original)


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pkl", "model.pt", "model.safetensors", "alias_to_model.pkl"])
def test_a_pickle_beside_the_model_is_never_opened(copy, tmp_path, name):
    canary = tmp_path / "canary"
    (copy / name).write_bytes(pickle.dumps(Canary(canary)))
    Forecaster.load(copy)
    assert not canary.exists()


def test_a_pickle_in_place_of_the_weights_is_refused_unopened(copy, tmp_path):
    canary = tmp_path / "canary"
    payload = pickle.dumps(Canary(canary))
    path = weights_file(copy)
    path.write_bytes(payload)
    digest = hashlib.sha256(payload).hexdigest()
    edit(copy, lambda m: m["files"]["model"].update(sha256=digest, bytes=len(payload)))
    with pytest.raises(ArtifactError, match="safetensors"):
        Forecaster.load(copy)
    assert not canary.exists()


@pytest.mark.parametrize(
    "target", ["os.system", "system", "subprocess.Popen", "builtins.eval", "__import__", "Neural", ""]
)
def test_a_foreign_class_is_never_built(copy, target):
    edit(copy, lambda m: m["facts"]["models"][0].update({"class": target, "_target_": "os.system"}))
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "a/b.safetensors",
        "model.safetensors",
        "..",
        "model-0000000000000000.safetensors\0",
        3,
        None,
    ],
)
def test_a_file_name_that_leads_elsewhere_is_refused(copy, name):
    edit(copy, lambda m: m["files"]["model"].update(name=name))
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


def test_a_link_in_place_of_the_weights_is_refused(copy, saved):
    path = weights_file(copy)
    path.unlink()
    path.symlink_to(weights_file(saved))
    with pytest.raises(ArtifactError, match="plain file"):
        Forecaster.load(copy)


def test_a_header_that_claims_ten_gigabytes_is_refused(copy):
    path = weights_file(copy)
    data = struct.pack("<Q", 10 * 2**30) + b"{}"
    path.write_bytes(data)
    edit(copy, lambda m: m["files"]["model"].update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)))
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_size", 10**9), ("hidden_size", 9), ("hidden_size", "8"), ("hidden_size", -1), ("unheard_of", 1)],
)
def test_hyper_parameters_that_do_not_fit_the_weights_are_refused(copy, key, value):
    edit(copy, lambda m: m["facts"]["models"][0]["hyper_parameters"].update({key: value}))
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


@pytest.mark.parametrize("key", ["input_size", "h", "channels"])
def test_facts_that_do_not_fit_the_weights_are_refused(copy, key):
    edit(copy, lambda m: m["facts"]["models"][0]["facts"].update({key: 10**12}))
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


def test_weights_that_are_not_finite_are_refused(copy):
    path = weights_file(copy)
    arrays = {k: v.copy() for k, v in safetensors.numpy.load_file(path).items()}
    arrays["0.net.project.bias"][0] = np.nan
    data = safetensors.numpy.save(arrays)
    path.write_bytes(data)
    edit(copy, lambda m: m["files"]["model"].update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)))
    with pytest.raises(ArtifactError, match=r"project.bias.*NaN"):
        Forecaster.load(copy)


def test_another_format_version_gives_a_clear_message(copy):
    edit(copy, lambda m: m.update(format=99))
    with pytest.raises(ArtifactError, match="format 99, this version reads 1"):
        Forecaster.load(copy)


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}", '{"format": 1}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(copy, content):
    (copy / "model.json").write_text(content)
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"model.json is missing"):
        Forecaster.load(tmp_path)


def test_a_folder_with_other_files_is_not_written_to(saved, tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(ArtifactError, match="thesis.txt"):
        Forecaster.load(saved).save(tmp_path)


def test_a_link_is_not_written_through(saved, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ArtifactError, match="folder of its own"):
        Forecaster.load(saved).save(tmp_path / "link")


def test_the_manifest_tells_what_the_model_is(saved):
    facts = artifacts.read_manifest(saved)["facts"]
    net = facts["models"][0]
    assert net["class"] == "SegRNN"
    assert net["hyper_parameters"]["hidden_size"] == 8
    assert net["history"]["steps"] == 2
    assert facts["task"]["h"] == 3
    assert facts["timeline"]["freq"] == "MS"
    assert "torch" in facts["versions"]


def _net(quick, frame, seed: int, size: int = 4) -> Forecaster:
    return Forecaster(LSTM(input_size=12, hidden_size=size), h=3, training=quick, progress=False, seed=seed).fit(frame)


def test_savers_and_readers_at_once_never_meet_a_broken_model(tmp_path, frame, quick):
    folder = tmp_path / "m"
    several = [_net(quick, frame, seed) for seed in range(3)]
    several[0].save(folder)
    failures: list[BaseException] = []

    def work(action) -> None:
        try:
            for _ in range(15):
                action()
        except (ArtifactError, OSError) as error:
            failures.append(error)

    actions = [*(lambda f=f: f.save(folder) for f in several), *[lambda: Forecaster.load(folder)] * 2]
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(folder.iterdir())) == 3
    Forecaster.load(folder)


def test_a_part_taken_away_before_the_manifest_is_written_is_written_again(tmp_path, frame, quick, monkeypatch):
    """The race of two savers where the folder cannot be locked: the other one's tidying up removes our part."""
    write, calls = artifacts.write_bytes, []

    def write_and_lose(path: Path, data: bytes) -> None:
        write(path, data)
        calls.append(path)
        if len(calls) == 2:
            calls[0].unlink()

    monkeypatch.setattr(artifacts, "write_bytes", write_and_lose)
    Forecaster.load(_net(quick, frame, 1).save(tmp_path / "m"))
    assert len(calls) == 3


def test_a_reader_overtaken_by_a_saver_reads_the_new_model(copy, frame, quick, monkeypatch):
    new = _net(quick, frame, 1)
    read_part, overtaken = artifacts._read_part, []

    def overtake(folder, entry):
        if not overtaken:
            overtaken.append(True)
            new.save(copy)
        return read_part(folder, entry)

    monkeypatch.setattr(artifacts, "_read_part", overtake)
    assert list(Forecaster.load(copy).models) == ["lstm"]


def test_a_missing_part_is_named(copy):
    weights_file(copy).unlink()
    with pytest.raises(ArtifactError, match=r"model-.* is missing"):
        Forecaster.load(copy)


@dataclass(frozen=True)
class MyNet:
    """An architecture of one's own: fits and forecasts, but no class that loading would build."""

    input_size: int | None = 12
    quantiles: tuple[float, ...] = ()

    def build(self, facts):
        return LSTM(12, 4).build(facts)


def test_a_class_of_ones_own_forecasts_but_is_not_saved(tmp_path, frame, quick):
    fitted = Forecaster(MyNet(), h=3, training=quick, progress=False).fit(frame)
    assert len(fitted.predict()) == 9
    with pytest.raises(ArtifactError, match=r"MyNet is a class of your own.*use a class of ours"):
        fitted.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_numpy_numbers_are_saved_as_plain_ones(tmp_path, frame):
    training = Training(
        max_steps=np.int64(2), batch_size=np.int32(8), cycles=1, validations=1, learning_rate=np.float32(0.01)
    )
    model = LSTM(input_size=np.int64(12), hidden_size=np.int64(4), quantiles=list(np.array([0.1, 0.9])))
    fitted = Forecaster(model, np.int64(3), seed=np.int64(5), training=training, progress=np.False_).fit(frame)
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)
    assert loaded.models["lstm"].architecture == LSTM(input_size=12, hidden_size=4, quantiles=(0.1, 0.9))


def test_ids_that_no_encoding_knows_are_refused_in_words(tmp_path, frame):
    odd = frame.assign(unique_id="\ud800" + frame["unique_id"].astype(object))
    with pytest.raises(ArtifactError, match="half a character"):
        Forecaster("naive", h=1, progress=False).fit(odd).save(tmp_path / "m")


def test_a_place_below_a_file_is_refused(saved, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="below a file"):
        artifacts.check_place(tmp_path / "file" / "model")


def forge_arrays(folder: Path, group: str, change) -> None:
    """Change arrays as a forger would: saved again under a correct checksum."""
    path = next(folder.glob(f"{group}-*.safetensors"))
    arrays = {k: v.copy() for k, v in safetensors.numpy.load_file(path).items()}
    change(arrays)
    replace_part(folder, group, safetensors.numpy.save(arrays))


def replace_part(folder: Path, group: str, data: bytes) -> None:
    next(folder.glob(f"{group}-*.safetensors")).write_bytes(data)
    edit(folder, lambda m: m["files"][group].update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)))


def json_bytes(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


INF, NAN = np.inf, np.nan
FORGED_HISTORY = {
    "ids that are not JSON": lambda a: a.update(ids=np.frombuffer(b"[1, 2", dtype=np.uint8)),
    "ids that are not UTF-8": lambda a: a.update(ids=np.frombuffer(b'["\xff\xfe", "b", "c"]', dtype=np.uint8)),
    "ids nested": lambda a: a.update(ids=json_bytes([["a"], ["b"], ["c"]])),
    "ids nested too deep": lambda a: a.update(ids=np.frombuffer(b"[" * 100_000, dtype=np.uint8)),
    "ids no list": lambda a: a.update(ids=json_bytes("abc")),
    "ids twice": lambda a: a.update(ids=json_bytes(["a", "a", "b"])),
    "ids null": lambda a: a.update(ids=json_bytes([None, "a", "b"])),
    "ids fractions": lambda a: a.update(ids=json_bytes([0.5, 1.5, 2.5])),
    "ids too few": lambda a: a.update(ids=json_bytes(["a", "b"])),
    "ids none": lambda a: a.update(ids=json_bytes([]), offsets=np.zeros(1, np.int64), first=np.zeros(0, np.int64)),
    "ids of floats": lambda a: a.update(ids=np.zeros(3)),
    "ids gone": lambda a: a.pop("ids"),
    "offsets not from 0": lambda a: a["offsets"].__setitem__(0, 1),
    "offsets decreasing": lambda a: a["offsets"].__setitem__(1, 10**6),
    "offsets negative": lambda a: a["offsets"].__setitem__(1, -5),
    "offsets equal": lambda a: a["offsets"].__setitem__(1, 0),
    "offsets two-dimensional": lambda a: a.update(offsets=a["offsets"].reshape(2, 2)),
    "offsets a scalar": lambda a: a.update(offsets=np.array(3)),
    "offsets of floats": lambda a: a.update(offsets=a["offsets"].astype(float)),
    "first huge": lambda a: a["first"].__setitem__(0, 2**62),
    "first hugely negative": lambda a: a["first"].__setitem__(0, -(2**62)),
    "first after the year 9999": lambda a: a["first"].__setitem__(0, 12 * 9000),
    "first of the wrong shape": lambda a: a.update(first=a["first"][:2].copy()),
    "values unknown": lambda a: a.update(values=np.full_like(a["values"], NAN)),
    "values infinite": lambda a: a["values"].__setitem__(3, INF),
    "values two-dimensional": lambda a: a.update(values=a["values"][:, None].copy()),
    "values of another type": lambda a: a.update(values=a["values"].astype(np.float32)),
}


@pytest.mark.parametrize("case", FORGED_HISTORY)
def test_a_forged_history_is_refused(copy, case):
    forge_arrays(copy, "history", FORGED_HISTORY[case])
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


FORGED_WEIGHTS = {
    "intervals gone": lambda a: a.pop("0.intervals"),
    "intervals of another horizon": lambda a: a.update({"0.intervals": a["0.intervals"][:2].copy()}),
    "intervals flat": lambda a: a.update({"0.intervals": a["0.intervals"][0].copy()}),
    "intervals NaN": lambda a: a["0.intervals"].__setitem__((0, 5), NAN),
    "intervals infinite": lambda a: a["0.intervals"].__setitem__((0, -1), INF),
    "intervals negative": lambda a: a["0.intervals"].__setitem__((0, 0), -1.0),
    "intervals narrowing": lambda a: a["0.intervals"].__setitem__((0, -1), 0.0),
    "weights of another type": lambda a: a.update({"0.net.project.bias": a["0.net.project.bias"].astype(np.float64)}),
    "weights gone": lambda a: a.pop("0.net.project.bias"),
}


@pytest.mark.parametrize("case", FORGED_WEIGHTS)
def test_forged_weights_and_intervals_are_refused(copy, case):
    forge_arrays(copy, "model", FORGED_WEIGHTS[case])
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


def test_a_part_of_a_type_that_numpy_lacks_is_refused(copy):
    header = json.dumps({"0.net.x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    replace_part(copy, "model", struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


def at(*path):
    """A change of the manifest: the last of ``path`` is the new value of the key before it."""

    def change(manifest) -> None:
        *keys, last, value = path
        place = manifest["facts"]
        for key in keys:
            place = place[key]
        place[last] = value

    return change


FORGED_FACTS = {
    f"{'.'.join(map(str, path[:-1]))}={path[-1]!r}": at(*path)
    for path in [
        ("models", []),
        ("models", None),
        ("models", {}),
        ("models", 0, "text"),
        ("models", 0, "name", "y"),
        ("models", 0, "name", "cutoff"),
        ("models", 0, "name", "seasonal_naive"),
        ("models", 0, "name", None),
        ("models", 0, "name", ["a"]),
        ("models", 0, "kind", "weird"),
        ("models", 0, "kind", "local"),
        ("models", 0, "kind", None),
        ("models", 1, "kind", "neural"),
        ("models", 0, "class", "LSTM"),
        ("models", 0, "class", None),
        ("models", 0, "class", ["SegRNN"]),
        ("models", 0, "hyper_parameters", None),
        ("models", 0, "hyper_parameters", []),
        ("models", 0, "hyper_parameters", "quantiles", [0.1]),
        ("models", 0, "hyper_parameters", "quantiles", [[0.1]]),
        ("models", 0, "hyper_parameters", "dropout", 7.0),
        ("models", 0, "hyper_parameters", "num_layers", 10**6),
        ("models", 0, "hyper_parameters", "cell", "tardis"),
        ("models", 0, "facts", None),
        ("models", 0, "facts", "h", 2),
        ("models", 0, "facts", "channels", 3),
        ("models", 0, "facts", "seasons", [12.5]),
        ("models", 0, "facts", "seasons", [0]),
        ("models", 0, "facts", "seasons", "x"),
        ("models", 0, "facts", "probs", [0.5]),
        ("models", 0, "history", None),
        ("models", 0, "training", None),
        ("models", 0, "training", "batch_size", "many"),
        ("models", 0, "calibration_windows", "4"),
        ("models", 0, "calibration_windows", None),
        ("models", 0, "calibration_windows", -1),
        ("models", 0, "calibration_windows", True),
        ("task", None),
        ("task", "h", "4"),
        ("task", "h", 0),
        ("task", "h", 10**12),
        ("task", "season_length", 0),
        ("task", "seed", -1),
        ("task", "progress", "no"),
        ("schema", None),
        ("schema", "id_col", 3),
        ("schema", "id_col", "y"),
        ("timeline", None),
        ("timeline", "step", 0),
        ("timeline", "step", 2),
        ("timeline", "step", 10**300),
        ("timeline", "kind", "lunar"),
        ("timeline", "kind", "step"),
        ("timeline", "freq", "D"),
        ("timeline", "freq", 1),
        ("timeline", "tz", "Mars/Olympus"),
        ("timeline", "tz", "Europe"),
        ("timeline", "tz", "../../etc/passwd"),
        ("timeline", "tz", 5),
        ("timeline", "phase", 99),
        ("timeline", "time_of_day", -1),
    ]
}


@pytest.mark.parametrize("case", FORGED_FACTS)
def test_forged_facts_are_refused(copy, case):
    edit(copy, FORGED_FACTS[case])
    with pytest.raises(ArtifactError):
        Forecaster.load(copy)


@pytest.mark.parametrize("freq", ["h", "15min", "D", "2W-WED", "B", "MS", "ME", "QE-NOV", "2QS-FEB", "YE", "YS-MAR"])
@pytest.mark.parametrize("tz", [None, "Europe/Berlin", "UTC+01:00"])
def test_every_calendar_comes_back_from_a_folder(freq, tz, tmp_path):
    stamps = pd.date_range("2020-03-04", periods=12, freq=freq, tz=tz)
    fitted = Forecaster("naive", 2, freq, progress=False).fit(pd.DataFrame({"ds": stamps, "y": np.arange(12.0)}))
    loaded = Forecaster.load(fitted.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)


@pytest.mark.parametrize("links", [True, False])
def test_a_group_shared_with_another_artefact_is_whole_without_it(tmp_path, monkeypatch, links):
    big, small = np.arange(1000.0), np.arange(3)
    artifacts.write(tmp_path / "a", artifacts.Artifact({"day": 1}, {"rows": {"x": big}, "more": {"y": small}}))
    if not links:

        def refuse(*_):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    second = artifacts.Artifact({"day": 2}, {"more": {"y": small + 1}})
    for _ in range(2):  # the second time everything is there
        artifacts.write(tmp_path / "b", second, {"rows": tmp_path / "a"})
    files = [next((tmp_path / name).glob("rows-*")) for name in "ab"]
    assert files[0].samefile(files[1]) == links
    shutil.rmtree(tmp_path / "a")
    found = artifacts.read(tmp_path / "b")
    assert found.facts == {"day": 2} and found.arrays["rows"]["x"].tobytes() == big.tobytes()
    assert found.arrays["more"]["y"].tolist() == [1, 2, 3]
    assert len(list((tmp_path / "b").iterdir())) == 3


def test_a_group_that_is_gone_meanwhile_leaves_what_was_there(tmp_path):
    first = artifacts.Artifact({}, {"rows": {"x": np.arange(3)}})
    for name in "ab":
        artifacts.write(tmp_path / name, first)
    next((tmp_path / "a").glob("rows-*")).unlink()
    shutil.rmtree(tmp_path / "b")
    artifacts.write(tmp_path / "b", artifacts.Artifact({"old": True}, {}))
    with pytest.raises(StorageError):
        artifacts.write(tmp_path / "b", artifacts.Artifact({}, {}), {"rows": tmp_path / "a"})
    assert artifacts.read(tmp_path / "b").facts == {"old": True}
