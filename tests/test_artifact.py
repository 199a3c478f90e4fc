"""Saved models: bit-equal after loading, whole or refused, and never a way to run code."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import ArtifactError, Forecaster, atomic
from forecast import artifact as artifacts
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
    import hashlib

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
    import hashlib

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
    import hashlib

    import safetensors.numpy

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
