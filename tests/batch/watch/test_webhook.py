"""Posting alerts to a real local server that takes, refuses, dawdles, breaks off and sends elsewhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forecast.batch.watch.alerts import Alert, deliver
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.webhook import Webhook
from forecast.errors import ConfigError

SECRET = "canary-T0PSECRET"
FACTS = RunFacts("shop", datetime(2026, 3, 5, 6, tzinfo=UTC), "0123456789abcdef", 1)
ALERT = Alert("accuracy", "critical", "errors are 3 times their usual", "", 3.0, 1.2)


class Server(ThreadingHTTPServer):
    """Answers as told, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, int], None]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), body))
                answer(self, len(server.requests))

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/{SECRET}?token={SECRET}"


MakeServer = Callable[[Callable[[BaseHTTPRequestHandler, int], None]], Server]


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeServer]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers: list[Server] = []

    def make(answer: Callable[[BaseHTTPRequestHandler, int], None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def status(*codes: int) -> Callable[[BaseHTTPRequestHandler, int], None]:
    """Answers with each code in turn, the last one ever after."""

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(codes[min(number, len(codes)) - 1])
        handler.send_header("Location", "http://127.0.0.1:9/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hook(url: str, **settings: float) -> Webhook:
    return Webhook(url, **{"timeout": 20.0, "pause": 0.001, **settings})  # type: ignore[arg-type]


def test_a_server_gets_the_alerts_as_json(serving: MakeServer) -> None:
    server = serving(status(200))
    delivery = deliver([Alert("ids", "info", "a new series"), ALERT], FACTS, hook(server.url))
    assert delivery is not None and delivery.delivered and delivery.attempts == 1
    path, headers, body = server.requests[0]
    sent = json.loads(body)
    assert path.endswith(f"?token={SECRET}")
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == f"shop-20260305T060000-{FACTS.run}"
    assert (sent["job"], sent["slot"], sent["run"]) == ("shop", "2026-03-05T06:00:00+00:00", FACTS.run)
    assert [alert["severity"] for alert in sent["alerts"]] == ["critical", "info"]
    assert "errors are 3 times" in sent["text"]


def test_nothing_is_posted_when_all_is_only_good_to_know(serving: MakeServer) -> None:
    server = serving(status(200))
    assert deliver([Alert("ids", "info", "a new series")], FACTS, hook(server.url)) is None
    assert deliver([], FACTS, hook(server.url)) is None
    assert server.requests == []


def test_numbers_that_json_does_not_know_are_sent_as_null(serving: MakeServer) -> None:
    server = serving(status(204))
    assert deliver(
        [Alert("x", "warning", "y", value=float("nan"), limit=float("inf"))], FACTS, hook(server.url)
    ).delivered
    assert json.loads(server.requests[0][2])["alerts"][0]["value"] is None


def test_a_server_that_breaks_down_is_tried_again(serving: MakeServer) -> None:
    server = serving(status(500, 503, 200))
    delivery = hook(server.url).post({"a": 1}, "key")
    assert (delivery.delivered, delivery.attempts) == (True, 3)
    assert {headers["Idempotency-Key"] for _, headers, _ in server.requests} == {"key"}


@pytest.mark.parametrize(("code", "attempts"), [(500, 3), (429, 3), (404, 1), (401, 1), (302, 1), (307, 1)])
def test_an_answer_that_is_not_yes_is_a_problem_told_without_the_address(
    serving: MakeServer, code: int, attempts: int
) -> None:
    server = serving(status(code))
    delivery = hook(server.url).post({})
    assert not delivery.delivered
    assert delivery.attempts == attempts == len(server.requests)
    assert delivery.problem == f"it answered {code}"


def test_a_server_that_does_not_answer_costs_no_more_than_the_time_limit(serving: MakeServer) -> None:
    release = threading.Event()
    server = serving(lambda handler, _: release.wait(30) and None)
    started = time.monotonic()
    delivery = hook(server.url, timeout=0.3, attempts=2).post({})
    assert time.monotonic() - started < 10
    release.set()
    assert not delivery.delivered
    assert delivery.attempts == 2
    assert "answer" in delivery.problem


def test_a_server_that_drips_byte_by_byte_costs_no_more_than_the_time_limit(serving: MakeServer) -> None:
    release = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: int) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2000:
            if release.wait(0.05):
                break
            try:
                handler.wfile.write(bytes([letter]))
            except OSError:
                break

    server = serving(drip)
    started = time.monotonic()
    delivery = hook(server.url, timeout=0.5, attempts=1).post({})
    assert time.monotonic() - started < 10
    release.set()
    assert delivery.problem == "no answer within 0.5 s"


def test_nobody_listening_is_a_problem_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    delivery = hook(f"http://127.0.0.1:{port}/{SECRET}", attempts=2).post({})
    assert (delivery.delivered, delivery.attempts) == (False, 2)
    assert "refused" in delivery.problem.lower()


def test_a_connection_that_is_cut_is_a_problem_and_no_error(serving: MakeServer) -> None:
    def cut(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.wfile.write(b"nonsense\r\n\r\n")
        handler.connection.shutdown(socket.SHUT_RDWR)

    delivery = hook(serving(cut).url, attempts=1).post({})
    assert not delivery.delivered
    assert delivery.problem


def test_no_secret_of_the_address_is_logged_or_shown(serving: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serving(status(500))
    webhook = Webhook(server.url.replace("http://", f"http://user:{SECRET}@"), timeout=20.0, attempts=2, pause=0.001)
    delivery = deliver([ALERT], FACTS, webhook)
    assert delivery is not None and not delivery.delivered
    assert server.requests[0][1]["Authorization"].startswith("Basic ")
    texts = [repr(webhook), webhook.shown, delivery.problem, caplog.text, repr(delivery)]
    assert all(SECRET not in text and "hooks" not in text for text in texts)
    assert f"http://127.0.0.1:{server.server_port}" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/x", "gopher://x", "javascript:alert(1)", "data:text/plain,x", "//host/x",
        "https://", "https:///path", "example.org/x", "", "http://host:0/", "http://host:99999/", "http://ho st/",
        "http://host/\r\nX-Evil: 1", "http://host/\x00", "http://[::1/", f"http://{'a' * 64}.org/", None, 5,
        "http://host/Ü",
    ],
)  # fmt: skip
def test_only_a_complete_web_address_is_taken(url: object) -> None:
    with pytest.raises(ConfigError, match="webhook"):
        Webhook(url)  # type: ignore[arg-type]


def test_a_refused_address_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Webhook(f"ftp://user:{SECRET}@host/{SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "settings", [{"timeout": 0}, {"timeout": -1}, {"attempts": 0}, {"attempts": True}, {"pause": -1}]
)
def test_senseless_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Webhook("https://example.org/x", **settings)  # type: ignore[arg-type]
