"""Posting alerts to an address on the web, so that nothing that goes wrong there harms the run."""

from __future__ import annotations

import base64
import http.client
import json
import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from forecast.errors import ConfigError

AGAIN = (408, 425, 429)  # and every 5xx: what may be over in a moment
HIDDEN = "•••"
MOST_ATTEMPTS = 10


@dataclass(frozen=True)
class Delivery:
    """What became of a post: ``problem`` says why it was not taken, without any part of the address that is secret."""

    delivered: bool
    attempts: int
    problem: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: what was meant for one address is sent to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Webhook:
    """Posts JSON to ``url``, which must be http or https.

    The path and the query of such an address are its password, so no message, ``repr`` or log line has them: they
    show the host alone. A user and password within the address go into a header.

    Args:
        url: where to.
        timeout: seconds that one attempt may take, all of it: connecting, sending, and the answer's first line.
        attempts: how often to try when nobody answers, or the answer is 5xx, 408, 425 or 429.
        pause: seconds before the second attempt; doubled each time, and shortened at random by up to a half.

    Raises ``ConfigError`` for anything but a complete http(s) address.
    """

    def __init__(self, url: str, *, timeout: float = 5.0, attempts: int = 3, pause: float = 0.5) -> None:
        parts = _parts(url)
        if not 0 < timeout < 3600 or not 0 <= pause < 3600:
            raise ConfigError(f"webhook: timeout={timeout!r} and pause={pause!r} are seconds, less than an hour.")
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= MOST_ATTEMPTS:
            raise ConfigError(f"webhook: attempts={attempts!r} must be a whole number from 1 to {MOST_ATTEMPTS}.")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        self.shown = f"{parts.scheme}://{host}{port}/{HIDDEN}"
        self.timeout, self.attempts, self.pause = timeout, attempts, pause
        self._url = parts._replace(netloc=f"{host}{port}", fragment="").geturl()
        self._login = _login(parts)

    def __repr__(self) -> str:
        return f"Webhook({self.shown!r})"

    def post(self, payload: Mapping[str, Any], key: str = "") -> Delivery:
        """Send ``payload``; ``key`` is the same for every attempt, so that a receiver can tell a repetition.

        Never raises for what the network or the other side does.
        """
        body = json.dumps(payload, allow_nan=False).encode()
        delivery = Delivery(False, 0)
        for attempt in range(1, self.attempts + 1):
            problem, again = self._once(body, key)
            delivery = Delivery(not problem, attempt, problem)
            if not again:
                break
            if attempt < self.attempts:
                time.sleep(self.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        return delivery

    def _once(self, body: bytes, key: str) -> tuple[str, bool]:
        """What went wrong ("" for nothing) and whether another attempt may help.

        A time limit of a socket starts again with every byte, so a server that drips would hold the run for ever:
        the exchange happens in a thread that is left behind when the time is over.
        """
        answer: list[tuple[str, bool]] = []
        worker = threading.Thread(target=lambda: answer.append(self._exchange(body, key)), daemon=True)
        worker.start()
        worker.join(self.timeout)
        return answer[0] if answer else (f"no answer within {self.timeout:g} s", True)

    def _exchange(self, body: bytes, key: str) -> tuple[str, bool]:
        headers = {"Content-Type": "application/json", "User-Agent": "forecast-batch", **self._login}
        if key:
            headers["Idempotency-Key"] = re.sub(r"[^\x21-\x7e]", "-", key)
        opener = urllib.request.build_opener(_NoRedirect())
        try:
            request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
            with opener.open(request, timeout=self.timeout) as response:
                return ("", False) if response.status < 300 else (f"it answered {response.status}", False)
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code >= 500 or error.code in AGAIN
        except TimeoutError:
            return f"no answer within {self.timeout:g} s", True
        except urllib.error.URLError as error:
            return _reason(error.reason), True
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _reason(error), True


def _parts(url: str) -> SplitResult:
    """The parts of an http(s) address; the message of a refusal shows nothing of it but what is surely no secret."""
    remedy = "Use a complete address such as https://hooks.example.org/…"
    if not isinstance(url, str) or re.search(r"[\x00-\x20\x7f]", url):
        raise ConfigError(f"webhook: the address is no text, or has blanks or control characters. {remedy}")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        if host:
            host.encode("idna")
    except ValueError:
        raise ConfigError(f"webhook: the address cannot be read. {remedy}") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ConfigError(f"webhook: only http and https addresses with a host are posted to. {remedy}")
    if not url.isascii():
        raise ConfigError(f"webhook: write the path and query of the address in percent-encoding. {remedy}")
    return parts


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _reason(error: object) -> str:
    """What the system says, and nothing that could hold the address: its number's name, or the kind of error."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__
