"""A session of MySQL or MariaDB."""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pymysql
from outrigger_plugin import Refused, Unavailable
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.cursors import SSCursor

import dialects
from connections import Connection
from outputs import Result, Row, bounded, unreadable, wrong
from session import CONNECT_TIMEOUT, CannotConnect, exception
from statement import Statement
from verdicts import of_errno

LOG = logging.getLogger("outrigger_sql")
# How much longer than its statement a connection may be silent, in seconds: until then it is cancelled.
PATIENCE = 15.0


class MySql:
    """See Session."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        """Connects. Raises Unavailable."""
        self._settings = connection
        self._connection = connect(connection, seconds + PATIENCE)
        try:
            self._id, sql_mode = self._begin(seconds)
        except pymysql.Error as error:
            self.close()
            LOG.warning("connection %r: cannot begin: %s", connection.name, error)
            raise CannotConnect(connection) from None
        self.dialect = dialects.mysql(sql_mode)

    def _begin(self, seconds: float) -> tuple[int, str]:
        """Begins the transaction; the id of the session, and its modes."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT VERSION(), CONNECTION_ID(), @@sql_mode")
            rows: Any = cursor.fetchall()
            ((version, session_id, sql_mode),) = rows
            limit = "max_statement_time = %s" if "MariaDB" in version else "max_execution_time = %s * 1000"
            cursor.execute(f"SET SESSION time_zone = '+00:00', {limit}", [round(seconds, 3)])
            if self._settings.read_only:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute("START TRANSACTION")
        return int(session_id), str(sql_mode)

    def run(self, statement: Statement, values: list[Any], max_rows: int) -> Result:
        # Blanks keep a value apart from what is beside it, such as a minus sign.
        query = statement.render(lambda text: text.replace("%", "%%"), lambda number: " %s ")
        with translated(), self._cursor() as cursor:
            cursor.execute(query, [adapted(value) for value in values])
            result = read(cursor, max_rows)
            while cursor.nextset():
                if cursor.description is not None:
                    raise wrong("the statement returns several results: expected one")
            return result

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[SSCursor]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        except BaseException:
            self._drop_rows(cursor)
            raise
        finally:
            with contextlib.suppress(pymysql.Error, AttributeError):
                cursor.close()

    def _drop_rows(self, cursor: SSCursor) -> None:
        """Sees to it that no rows are left: closing the cursor would read them all."""
        result: Any = self._connection._result  # type: ignore[attr-defined]
        if result is None or not result.unbuffered_active:
            return
        try:
            self.cancel()
        except (Unavailable, pymysql.Error) as error:
            # There may be no second connection. Without the first one, the server stops sending and rolls back.
            LOG.warning("connection %r: closed, because of rows that are left: %s", self._settings.name, error)
            result.unbuffered_active = False
            self._connection._force_close()  # type: ignore[attr-defined]

    def commit(self) -> None:
        with translated():
            self._connection.commit()

    def rollback(self) -> None:
        with contextlib.suppress(pymysql.Error):
            self._connection.rollback()

    def close(self) -> None:
        with contextlib.suppress(pymysql.Error):
            self._connection.close()

    @property
    def is_lost(self) -> bool:
        return not self._connection.open

    def cancel(self) -> None:
        self._kill("KILL QUERY %s")

    def terminate(self) -> None:
        self._kill("KILL CONNECTION %s")

    def _kill(self, statement: str) -> None:
        with connect(self._settings, CONNECT_TIMEOUT) as other, other.cursor() as cursor:
            cursor.execute(statement, [self._id])


def connect(connection: Connection, silence: float) -> pymysql.Connection[SSCursor]:
    """Raises Unavailable."""
    where: dict[str, Any] = {"unix_socket": connection.socket} if connection.socket else {"host": connection.host}
    try:
        return pymysql.connect(
            **where,
            **tls(connection),
            port=connection.port,
            user=connection.user,
            password=connection.read_password(),
            database=connection.database or None,
            charset="utf8mb4",
            autocommit=False,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=silence,
            write_timeout=silence,
            # The rows that an UPDATE found, as in PostgreSQL, not only those that it changed.
            client_flag=CLIENT.FOUND_ROWS,
            cursorclass=SSCursor,
            program_name="outrigger-sql",
        )
    # RuntimeError: for a login that needs a package, or TLS.
    except (pymysql.Error, OSError, RuntimeError, UnicodeError) as error:
        LOG.warning("connection %r: cannot connect: %s", connection.name, error)
        raise CannotConnect(connection) from None


def tls(connection: Connection) -> dict[str, Any]:
    if connection.tls == "off":
        return {"ssl_disabled": True}
    return {"ssl": ssl.create_default_context(cafile=connection.ca_file or None)}


def read(cursor: SSCursor, max_rows: int) -> Result:
    if cursor.description is None:
        return Result(None, affected=cursor.rowcount)
    # The stubs have a string for each type.
    columns: Any = cursor.description
    is_json = [column[1] == FIELD_TYPE.JSON for column in columns]
    rows: Iterator[Row] = iter(cursor.fetchone, None)
    if any(is_json):
        rows = (tuple(map(read_cell, row, is_json)) for row in rows)
    return Result(tuple(column[0] for column in columns), bounded(rows, max_rows))


def read_cell(value: Any, is_json: bool) -> Any:
    """The driver leaves JSON as text."""
    return json.loads(value) if is_json and value is not None else value


def adapted(value: Any) -> Any:
    """As MySQL has it: times in UTC without a zone, and JSON for lists and objects."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, timedelta):
        return time_of(value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def time_of(span: timedelta) -> str:
    """As a TIME, of which the driver writes none that is negative."""
    microseconds = abs(span) // timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{'-' if span < timedelta() else ''}{hours:02}:{minute:02}:{second:02}.{fraction:06}"


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver as ours."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise of_error(error) from None
    except (UnicodeError, OverflowError) as error:
        raise Refused(str(error), code="WRONG_VALUE") from None
    except (ValueError, RecursionError) as error:
        # Of what reads a value, such as JSON with a number of 5,000 digits.
        raise unreadable(error) from None


def of_error(error: pymysql.MySQLError) -> Exception:
    errno, *rest = (*error.args, None)
    if isinstance(error, pymysql.InterfaceError) or errno in (0, None):
        return Unavailable("the connection to the database was lost", retry_after=1)
    if not isinstance(errno, int):
        return Refused(str(error), code="WRONG_VALUE")
    if 2000 <= errno < 2100:
        LOG.warning("a connection was lost: %s", error)
        return Unavailable("the connection to the database was lost", retry_after=1)
    state = getattr(error, "sqlstate", None)
    # HY000 stands for everything.
    code = state if state not in (None, "", "HY000") else str(errno)
    return exception(of_errno(errno), str(rest[0]), code)
