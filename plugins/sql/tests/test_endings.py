"""Statements that take too long, whose callers leave, or that defend themselves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from conftest import TIMEOUT, Database, eventually, simple, task
from outrigger_plugin import Ended, Failed, Refused, RetryableFailed, Succeeded, Unavailable

from connections import Connection
from execution import Sql
from running import SERVER_LIMIT_AFTER, Lane, Stopped, Work

INSISTENT = """
DO $$ BEGIN
  LOOP
    BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END;
  END LOOP;
END $$
"""


async def condition(check: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(eventually, check, what)


def test_a_statement_that_runs_too_long_is_cancelled_on_the_server(database: Database) -> None:
    started = time.monotonic()
    answer = database.run(database.sleep, seconds=1.5)
    assert time.monotonic() - started < 1.5
    assert answer == Failed("the statement took longer than 1.2 s and was cancelled", code="STATEMENT_TIMEOUT")
    eventually(lambda: database.running() == [], "the statement has ended")
    assert time.monotonic() - started < 1.2 + SERVER_LIMIT_AFTER, "before the server would have ended it by itself"


def test_the_operators_timeout_counts_too(database: Database) -> None:
    answer = database.run(database.sleep, settings={"timeout": 1})
    assert answer == Failed("the statement took longer than 1.0 s and was cancelled", code="STATEMENT_TIMEOUT")


def test_the_server_knows_the_limit_in_case_the_plugin_dies(database: Database) -> None:
    if database.is_postgresql:
        query = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    else:
        query = "SELECT @@max_statement_time * 1000"
    milliseconds = database.run(query, simple(o0="FLOAT"), seconds=10).outputs["o0"]
    assert 8000 < milliseconds <= 9000, "more than the 8 s of the statement, and within the caller's time"


def test_a_caller_that_leaves_cancels_its_statement_on_the_server(database: Database) -> None:
    async def leave() -> None:
        execution = asyncio.create_task(database.plugin().execute(task(database.sleep)))
        await condition(lambda: database.running() != [], "the statement runs")
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        await condition(lambda: database.running() == [], "the statement has ended")

    asyncio.run(leave())


def test_a_change_that_is_cancelled_is_rolled_back(database: Database) -> None:
    owner = f"flyte{'' if database.is_postgresql else '@localhost'}"
    database.admin("CREATE TABLE slow (n INT)")
    database.admin(f"GRANT ALL ON slow TO {owner}")
    sleep = "(SELECT 1 FROM pg_sleep(600))" if database.is_postgresql else "SLEEP(600)"
    assert isinstance(database.run(f"INSERT INTO slow SELECT {sleep}", seconds=1), Failed)
    eventually(lambda: database.running() == [], "the statement has ended")
    assert database.admin("SELECT count(*) FROM slow") == [(0,)]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_statement_that_survives_its_cancellation_is_ended_with_its_session(
    postgresql: Database, leaves: bool
) -> None:
    async def run() -> None:
        execution = asyncio.create_task(postgresql.plugin().execute(task(INSISTENT, seconds=2)))
        await condition(lambda: postgresql.running() != [], "the statement runs")
        if leaves:
            execution.cancel()
            with pytest.raises(asyncio.CancelledError):
                await execution
        else:
            assert isinstance(await execution, Failed)
        await condition(lambda: postgresql.running() == [], "the statement has ended")

    asyncio.run(run())


def test_a_statement_cannot_lift_its_limit(mariadb: Database) -> None:
    started = time.monotonic()
    query = "SET STATEMENT max_statement_time = 0 FOR SELECT SLEEP(600)"
    assert isinstance(mariadb.run(query, seconds=1), Failed)
    assert time.monotonic() - started < 1
    eventually(lambda: mariadb.running() == [], "the statement has ended")


def test_more_statements_than_connections_wait_their_turn(database: Database) -> None:
    async def run() -> list[Ended]:
        plugin = database.plugin(concurrency=2)
        pause = "SELECT pg_sleep(0.05)" if database.is_postgresql else "SELECT SLEEP(0.05)"
        return list(await asyncio.gather(*(plugin.execute(task(pause, simple())) for _ in range(8))))

    assert all(isinstance(answer, Succeeded) for answer in asyncio.run(run()))


@contextlib.contextmanager
def slow_commits(database: Database, table: str) -> Iterator[None]:
    """Makes a table of which a change takes three seconds to commit."""
    database.admin(f"CREATE TABLE {table} (n INT)")
    if database.is_postgresql:
        database.admin(f"GRANT ALL ON {table} TO flyte")
        sleeps = "BEGIN PERFORM pg_sleep(3); RETURN NULL; END"
        database.admin(f"CREATE FUNCTION {table}_sleeps() RETURNS trigger LANGUAGE plpgsql AS $$ {sleeps} $$")
        database.admin(
            f"CREATE CONSTRAINT TRIGGER sleeping AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_sleeps()"
        )
        yield
        return
    with database.connection() as connection, connection.cursor() as cursor:
        # As a backup does: statements go on, commits wait.
        for stage in ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"):
            cursor.execute(f"BACKUP STAGE {stage}")
        release = threading.Timer(3, lambda: cursor.execute("BACKUP STAGE END"))
        release.start()
        try:
            yield
        finally:
            release.join()


def test_a_commit_that_takes_too_long_has_an_unknown_outcome(database: Database) -> None:
    with slow_commits(database, "slow_to_commit"):
        started = time.monotonic()
        answer = database.run("INSERT INTO slow_to_commit VALUES (1)", seconds=3)
        assert time.monotonic() - started < 3
    message = "the commit took longer than the statement's 2.4 s: whether the statement took effect is not known"
    assert answer == RetryableFailed(message, code="OUTCOME_UNKNOWN")
    eventually(lambda: database.admin("SELECT n FROM slow_to_commit") == [(1,)], "the commit has succeeded after all")


class Finished:
    """A session whose statement has run, and what becomes of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)


@pytest.mark.parametrize("stopped, end", [(False, "commit"), (True, "rollback")])
def test_a_statement_that_was_told_to_end_is_not_committed_even_if_it_succeeds(stopped: bool, end: str) -> None:
    session: Any = Finished()
    work = Work(Connection("main", "mysql", "flyte"), lambda connection, seconds: session, time.monotonic() + TIMEOUT)

    def use(_: Any) -> Succeeded:
        if stopped:
            work.stop(lambda session: session.cancel())
        return Succeeded()

    with pytest.raises(Stopped) if stopped else contextlib.nullcontext():
        work.run(use)
    assert session.calls == [*(["cancel"] if stopped else []), end, "close"]
    work.stop(lambda session: session.terminate())
    assert session.calls[-1] == "close", "another session may have its id by now"


def test_a_statement_that_is_reported_cancelled_is_not_committed_however_late_it_ends() -> None:
    session: Any = Finished()
    lane = Lane(Connection("main", "mysql", "flyte"), lambda connection, seconds: session)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        goes_on.wait(TIMEOUT)

    # What could stop the statement hangs too.
    session.cancel = session.terminate = hang

    def use(_: Any) -> Succeeded:
        assert hangs.wait(TIMEOUT)
        goes_on.wait(TIMEOUT)
        return Succeeded()

    async def run() -> Ended:
        answer = await lane.run(use, 0.1, grace=0.1)
        goes_on.set()
        await condition(lambda: "close" in session.calls, "the statement has ended")
        return answer

    assert isinstance(asyncio.run(run()), Failed)
    assert session.calls == ["rollback", "close"]


async def while_busy(database: Database, then: Callable[[Sql], Awaitable[None]]) -> None:
    """Calls ``then`` while the only connection is in use."""
    plugin = database.plugin(concurrency=1)
    first = asyncio.create_task(plugin.execute(task(database.sleep)))
    await condition(lambda: database.running() != [], "the first statement runs")
    await then(plugin)
    assert len(database.running()) == 1
    first.cancel()
    await condition(lambda: database.running() == [], "the first statement has ended")


def test_a_statement_that_waits_too_long_never_starts(database: Database) -> None:
    async def too_long(plugin: Sql) -> None:
        with pytest.raises(Unavailable, match="connection 'main': busy with other tasks"):
            await plugin.execute(task(database.sleep, seconds=0.5))

    asyncio.run(while_busy(database, too_long))


def test_a_caller_that_leaves_while_it_waits_takes_no_turn(database: Database) -> None:
    async def leave(plugin: Sql) -> None:
        second = asyncio.create_task(plugin.execute(task("SELECT 1")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(while_busy(database, leave))


def test_the_event_loop_is_free_while_a_statement_runs(database: Database) -> None:
    async def longest_pause() -> float:
        execution = asyncio.create_task(database.plugin().execute(task(database.sleep, seconds=1)))
        pause = 0.0
        while not execution.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            pause = max(pause, time.monotonic() - before)
        return pause

    assert asyncio.run(longest_pause()) < 0.5


def test_a_statement_that_somebody_else_cancels_may_be_retried(database: Database) -> None:
    kill = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'flyte' AND state = 'active'"

    # SLEEP would return as if nothing had happened.
    endless = "SELECT count(*) FROM seq_1_to_99999 AS a, seq_1_to_99999 AS b, seq_1_to_99999 AS c WHERE a.seq < c.seq"

    async def run() -> Ended:
        query = database.sleep if database.is_postgresql else endless
        execution = asyncio.create_task(database.plugin().execute(task(query)))
        await condition(lambda: database.running() != [], "the statement runs")
        database.admin(kill if database.is_postgresql else "KILL QUERY USER flyte")
        return await asyncio.wait_for(execution, TIMEOUT)

    answer = asyncio.run(run())
    assert (type(answer), answer.code) == (RetryableFailed, "CANCELLED")


def test_a_connection_that_is_lost_is_an_outage(database: Database) -> None:
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'flyte'"

    async def run() -> None:
        execution = asyncio.create_task(database.plugin().execute(task(database.sleep)))
        await condition(lambda: database.running() != [], "the statement runs")
        database.admin(kill if database.is_postgresql else "KILL USER flyte")
        with pytest.raises(Unavailable):
            await asyncio.wait_for(execution, TIMEOUT)

    asyncio.run(run())


def test_a_commit_whose_answer_is_lost_has_an_unknown_outcome(postgresql: Database) -> None:
    owner = "GRANT ALL ON committed TO flyte"
    postgresql.admin(f"CREATE TABLE committed (n INT); {owner}")
    # It runs at the commit, and takes its own session away.
    postgresql.admin(
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(600); RETURN NULL; END $$"
    )
    postgresql.admin(
        "CREATE CONSTRAINT TRIGGER leaving AFTER INSERT ON committed DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION leave()"
    )
    answer = postgresql.run("INSERT INTO committed VALUES (1)")
    assert (type(answer), answer.code) == (RetryableFailed, "OUTCOME_UNKNOWN")


def test_a_constraint_that_fails_at_the_commit_is_a_refusal(postgresql: Database) -> None:
    postgresql.admin("CREATE TABLE deferred (n INT UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    postgresql.admin("GRANT ALL ON deferred TO flyte")
    with pytest.raises(Refused) as refused:
        postgresql.run("INSERT INTO deferred VALUES (1), (1)")
    assert refused.value.code == "23505"
    assert postgresql.admin("SELECT count(*) FROM deferred") == [(0,)]
