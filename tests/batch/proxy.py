"""A wire to PostgreSQL that can be cut at the moment that matters."""

from __future__ import annotations

import selectors
import socket
import threading
from pathlib import Path
from types import TracebackType

NAME = ".s.PGSQL.5432"
COMMIT = b"COMMIT\x00"


class Proxy:
    """Passes everything on between clients of ``folder`` and the server of ``upstream``, both folders of sockets.

    ``cut_commit(which, when)`` arms it: of the COMMITs from then on, number ``which`` (from 0) is cut off ``"before"``
    the server hears of it, or ``"after"`` the server has done it and before the client hears so.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        self._upstream = str(Path(upstream) / NAME)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / NAME))
        self._listening.listen()
        self._lock = threading.Lock()
        self._left: int | None = None
        self._when = ""
        self.cuts = 0
        self._accepting = threading.Thread(target=self._accept)
        self._clients: list[threading.Thread] = []

    def __enter__(self) -> Proxy:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for client in self._clients:
            client.join()

    def cut_commit(self, which: int, when: str) -> None:
        """Arm it."""
        with self._lock:
            self._left, self._when = which, when

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # shut down
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            thread.start()
            self._clients.append(thread)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.connect(self._upstream)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for ready, _ in selector.select():
                    data = ready.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    if ready.fileobj is client and COMMIT in data and self._is_due():
                        if self._when == "after":
                            server.sendall(data)
                            server.recv(65536)
                        return
                    ready.data.sendall(data)

    def _is_due(self) -> bool:
        with self._lock:
            if self._left is None:
                return False
            self._left -= 1
            if self._left >= 0:
                return False
            self._left = None
            self.cuts += 1
            return True
