"""Runs statements in threads, and ends those whose time is over or whose caller has left."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from outrigger_plugin import Ended, Failed, RetryableFailed, Succeeded, Unavailable

from connections import Connection
from session import Cancelled, Open, Session, TimedOut

LOG = logging.getLogger("outrigger_sql")
# How long a statement may take to end after it was told to, in seconds.
GRACE = 2.0
# The server's own limit is later than ours. It counts when this process has died.
SERVER_LIMIT_AFTER = 1.0
Use = Callable[[Session], Succeeded]
STOPS: tuple[Callable[[Session], None], ...] = (lambda session: session.cancel(), lambda session: session.terminate())


class Stopped(Exception):
    """The work was told to end, and has committed nothing."""


class OutcomeUnknown(Exception):
    """The connection was lost while the statement was committed."""


class Work:
    """One statement on a connection of its own. ``run`` is for a thread, ``stop`` for any other."""

    def __init__(self, connection: Connection, open_session: Open, until: float) -> None:
        """``until`` is in the time of time.monotonic."""
        self._connection = connection
        self._open = open_session
        self._until = until
        # Held while a session is stopped, which may take long; the other one never for long.
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._decision = threading.Lock()
        self._stopped = False
        self._commits = False

    def run(self, use: Use) -> Succeeded:
        """What ``use`` makes of the session. Commits, unless that raises or this was stopped."""
        session = self._open(self._connection, self._seconds_left() + SERVER_LIMIT_AFTER)
        try:
            self._attach(session)
            succeeded = self._used(session, use)
            commit(session)
            return succeeded
        finally:
            # Nothing to stop any more; another session may get its id.
            self._detach()
            session.close()

    def stop(self, how: Callable[[Session], None]) -> None:
        """Stops the session in this way, unless it has ended or commits."""
        self.forbid_commit()
        with self._lock:
            if self._session is not None:
                how(self._session)

    def forbid_commit(self) -> None:
        """From now on this does not begin to commit; ``commits`` says whether it has."""
        with self._decision:
            self._stopped = True

    @property
    def commits(self) -> bool:
        """Whether the commit has begun. Nothing stops it then."""
        return self._commits

    def _seconds_left(self) -> float:
        left = self._until - time.monotonic()
        if self._stopped or left <= 0:
            raise Stopped
        return left

    def _attach(self, session: Session) -> None:
        with self._lock:
            self._session = session
        if self._stopped:
            raise Stopped

    def _detach(self) -> None:
        with self._lock:
            self._session = None

    def _begin_commit(self) -> None:
        with self._decision:
            if self._stopped:
                raise Stopped
            self._commits = True

    def _used(self, session: Session, use: Use) -> Succeeded:
        try:
            succeeded = use(session)
            self._detach()
            self._begin_commit()
            return succeeded
        except BaseException:
            session.rollback()
            raise


def commit(session: Session) -> None:
    try:
        session.commit()
    except Exception as error:
        if session.is_lost:
            raise OutcomeUnknown from error
        raise


class Lane:
    """The statements of one connection, of which ``concurrency`` run at once and others wait."""

    def __init__(self, connection: Connection, open_session: Open) -> None:
        self._connection = connection
        self._open = open_session
        self._threads = ThreadPoolExecutor(connection.concurrency, thread_name_prefix="sql")
        # Others, which are free when all statements hang.
        self._stoppers = ThreadPoolExecutor(connection.concurrency, thread_name_prefix="sql-stop")
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self, use: Use, seconds: float, grace: float = GRACE) -> Ended:
        """Runs a statement within ``seconds``, and stops it afterwards, or when this is cancelled."""
        work = Work(self._connection, self._open, time.monotonic() + seconds)
        running = self._threads.submit(work.run, use)
        future = asyncio.wrap_future(running)
        future.add_done_callback(forget)
        try:
            await asyncio.wait({future}, timeout=seconds)
            if future.done():
                return outcome(future)
            if running.cancel():
                raise Unavailable(f"connection {self._connection.name!r}: busy with other tasks", retry_after=1)
            self._end(work, running)
            await asyncio.wait({future}, timeout=grace)
            return late_outcome(future, seconds, work.commits)
        except asyncio.CancelledError:
            if not running.cancel():
                self._end(work, running)
            raise

    def _end(self, work: Work, running: Future[Succeeded]) -> None:
        """Ends ``work`` in the background: nobody waits for a server that does not answer."""
        work.forbid_commit()
        ending = asyncio.create_task(self._stop(work, asyncio.wrap_future(running)))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _stop(self, work: Work, future: asyncio.Future[Succeeded]) -> None:
        future.add_done_callback(forget)
        loop = asyncio.get_running_loop()
        for how in STOPS:
            try:
                await loop.run_in_executor(self._stoppers, work.stop, how)
            except Exception as error:
                LOG.warning("connection %r: a statement could not be stopped: %s", self._connection.name, error)
            await asyncio.wait({future}, timeout=GRACE)
            if future.done():
                return
        LOG.error("connection %r: a statement may still run at the server", self._connection.name)


def outcome(future: asyncio.Future[Succeeded]) -> Ended:
    """The end of a statement, as a status. Raises Refused, Unavailable, or a fault of this program."""
    try:
        return future.result()
    except (TimedOut, Stopped) as error:
        return Failed(str(error) or "the statement took too long", code="STATEMENT_TIMEOUT")
    except Cancelled as error:
        return RetryableFailed(str(error), code="CANCELLED")
    except OutcomeUnknown:
        return outcome_unknown("the connection was lost during the commit")


def outcome_unknown(why: str) -> RetryableFailed:
    return RetryableFailed(f"{why}: whether the statement took effect is not known", code="OUTCOME_UNKNOWN")


def late_outcome(future: asyncio.Future[Succeeded], seconds: float, commits: bool) -> Ended:
    """As above, for a statement whose time was over. It may have succeeded just then, or still be in its commit."""
    if commits and not future.done():
        return outcome_unknown(f"the commit took longer than the statement's {seconds:.1f} s")
    if future.done() and not isinstance(future.exception(), Stopped | Cancelled | TimedOut | Unavailable):
        return outcome(future)
    return Failed(f"the statement took longer than {seconds:.1f} s and was cancelled", code="STATEMENT_TIMEOUT")


def forget(future: asyncio.Future[Succeeded]) -> None:
    """Without this, asyncio logs the exceptions of statements whose callers have left."""
    if not future.cancelled():
        future.exception()
