from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from forecast import atomic
from forecast.errors import UnreachableError


def test_text_arrives_whole_and_in_utf8(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "Niño\r\n海\n")
    assert (tmp_path / "a.txt").read_bytes() == "Niño\r\n海\n".encode()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "deep" / "er" / "a.bin", b"1")
    assert (tmp_path / "deep" / "er" / "a.bin").read_bytes() == b"1"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def interrupted() -> None:
        with atomic.replacing(target) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        interrupted()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_reader_sees_the_old_file_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic.replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_a_process_killed_before_the_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    program = (
        "import os, signal, sys; from forecast import atomic\n"
        "with atomic.replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('new'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(atomic.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.run([sys.executable, "-c", program, str(target)], env=environment, check=False)
    assert process.returncode == -9
    assert target.read_text() == "old"


def test_the_order_is_fsync_then_replace_then_fsync_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        seen.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def spy_replace(source: Path, target: Path) -> None:
        seen.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    atomic.write_bytes(tmp_path / "a.bin", b"1")
    assert seen == ["fsync file", "replace", "fsync folder"]


def test_the_permissions_of_the_replaced_file_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    atomic.write_text(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("")
    atomic.write_text(tmp_path / "ours.txt", "")
    assert (tmp_path / "ours.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_the_longest_possible_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 125 + ".txt")
    atomic.write_text(target, "x")
    assert target.read_text() == "x"


def test_a_folder_is_held_by_one_writer_or_by_many_readers(tmp_path: Path) -> None:
    def refused(shared: bool) -> None:
        with (
            pytest.raises(UnreachableError, match="locked by another process for 0 s"),
            atomic.locked(tmp_path, shared, patience=0),
        ):
            pytest.fail("two hold what one should")

    with atomic.locked(tmp_path, shared=True), atomic.locked(tmp_path, shared=True, patience=0):
        refused(shared=False)
    with atomic.locked(tmp_path):
        refused(shared=True)
        refused(shared=False)
    with atomic.locked(tmp_path, patience=0):
        assert list(tmp_path.iterdir()) == []


def test_who_holds_a_folder_is_waited_for(tmp_path: Path) -> None:
    seen: list[str] = []

    def wait() -> None:
        with atomic.locked(tmp_path, patience=60):
            seen.append("second")

    thread = threading.Thread(target=wait)
    with atomic.locked(tmp_path):
        thread.start()
        time.sleep(0.15)
        seen.append("first")
    thread.join()
    assert seen == ["first", "second"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF])
def test_a_file_system_without_locks_is_no_obstacle_and_a_failing_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import fcntl

    def refused(code: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", flock)

    refused(number)
    with atomic.locked(tmp_path, patience=0):
        pass
    refused(errno.EIO)
    with pytest.raises(OSError, match="Input/output"), atomic.locked(tmp_path):
        pass
