"""What runs one statement, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from outrigger_plugin import Refused, Unavailable

from connections import Connection
from dialects import Dialect
from outputs import Result
from statement import Statement
from verdicts import Verdict

# For a new connection, also one that cancels a statement; in seconds.
CONNECT_TIMEOUT = 5


class TimedOut(Exception):
    """The server ended the statement because its time was over."""


class Cancelled(Exception):
    """The statement was cancelled at the server."""


class CannotConnect(Unavailable):
    """There is no connection. What the driver says names hosts and users, so it is for the log only."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(f"connection {connection.name!r}: cannot connect; the service's log says why", retry_after=5)


class Session(Protocol):
    """One connection to a server, in a transaction, for one statement.

    All but ``cancel`` and ``terminate`` are called from one thread.
    """

    dialect: Dialect

    def run(self, statement: Statement, values: list[Any], max_rows: int) -> Result:
        """Runs the statement. Raises Refused, Unavailable, TimedOut or Cancelled."""

    def commit(self) -> None:
        """Raises as ``run``; ``is_lost`` then says whether the outcome is known."""

    def rollback(self) -> None:
        """Undoes the statement. Raises nothing: without a connection, the server does it."""

    def close(self) -> None: ...

    @property
    def is_lost(self) -> bool:
        """Whether the connection has broken."""

    def cancel(self) -> None:
        """Cancels the statement at the server; from any thread."""

    def terminate(self) -> None:
        """Ends the session at the server, as code of a task can outlive ``cancel``; from any thread."""


#: Connects, with the seconds that the statement may take.
Open = Callable[[Connection, float], Session]


def exception(verdict: Verdict, message: str, code: str | None) -> Exception:
    """What to raise for an error of the server."""
    if verdict is Verdict.UNAVAILABLE:
        return Unavailable(message, retry_after=1)
    if verdict is Verdict.REFUSED:
        return Refused(message, code)
    return TimedOut(message) if verdict is Verdict.TIMED_OUT else Cancelled(message)
