"""A session of PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator
from typing import Any

import psycopg
from outrigger_plugin import Refused, Unavailable
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.pq.abc import PGresult
from psycopg.types.json import Jsonb

from connections import Connection
from dialects import POSTGRESQL
from outputs import Result, Row, bounded, unreadable
from session import CONNECT_TIMEOUT, CannotConnect, exception
from statement import Statement
from verdicts import of_sqlstate

LOG = logging.getLogger("outrigger_sql")
# Until the end of the transaction, so that a pooler between hands nothing of it on. psycopg reads only these styles.
SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "60s",
}
# A server that has vanished is noticed after 25 seconds.
KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class Streaming(psycopg.RawCursor[Row]):
    """Reads row by row. psycopg's own ``stream`` refuses statements without rows, after they have run."""

    affected = 0

    def _stream_fetchone_gen(self, first: bool) -> PQGen[PGresult | None]:
        result: PGresult | None = yield from generators.fetch(self._pgconn)
        if result is None:
            return None
        if result.status == pq.ExecStatus.SINGLE_TUPLE:
            self._read(result, first)
            return result
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY):
            self._raise_for_result(result)
        self.pgresult = result
        self.affected = result.command_tuples or 0
        while result:
            result = yield from generators.fetch(self._pgconn)
        return None

    def _read(self, result: PGresult, first: bool) -> None:
        self.pgresult = result
        self._tx.set_pgresult(result, set_loaders=first)
        if first:
            self._make_row = self._make_row_maker()


class PostgreSql:
    """See Session."""

    dialect = POSTGRESQL

    def __init__(self, connection: Connection, seconds: float) -> None:
        """Connects. Raises Unavailable."""
        self._settings = connection
        self._connection = connect(connection)
        try:
            self._connection.read_only = connection.read_only
            self._pid = self._begin(seconds)
        except psycopg.Error as error:
            self.close()
            LOG.warning("connection %r: cannot begin: %s", connection.name, error)
            raise CannotConnect(connection) from None

    def _begin(self, seconds: float) -> int:
        """Begins the transaction; the id of the server's process, which a pooler would not know."""
        settings = {**SETTINGS, "statement_timeout": str(max(1, round(seconds * 1000)))}
        calls = "".join(f"set_config(${n}, ${n + 1}, true), " for n in range(1, 2 * len(settings), 2))
        arguments = [text for setting in settings.items() for text in setting]
        with psycopg.RawCursor(self._connection) as cursor:
            row = cursor.execute(f"SELECT {calls}pg_backend_pid()".encode(), arguments).fetchone()
        assert row is not None
        return int(row[-1])

    def run(self, statement: Statement, values: list[Any], max_rows: int) -> Result:
        query = statement.render(str, lambda number: f"${number}")
        with translated(), Streaming(self._connection) as cursor:
            # Closing the rows cancels a statement that has more of them.
            with contextlib.closing(stream(cursor, query, values)) as rows:
                kept = bounded(rows, max_rows)
            if cursor.description is None:
                return Result(None, affected=cursor.affected)
            return Result(tuple(column.name for column in cursor.description), kept)

    def commit(self) -> None:
        with translated():
            self._connection.commit()

    def rollback(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    @property
    def is_lost(self) -> bool:
        return self._connection.closed

    def cancel(self) -> None:
        self._connection.cancel_safe(timeout=CONNECT_TIMEOUT)

    def terminate(self) -> None:
        with connect(self._settings) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [self._pid])


def stream(cursor: Streaming, query: str, values: list[Any]) -> Generator[Row, None, None]:
    yield from cursor.stream(query.encode(), [adapted(value) for value in values])


def adapted(value: Any) -> Any:
    """An object is jsonb, a list an array."""
    if isinstance(value, dict):
        return Jsonb(value)
    return [adapted(item) for item in value] if isinstance(value, list) else value


def connect(connection: Connection) -> psycopg.Connection[Row]:
    """Raises Unavailable."""
    where: dict[str, Any] = {"host": connection.socket or connection.host, "port": connection.port}
    try:
        return psycopg.connect(
            **where,
            **tls(connection),
            **KEEPALIVES,
            dbname=connection.database or connection.user,
            user=connection.user,
            password=connection.read_password(),
            passfile="",
            connect_timeout=CONNECT_TIMEOUT,
            client_encoding="utf8",
            application_name="outrigger-sql",
            prepare_threshold=None,
        )
    except (psycopg.Error, UnicodeError) as error:
        LOG.warning("connection %r: cannot connect: %s", connection.name, error)
        raise CannotConnect(connection) from None


def tls(connection: Connection) -> dict[str, Any]:
    if connection.tls == "off":
        return {"sslmode": "disable"}
    return {"sslmode": "verify-full", "sslrootcert": connection.ca_file or "system"}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise of_error(error) from None
    except (UnicodeError, OverflowError) as error:
        raise Refused(str(error), code="WRONG_VALUE") from None
    except (ValueError, RecursionError) as error:
        # Of what reads a value, such as JSON with a number of 5,000 digits.
        raise unreadable(error) from None


def of_error(error: psycopg.Error) -> Exception:
    if error.sqlstate is not None:
        said = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        return exception(of_sqlstate(error.sqlstate), "; ".join(filter(None, said)), error.sqlstate)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        LOG.warning("a connection was lost: %s", error)
        return Unavailable("the connection to the database was lost", retry_after=1)
    if "COPY" in str(error):
        return Refused("COPY FROM STDIN and COPY TO STDOUT have no place in a task", code="NO_COPY")
    return Refused(str(error), code="WRONG_VALUE")
