"""Signs of life while a slot is owned."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from forecast.batch.ledger.records import Claim
from forecast.batch.ledger.retry import is_transient, storage_error
from forecast.errors import printable

if TYPE_CHECKING:
    from forecast.batch.ledger.claims import Claims

log = logging.getLogger(__name__)
BEATS_PER_LEASE = 4


class Heartbeat:
    """A thread that gives a sign of life four times a lease, until the block ends or the claim is lost.

    A database that is away for a while is no reason to stop: the next sign may arrive in time.
    """

    def __init__(self, claims: Claims, claim: Claim) -> None:
        self._claims = claims
        self._claim = claim
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forecast-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._claims.lease / BEATS_PER_LEASE):
            try:
                self._claims.beat(self._claim)
            except SQLAlchemyError as error:
                # A sink that writes to the same file for a while is no reason for worry.
                level = logging.INFO if is_transient(error) else logging.WARNING
                log.log(level, "No sign of life: %s", storage_error(error, "The ledger", self._claims.url))
            if self._claim.lost.is_set():
                slot = self._claim.slot.isoformat()
                log.error("Another owner has taken slot %s of job %s.", slot, printable(self._claim.job))
                return
