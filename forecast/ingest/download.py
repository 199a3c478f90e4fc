"""Fetching a file over http(s): whole and verified, or not at all."""

from __future__ import annotations

import glob
import hashlib
import http.client
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from forecast.atomic import replacing, write_text
from forecast.errors import DownloadError, printable

LIMIT = 1 << 30  # bytes of one file
CHUNK = 1 << 16
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 4
LONGEST_WAIT = 60.0
STALE = 600.0  # seconds after which a temporary file nobody writes to was left by a killed process
SCHEMES = ("http", "https")
WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)


class _Transient(Exception):
    """Something that may go better the next time; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.wait = wait


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to http(s) only and never from https down to http."""

    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        allowed = ("https",) if req.type == "https" else SCHEMES
        if urlsplit(newurl).scheme not in allowed:
            fp.close()
            raise DownloadError(
                f"{req.full_url} redirects to {printable(newurl)}, which is not {' or '.join(allowed)}: refused. "
                f"{_way_out(req.full_url)}"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    target: Path,
    sha256: str | None = None,
    *,
    progress: bool = True,
    attempts: int = ATTEMPTS,
    timeout: float = TIMEOUT,
    limit: int = LIMIT,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Make sure that ``target`` holds the file at ``url``, and return ``target``.

    A file already there is only verified. Otherwise it is streamed to a temporary file beside ``target``, verified,
    flushed to disk and then renamed, so that ``target`` is never half a file, whenever the process is killed.
    ``sha256`` is the checksum to verify, as 64 hexadecimal digits; ``None`` means trust on first use: what arrives
    first is recorded beside the file (``<target>.sha256``) and every later call verifies that.

    Passing trouble (no answer for ``timeout`` seconds, a broken connection, status 408, 429, 5xx, a body shorter
    than announced) is tried again, ``attempts`` times in all, after waits that double, with jitter; ``sleep`` does
    the waiting. More than ``limit`` bytes are refused, and so is every scheme but http and https, in redirects too.

    Raises ``DownloadError`` that says what happened and how to go on without a connection.
    """
    target = Path(target)
    if urlsplit(url).scheme not in SCHEMES:
        raise DownloadError(f"{printable(url)} is not an http or https address: refused.")
    if target.exists():
        verify(target, sha256)
        return target
    for attempt in range(1, attempts + 1):
        try:
            _download(url, target, sha256, progress, timeout, limit)
            return target
        except _Transient as error:
            if attempt == attempts:
                tried = f"{attempts} attempts" if attempts > 1 else "1 attempt"
                raise DownloadError(f"{url}: {error}, after {tried}. {_way_out(url)}") from error
            sleep(max(error.wait, 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)))
    raise DownloadError(f"{url}: attempts={attempts}, so nothing was tried. Allow at least 1.")


def verify(path: Path, sha256: str | None = None) -> None:
    """Compare ``path`` with ``sha256``, or else with the checksum recorded beside it; record it when there is none.

    Raises ``DownloadError`` naming both checksums when they differ.
    """
    note = _note(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = sha256
    if expected is None and note.exists():
        expected = note.read_text(encoding="utf-8").strip()
    if expected is None:
        write_text(note, found + "\n")
    elif found != expected:
        promised = "the card promises" if sha256 else f"was recorded in {note.name} at the first download"
        raise DownloadError(
            f"{path} has sha256 {found}, but {expected} {promised}. The file is damaged or was changed: "
            f"delete it{'' if sha256 else ' and ' + note.name} to download it again."
        )


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _way_out(url: str) -> str:
    name = Path(urlsplit(url).path).name
    return f"Without a connection: put {name} into a folder and set FORECAST_DATA_DIR to that folder."


def _download(url: str, target: Path, sha256: str | None, progress: bool, timeout: float, limit: int) -> None:
    with _open(url, timeout) as response:
        announced = _announced(response)
        if announced is not None and announced > limit:
            raise DownloadError(f"{url} is {announced} bytes long, more than the {limit} that are allowed.")
        try:
            _sweep(target)
            with replacing(target) as temporary:
                found = _receive(response, temporary, announced, limit, progress)
                _check(url, found, sha256)
            if sha256 is None:
                write_text(_note(target), found + "\n")
        except DownloadError:
            raise
        except OSError as error:
            raise DownloadError(
                f"{target} cannot be written ({error.strerror or error}). "
                "Make room, or set XDG_CACHE_HOME to another folder. Nothing was kept."
            ) from error


def _receive(response: Any, temporary: Path, announced: int | None, limit: int, progress: bool) -> str:
    """Write the body to ``temporary`` and return its sha256."""
    from forecast.progress import progress as progress_bar

    digest = hashlib.sha256()
    size = 0
    label = f"{Path(urlsplit(response.url).path).name}, bytes"
    with temporary.open("wb") as file, progress_bar(label, announced or 0, progress) as advance:
        for chunk in _chunks(response):
            size += len(chunk)
            if size > limit:
                raise DownloadError(f"{response.url} is longer than the {limit} bytes that are allowed.")
            file.write(chunk)
            digest.update(chunk)
            advance(len(chunk))
    if announced is not None and size < announced:
        raise _Transient(f"the connection broke after {size} of {announced} bytes")
    return digest.hexdigest()


def _chunks(response: IO[bytes]) -> Iterator[bytes]:
    """The body piece by piece; only what the network does wrong counts as passing trouble, not the disk."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _Transient(f"the connection broke ({_reason(error)})") from error
        if not chunk:
            return
        yield chunk


def _check(url: str, found: str, sha256: str | None) -> None:
    if sha256 is not None and found != sha256:
        raise DownloadError(
            f"{url} arrived with sha256 {found}, but the card promises {sha256}. Nothing was kept. "
            f"Try again later; if it stays so, the source has changed: download the file by hand, check it, and "
            f"put it into the folder that FORECAST_DATA_DIR names."
        )


def _announced(response: Any) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _open(url: str, timeout: float) -> Any:
    opener = urllib.request.build_opener(_CarefulRedirects)
    request = urllib.request.Request(url, headers={"User-Agent": "forecast (data set catalogue)"})
    try:
        return opener.open(request, timeout=timeout)
    except DownloadError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _translate(url, error) from error
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(f"{url}: its certificate cannot be verified ({reason}). {_way_out(url)}") from error
        raise _Transient(f"no answer ({_reason(reason)})") from error


def _translate(url: str, error: urllib.error.HTTPError) -> Exception:
    if error.code in WORTH_RETRYING:
        asked = error.headers.get("Retry-After", "")
        wait = min(float(asked), LONGEST_WAIT) if asked.isdecimal() else 0.0
        return _Transient(f"the server answered {error.code} {error.reason}", wait)
    if 300 <= error.code < 400:
        place = printable(error.headers.get("Location", "nowhere"))
        return DownloadError(f"{url} redirects to {place}: refused. {_way_out(url)}")
    return DownloadError(f"{url}: the server answered {error.code} {error.reason}. {_way_out(url)}")


def _reason(error: object) -> str:
    return printable(str(error) or type(error).__name__)


def _sweep(target: Path) -> None:
    """Remove what a killed process left beside ``target``; a living one touches its file at least every TIMEOUT."""
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        try:
            if time.time() - old.stat().st_mtime > STALE:
                old.unlink()
        except FileNotFoundError:
            continue  # another process was quicker
