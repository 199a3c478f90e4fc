from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.request import Request

import pytest

from forecast.errors import DownloadError
from forecast.ingest.download import _CarefulRedirects, fetch, verify

BODY = b"unique_id,ds,y\na,1,2.5\n" * 20_000  # several chunks
HASH = hashlib.sha256(BODY).hexdigest()
WRONG = "0" * 64


def good(handler):
    handler.send(200, BODY)


def busy(handler):
    handler.send(503)


def cut_short(handler):
    handler.send(200, BODY[: len(BODY) // 2], Content_Length=str(len(BODY)))


def unannounced(handler):
    handler.send(200, BODY, Content_Length="")


def silent(*args, **kwargs):
    raise AssertionError("there was nothing to wait for")


def get(url, target, sha256=None, **options):
    return fetch(url, target, sha256, **{"progress": False, "sleep": silent, **options})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw.csv"


def test_fetch_writes_exactly_what_the_server_sends(site, target):
    assert get(site.serve("/raw.csv", good), target, HASH) == target
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["raw.csv"]


def test_fetch_makes_missing_folders(site, tmp_path):
    assert get(site.serve("/raw.csv", good), tmp_path / "a" / "b" / "raw.csv", HASH).is_file()


def test_fetch_takes_a_body_of_unannounced_length(site, target):
    get(site.serve("/raw.csv", unannounced), target, HASH)
    assert target.read_bytes() == BODY


def test_fetch_takes_an_empty_file(site, target):
    get(site.file("/raw.csv", b""), target)
    assert target.read_bytes() == b""


def test_fetch_draws_a_bar_on_a_terminal(site, target, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    get(site.serve("/raw.csv", good), target, HASH, progress=True)
    assert "raw.csv" in sys.stderr.getvalue()


def test_fetch_is_silent_when_asked(site, target, capfd):
    get(site.serve("/raw.csv", good), target, HASH)
    assert capfd.readouterr() == ("", "")


def test_a_file_already_there_is_verified_and_not_downloaded_again(site, target):
    url = site.serve("/raw.csv", good)
    get(url, target, HASH)
    get(url, target, HASH)
    assert site.requests == ["/raw.csv"]


def test_without_a_checksum_the_first_download_is_trusted_and_recorded(site, target):
    get(site.serve("/raw.csv", good), target)
    assert names(target.parent) == ["raw.csv", "raw.csv.sha256"]
    assert target.with_name("raw.csv.sha256").read_text() == HASH + "\n"
    verify(target)


def test_a_file_changed_after_the_first_download_is_refused(site, target):
    url = site.serve("/raw.csv", good)
    get(url, target)
    target.write_bytes(b"changed")
    with pytest.raises(DownloadError) as caught:
        get(url, target)
    message = str(caught.value)
    assert HASH in message
    assert hashlib.sha256(b"changed").hexdigest() in message
    assert "delete it and raw.csv.sha256" in message
    assert site.requests == ["/raw.csv"]


def test_a_file_put_into_the_cache_by_hand_is_recorded_too(target):
    target.write_bytes(BODY)
    verify(target)
    target.write_bytes(b"changed")
    with pytest.raises(DownloadError, match="first download"):
        verify(target)


def test_a_wrong_checksum_names_both_and_leaves_nothing(site, target):
    with pytest.raises(DownloadError) as caught:
        get(site.serve("/raw.csv", good), target, WRONG)
    assert HASH in str(caught.value)
    assert WRONG in str(caught.value)
    assert "FORECAST_DATA_DIR" in str(caught.value)
    assert names(target.parent) == []
    assert site.requests == ["/raw.csv"]  # a second try would bring the same


def test_not_found_is_not_tried_again_and_says_how_to_go_on(site, target):
    url = site.serve("/raw.csv", lambda handler: handler.send(404))
    with pytest.raises(DownloadError) as caught:
        get(url, target)
    assert "404" in str(caught.value)
    assert url in str(caught.value)
    assert "FORECAST_DATA_DIR" in str(caught.value)
    assert len(site.requests) == 1
    assert names(target.parent) == []


def test_a_busy_server_is_asked_again_after_waits_that_double(site, target):
    waits: list[float] = []
    get(site.serve("/raw.csv", busy, busy, good), target, HASH, sleep=waits.append)
    assert target.read_bytes() == BODY
    assert 0.5 <= waits[0] <= 1.5
    assert 1.0 <= waits[1] <= 3.0
    assert len(waits) == 2


def test_a_server_that_says_when_to_come_back_is_obeyed_within_a_minute(site, target):
    def later(seconds):
        return lambda handler: handler.send(429, Retry_After=seconds)

    waits: list[float] = []
    url = site.serve("/raw.csv", later("7"), later("86400"), later("Fri, 31 Dec 1999 23:59:59 GMT"), good)
    get(url, target, HASH, sleep=waits.append)
    assert waits[:2] == [7.0, 60.0]
    assert waits[2] <= 6.0


def test_a_server_that_stays_busy_is_given_up(site, target):
    waits: list[float] = []
    with pytest.raises(DownloadError, match=r"503.*after 3 attempts"):
        get(site.serve("/raw.csv", busy), target, attempts=3, sleep=waits.append)
    assert len(site.requests) == 3
    assert len(waits) == 2
    assert names(target.parent) == []


def test_a_body_cut_short_is_fetched_again(site, target):
    get(site.serve("/raw.csv", cut_short, good), target, sleep=lambda wait: None)
    assert target.read_bytes() == BODY


def test_a_body_always_cut_short_leaves_nothing(site, target):
    with pytest.raises(DownloadError, match=f"broke after {len(BODY) // 2} of {len(BODY)} bytes"):
        get(site.serve("/raw.csv", cut_short), target, attempts=2, sleep=lambda wait: None)
    assert names(target.parent) == []


def test_a_broken_chunk_is_fetched_again(site, target):
    def broken(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send(200, b"ffff\r\nshort", Content_Length="", Transfer_Encoding="chunked", Connection="close")

    get(site.serve("/raw.csv", broken, good), target, HASH, sleep=lambda wait: None)
    assert target.read_bytes() == BODY


def test_a_server_that_falls_silent_is_given_up_after_the_timeout(site, target):
    def stall(handler):
        handler.send(200, BODY[:100], Content_Length=str(len(BODY)))
        handler.wfile.flush()
        site.over.wait(10)

    with pytest.raises(DownloadError, match="timed out"):
        get(site.serve("/raw.csv", stall), target, attempts=1, timeout=0.2)
    assert names(target.parent) == []


def test_offline_says_how_to_use_a_folder_of_ones_own(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        waits: list[float] = []
        with pytest.raises(DownloadError, match=r"after 4 attempts.*put raw.csv into a folder.*FORECAST_DATA_DIR"):
            get(f"http://127.0.0.1:{taken.getsockname()[1]}/raw.csv", target, sleep=waits.append)
    assert len(waits) == 3
    assert names(target.parent) == []


def test_a_redirect_to_http_is_followed(site, target):
    site.serve("/new.csv", good)
    get(site.serve("/raw.csv", lambda handler: handler.send(302, Location="/new.csv")), target, HASH)
    assert site.requests == ["/raw.csv", "/new.csv"]


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/raw.csv", "data:text/plain,hello"])
def test_a_redirect_to_another_scheme_is_refused(site, target, place):
    url = site.serve("/raw.csv", lambda handler: handler.send(302, Location=place))
    with pytest.raises(DownloadError, match="refused"):
        get(url, target)
    assert names(target.parent) == []


def test_a_redirect_from_https_down_to_http_is_refused(tmp_path):
    with (tmp_path / "body").open("wb") as body, pytest.raises(DownloadError, match="not https: refused"):
        _CarefulRedirects().redirect_request(
            Request("https://example.org/a"), body, 302, "Found", {}, "http://example.org/a"
        )


def test_redirects_in_a_circle_are_given_up(site, target):
    url = site.serve("/raw.csv", lambda handler: handler.send(302, Location="/raw.csv"))
    with pytest.raises(DownloadError, match="refused"):
        get(url, target)
    assert len(site.requests) < 10


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/raw.csv", "raw.csv", "javascript:1"])
def test_only_http_and_https_are_fetched(target, url):
    with pytest.raises(DownloadError, match="not an http or https address"):
        get(url, target)


@pytest.mark.parametrize("answer", [good, unannounced])
def test_a_file_that_is_too_long_is_refused_and_leaves_nothing(site, target, answer):
    with pytest.raises(DownloadError, match=str(len(BODY) - 1)):
        get(site.serve("/raw.csv", answer), target, limit=len(BODY) - 1)
    assert names(target.parent) == []


def test_a_file_exactly_as_long_as_allowed_is_taken(site, target):
    assert get(site.serve("/raw.csv", good), target, limit=len(BODY)).is_file()


def test_a_folder_that_cannot_be_written_says_what_to_set(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="XDG_CACHE_HOME"):
        get(site.serve("/raw.csv", good), tmp_path / "file" / "raw.csv")


def test_a_download_killed_half_way_leaves_no_target_and_the_next_one_cleans_up(site, target):
    def stall(handler):
        handler.send(200, BODY[: len(BODY) // 2], Content_Length=str(len(BODY)))
        handler.wfile.flush()
        site.over.wait(30)

    url = site.serve("/raw.csv", stall, good)
    script = f"""
        from pathlib import Path
        from forecast.ingest.download import fetch
        fetch({url!r}, Path({str(target)!r}), progress=False)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size for path in target.parent.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = list(target.parent.iterdir())
    assert len(left) == 1
    assert left[0].suffix == ".tmp"  # not the target: nobody will read it

    os.utime(left[0], (time.time() - 3600,) * 2)
    get(url, target, HASH)
    assert names(target.parent) == ["raw.csv"]
