"""The store of models: whole versions, one account of which was current when, damage told and never forecast with."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from forecast import Forecaster, artifact
from forecast.batch import points
from forecast.batch.models.journal import CURRENT, PREVIOUS
from forecast.batch.models.kept import Kept, model_hash, sample_of, saved_hash
from forecast.batch.models.store import ModelStore
from forecast.errors import ArtifactError, ConfigError
from forecast.models import as_model


def slot(day: int) -> datetime:
    return datetime(2024, 1, 1, 2, tzinfo=UTC) + timedelta(days=day)


def tick(moment: datetime):
    return lambda: moment


@pytest.fixture(scope="module")
def nets(panel, task, brief, net) -> list[Kept]:
    """Two trained nets that forecast differently."""
    model = as_model(net, "dlinear", brief)
    kept = []
    for length in (60, 70):
        past = panel.head(np.full(len(panel), length))
        kept.append(Kept("dlinear", model, model.fit(past, task), task, sample_of(past)))
    return kept


@pytest.fixture(scope="module")
def ready(nets, tmp_path_factory) -> Path:
    """A store where the second net has followed the first."""
    store = ModelStore(tmp_path_factory.mktemp("ready") / "models", clock=tick(slot(1)))
    for day, kept in enumerate(nets, 1):
        store.promote(store.publish(kept), slot=slot(day), reason=f"day {day}")
    return store.folder


@pytest.fixture
def copy(ready, tmp_path) -> ModelStore:
    shutil.copytree(ready, tmp_path / "models")
    return ModelStore(tmp_path / "models", clock=tick(slot(9)))


def test_a_version_forecasts_bit_for_bit_like_the_model_that_was_published(nets, ready, panel):
    store = ModelStore(ready)
    for kept, version in zip(nets, reversed(store.versions()), strict=True):
        loaded, made = (model.fitted.predict(panel, 4, (0.1, 0.9)) for model in (store.load(version), kept))
        assert np.array_equal(loaded.point, made.point) and np.array_equal(loaded.quantiles, made.quantiles)


def test_a_version_is_what_a_forecaster_saves_and_loads(ready):
    version = ModelStore(ready).versions()[0]
    assert list(Forecaster.load(ready / "versions" / version).models) == ["dlinear"]


def test_a_version_holds_no_more_rows_than_it_needs(ready, panel):
    store = ModelStore(ready)
    kept = store.current().model
    assert len(kept.sample.values) == 1
    assert kept.trained_until(panel.timeline) == panel.last.max()


def test_the_hash_depends_on_the_model_and_not_on_when_it_was_saved_or_with_which_rows(tmp_path, frame, quick):
    forecaster = Forecaster("naive", h=3, training=quick, progress=False).fit(frame)
    whole = ModelStore(tmp_path / "a", clock=tick(slot(1))).publish(forecaster)
    again = ModelStore(tmp_path / "b", clock=tick(slot(500))).publish(Kept.load(forecaster.save(tmp_path / "saved")))
    assert whole == again == saved_hash(tmp_path / "saved")


def test_equal_trainings_are_one_model_however_long_they_took(panel, task, brief, net, tmp_path):
    model = as_model(net, "dlinear", brief)
    hashes = set()
    for number in range(2):
        kept = Kept("dlinear", model, model.fit(panel, task), task, sample_of(panel))
        kept.fitted.history["seconds"] = float(number)
        hashes.add(saved_hash(kept.save(tmp_path / str(number))))
    assert len(hashes) == 1


def test_a_store_nobody_has_written_to_is_empty(tmp_path):
    store = ModelStore(tmp_path / "none")
    assert store.current() is None and store.versions() == [] and store.last_good() is None
    assert store.describe()["current"] is None
    assert not store.folder.exists()


def test_publishing_alone_changes_nothing_that_a_run_sees(tmp_path, local):
    store = ModelStore(tmp_path)
    store.publish(local(7))
    assert store.current() is None


def test_a_run_of_the_past_uses_the_model_of_that_time(copy):
    new, old = copy.versions()
    assert copy.current().version == copy.current(slot(2)).version == copy.current(slot(99)).version == new
    assert copy.current(slot(1)).version == old
    assert copy.current(slot(0)) is None


def test_rollback_is_one_call_and_holds_for_every_slot(copy):
    new, old = copy.versions()
    assert copy.rollback("sales are too high") == old
    assert {copy.current(at).version for at in (None, slot(1), slot(2), slot(50))} == {old}
    assert copy.journal().entries[-1].reason == "sales are too high"
    states = {row["version"]: row["state"] for row in copy.describe()["versions"]}
    assert states == {new: "withdrawn", old: "current"}
    with pytest.raises(ArtifactError, match="no version to go back to"):
        copy.rollback()
    copy.promote(new, reason="it was the data")
    assert copy.current().version == new


def test_rolling_back_skips_what_cannot_be_loaded(tmp_path, local):
    store = ModelStore(tmp_path)
    versions = [store.publish(local(season)) for season in (5, 6, 7)]
    for day, version in enumerate(versions):
        store.promote(version, slot=slot(day))
    shutil.rmtree(tmp_path / "versions" / versions[1])
    assert store.rollback() == versions[0]
    found = store.current()
    assert found.version == versions[0] and versions[1] in found.reason


def test_promoting_what_is_not_there_is_refused(copy):
    with pytest.raises(ArtifactError, match="is not in"):
        copy.promote("0" * 16)
    for name in ("../x", "/etc/passwd", "a/b", "CON", "..%2f", "x\0y", "", "0" * 15, "0" * 16 + "\n"):
        with pytest.raises(ArtifactError, match="not the name of a version"):
            copy.promote(name)


def test_slots_without_a_zone_are_refused(copy):
    with pytest.raises(ConfigError, match="no time zone"):
        copy.promote(copy.versions()[0], slot=datetime(2024, 1, 1))


def test_no_flipped_bit_changes_a_forecast_silently(copy, nets, panel):
    expected = [kept.fitted.predict(panel, 4).point for kept in nets]
    new, old = copy.versions()
    rng = np.random.default_rng(0)
    files = [*sorted((copy.folder / "versions" / new).iterdir()), copy.folder / CURRENT, copy.folder / PREVIOUS]
    seen = {"old": 0, "new": 0}
    for path in files:
        original = path.read_bytes()
        for position in rng.integers(0, len(original), 40):
            flipped = bytearray(original)
            flipped[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(flipped))
            found = copy.current()
            if found.version == new:
                assert np.array_equal(found.model.fitted.predict(panel, 4).point, expected[1])
                seen["new"] += 1
            else:
                assert found.version == old and found.reason
                assert np.array_equal(found.model.fitted.predict(panel, 4).point, expected[0])
                seen["old"] += 1
        path.write_bytes(original)
    assert seen["old"] >= 140 and seen["new"] >= 40


@pytest.mark.parametrize("harm", ["manifest", "weights", "folder", "truncated", "swapped", "link"])
def test_a_damaged_current_version_gives_way_to_the_last_good_one_with_the_reason(copy, harm, tmp_path):
    new, old = copy.versions()
    place = copy.folder / "versions" / new
    weights = next(place.glob("model-*"))
    if harm == "manifest":
        (place / "model.json").unlink()
    elif harm == "weights":
        weights.unlink()
    elif harm == "folder":
        shutil.rmtree(place)
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif harm == "swapped":  # a whole model, but another one
        shutil.rmtree(place)
        shutil.copytree(copy.folder / "versions" / old, place)
    else:
        shutil.move(place, tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    found = copy.current()
    assert found.version == old
    assert new in found.reason and old in found.reason
    assert copy.last_good().version == old
    assert new in str(copy.describe()["problems"])


@pytest.mark.parametrize("name", ["model.json", "model-", CURRENT])
def test_a_disk_that_fails_under_the_current_version_gives_way_to_the_last_good_one(copy, name, monkeypatch):
    """Reading is an error of the disk: for the version itself, and for the account of which is current."""
    new, old = copy.versions()
    real = io.open

    def broken(file, *args, **options):
        path = Path(file) if isinstance(file, (str, os.PathLike)) else None
        if path is not None and path.name.startswith(name) and path.parent.name in (new, "models"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, *args, **options)

    monkeypatch.setattr(io, "open", broken)
    found = copy.current()
    # The copy of the account is from before its last change, when the old version was still the current one.
    assert found.version == old
    assert "Input/output error" in found.reason and (new in found.reason or CURRENT in found.reason)


def test_a_model_of_a_newer_format_gives_way_with_the_reason(copy):
    new, old = copy.versions()
    path = copy.folder / "versions" / new / "model.json"
    manifest = json.loads(path.read_text())
    manifest["format"] = 2
    manifest["checksum"] = artifact._checksum(manifest)
    path.write_text(json.dumps(manifest))
    found = copy.current()
    assert found.version == old and "has format 2, this version reads 1" in found.reason


def test_an_account_of_a_newer_format_is_not_touched(copy):
    from forecast.batch.models import journal

    path = copy.folder / CURRENT
    body = json.loads(path.read_text())
    body.pop("checksum")
    body["format"] = 2
    newer = json.dumps(body | {"checksum": journal._checksum(body)})
    path.write_text(newer)
    for use in (copy.current, copy.rollback, copy.versions, lambda: copy.promote(copy._shelf.names().pop())):
        with pytest.raises(ArtifactError, match="has format 2, this version reads 1"):
            use()
    assert path.read_text() == newer


def test_a_damaged_account_gives_way_to_its_state_before_the_last_change(copy):
    new, old = copy.versions()
    (copy.folder / CURRENT).write_text("{")
    found = copy.current()
    assert found.version == old and "current.json" in found.reason
    copy.promote(new, slot=slot(3))  # the next change mends it
    assert copy.current().version == new and copy.current().reason == ""
    (copy.folder / CURRENT).write_text("{")
    (copy.folder / PREVIOUS).write_text("]")
    with pytest.raises(ArtifactError, match="backup"):
        copy.current()


def test_when_no_version_can_be_loaded_that_is_an_error_naming_each(copy):
    for version in copy.versions():
        (copy.folder / "versions" / version / "model.json").write_text("")
    with pytest.raises(ArtifactError) as caught:
        copy.current()
    assert all(version in str(caught.value) for version in copy.versions())


def test_publishing_again_mends_a_damaged_version(copy, nets):
    new, _ = copy.versions()
    (copy.folder / "versions" / new / "model.json").write_text("")
    assert copy.publish(nets[1]) == new
    assert copy.current().version == new and copy.current().reason == ""


def test_weights_that_are_not_numbers_are_refused_even_with_fresh_checksums(copy):
    import hashlib

    new, old = copy.versions()
    place = copy.folder / "versions" / new
    weights = next(place.glob("model-*"))
    arrays = safetensors.numpy.load(weights.read_bytes())
    name = next(key for key in arrays if key.startswith("0.net."))
    arrays[name].flat[0] = np.nan
    data = safetensors.numpy.save(arrays)
    digest = hashlib.sha256(data).hexdigest()
    weights.unlink()
    (place / f"model-{digest[:16]}.safetensors").write_bytes(data)
    manifest = json.loads((place / "model.json").read_text())
    manifest["files"]["model"] = {"name": f"model-{digest[:16]}.safetensors", "sha256": digest, "bytes": len(data)}
    manifest["checksum"] = artifact._checksum(manifest)
    (place / "model.json").write_text(json.dumps(manifest))
    assert copy.current().version == old
    forged = place.with_name(model_hash(manifest))  # even under the name that the forgery has a right to
    place.rename(forged)
    with pytest.raises(ArtifactError, match="NaN"):
        copy.load(forged.name)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_planted_anywhere_in_the_store_is_never_opened(copy, tmp_path):
    canary = tmp_path / "sung"
    bomb = pickle.dumps(Canary(canary))
    new, old = copy.versions()
    place = copy.folder / "versions" / new
    for name in ("model.pkl", "model.pt", "model.ckpt", "data.pickle", "pytorch_model.bin"):
        for folder in (place, copy.folder, copy.folder / "versions"):
            (folder / name).write_bytes(bomb)
    assert copy.current().version == new
    next(place.glob("model-*")).write_bytes(bomb)
    assert copy.current().version == old
    (copy.folder / CURRENT).write_bytes(bomb)
    copy.current(slot(1))
    copy.describe()
    copy.prune(keep=0)
    assert not canary.exists()
    pickle.loads(bomb)
    assert canary.exists()  # the canary can sing


def test_pruning_never_removes_the_current_version_nor_the_last_good_one(tmp_path, local):
    store = ModelStore(tmp_path)
    versions = [store.publish(local(season)) for season in range(2, 10)]
    for day, version in enumerate(versions):
        store.promote(version, slot=slot(day))
    store.rollback()
    assert store.current().version == versions[6]
    (tmp_path / "versions" / versions[5] / "model.json").write_text("")
    removed = store.prune(keep=2)
    assert set(removed) == {*versions[:3], versions[5]} - set(store.versions())
    assert store.current().version == versions[6] and store.last_good().version == versions[4]
    store.prune(keep=0)
    assert store.current().version == versions[6] and store.last_good().version == versions[4]
    shutil.rmtree(tmp_path / "versions" / versions[6])
    assert store.current().version == versions[4]


# --- kills ------------------------------------------------------------------------------------------------------------


def strike(act, at: int) -> bool:
    """Run ``act`` in a process that kills itself at the ``at``-th place where it could matter; whether it was killed."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def step(*_: object) -> None:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

        def around(function):
            def wrapped(*args, **kwargs):
                step()
                return function(*args, **kwargs)

            return wrapped

        points.listener = step
        os.replace, os.fsync = around(os.replace), around(os.fsync)
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_anywhere_the_store_names_a_complete_version_old_or_new(tmp_path, local):
    before = ModelStore(tmp_path / "before", clock=tick(slot(0)))
    old = before.publish(local(5))
    before.promote(old, slot=slot(0))

    def refresh(store: ModelStore) -> str:
        version = store.publish(local(7))
        store.promote(version, slot=slot(1))
        return version

    golden = ModelStore(shutil.copytree(before.folder, tmp_path / "golden"), clock=tick(slot(1)))
    new = refresh(golden)
    kills, outcomes = 0, set()
    while True:
        store = ModelStore(shutil.copytree(before.folder, tmp_path / f"try{kills}"), clock=tick(slot(1)))
        if not strike(lambda store=store: refresh(store), kills + 1):
            break
        kills += 1
        found = store.current()
        outcomes.add(found.version)
        assert found.version in (old, new) and found.reason == ""
        assert refresh(store) == new
        assert store.current().version == new and store.describe()["problems"] == []
        assert contents(store) == contents(golden)
        shutil.rmtree(store.folder)
    assert kills > 25 and outcomes == {old, new}


def contents(store: ModelStore) -> dict[str, bytes]:
    """Every file of the store but its account, by path."""
    files = [path for path in store.folder.rglob("*") if path.is_file() and path.parent != store.folder]
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_while_pruning_or_rolling_back_the_store_stays_whole(tmp_path, local):
    before = ModelStore(tmp_path / "before", clock=tick(slot(0)))
    versions = [before.publish(local(season)) for season in (4, 5, 6, 7)]
    for day, version in enumerate(versions):
        before.promote(version, slot=slot(day))

    def clean(store: ModelStore) -> None:
        store.rollback()
        store.prune(keep=1)

    kills = 0
    while True:
        store = ModelStore(shutil.copytree(before.folder, tmp_path / f"try{kills}"), clock=tick(slot(9)))
        if not strike(lambda store=store: clean(store), kills + 1):
            break
        kills += 1
        assert store.current().version in versions[2:] and store.current().reason == ""
        assert store.last_good() is not None
    assert kills > 5
    assert store.current().version == versions[2] and store.versions()[0] == versions[3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_many_who_write_at_once_all_arrive(tmp_path, local):
    pids = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                store = ModelStore(tmp_path)
                store.promote(store.publish(local(2 + number)), slot=slot(number))
                store.prune(keep=10)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 6
    store = ModelStore(tmp_path)
    assert len(store.versions()) == 6
    assert sorted(entry.slot for entry in store.journal().promotions()) == [slot(number) for number in range(6)]
    assert store.current().reason == ""


def test_a_full_disk_leaves_the_store_as_it_was(copy, monkeypatch, local):
    from forecast import atomic

    before, replace = copy.current().version, os.replace
    for failing in range(1, 6):  # three files of the model; the account twice, with its copy
        calls = iter(range(1, 100))

        def full(source, target, calls=calls, failing=failing):
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, "replace", full)
            with pytest.raises(OSError, match="No space"):
                copy.promote(copy.publish(local(9)), slot=slot(3))
        assert copy.current().version == before and copy.current().reason == ""
    copy.promote(copy.publish(local(9)), slot=slot(3))
    assert copy.current().version != before and not list((copy.folder / "versions").glob(".*"))
