"""A web server on the loopback interface, so that downloading is tested as it is, without a network."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.site.requests.append(self.path)
        self.server.site.answers[self.path](self)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A plain answer; a header name is written with _ for -."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@dataclass
class Site:
    """What the server says: ``answers[path](handler)``; ``requests`` are the paths asked for, in order."""

    address: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, *answers: Answer) -> str:
        """Let ``path`` give ``answers`` in turn, the last one for ever; return its address."""
        left = list(answers)
        self.answers[path] = lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)
        return self.address + path

    def file(self, path: str, body: bytes) -> str:
        return self.serve(path, lambda handler: handler.send(200, body))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.site.over.set()
    server.shutdown()
    thread.join()
    server.server_close()
