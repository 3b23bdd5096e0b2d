"""The task type ``sql``: one statement of PostgreSQL or MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outrigger_plugin import Ended, Refused, Succeeded, SyncPlugin, Task, Unavailable

import inputs
import outputs
from connections import Connection
from interface import kinds
from mysql import MySql
from postgres import PostgreSql
from running import GRACE, Lane
from session import Open, Session
from statement import parse

DRIVERS: dict[str, Open] = {"postgresql": PostgreSql, "mysql": MySql}
KEYS = ("connection", "max_rows")
# Of the caller's time, this part is for the answer about a statement that did not end in time; in seconds at most.
RESERVE, MAX_RESERVE = 0.2, 3.0


class Sql(SyncPlugin):
    """Runs the statement of a task in a transaction of its own."""

    task_type = "sql"

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        self._connections = dict(connections)
        self._lanes = {name: Lane(it, DRIVERS[it.driver]) for name, it in connections.items()}

    async def execute(self, task: Task) -> Ended:
        """See SyncPlugin."""
        for key in task.custom:
            if key not in KEYS:
                raise wrong_setting(f"custom.{key}: unknown; there are {' and '.join(KEYS)}")
        connection = self._connection(task.custom.get("connection"))
        max_rows = rows_allowed(task.custom.get("max_rows"), connection)
        declared = kinds(task.template, "outputs")

        def use(session: Session) -> Succeeded:
            statement = parse(task.sql, session.dialect)
            result = session.run(statement, inputs.values(task, statement), max_rows)
            return outputs.succeeded(result, declared)

        seconds, grace = times(task.time_left(), connection.timeout)
        return await self._lanes[connection.name].run(use, seconds, grace)

    def _connection(self, name: Any) -> Connection:
        """The connection called ``name``, or the only one. Raises Refused."""
        there_are = f"there are {', '.join(sorted(self._connections))}"
        if name is None:
            if len(self._connections) > 1:
                raise wrong_setting(f"custom.connection: missing; {there_are}")
            return next(iter(self._connections.values()))
        found = self._connections.get(name) if isinstance(name, str) else None
        if found is None:
            raise wrong_setting(f"custom.connection: no connection {name!r}; {there_are}")
        return found


def rows_allowed(asked: Any, connection: Connection) -> int:
    """How many rows the result may have. Raises Refused."""
    if asked is None:
        return connection.max_rows
    # Flyte has doubles alone in a task's settings.
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not 1 <= asked <= connection.max_rows:
        message = f"custom.max_rows: expected 1 to {connection.max_rows} for connection {connection.name!r}"
        raise wrong_setting(f"{message}, not {asked!r}")
    return int(asked)


def times(left: float, timeout: int) -> tuple[float, float]:
    """How long the statement may take, and how long to wait for its end after that. Raises Unavailable."""
    reserve = min(left * RESERVE, MAX_RESERVE)
    seconds = left - reserve
    if seconds <= 0:
        raise Unavailable("no time left for the statement")
    return min(seconds, timeout or seconds), min(reserve / 2, GRACE)


def wrong_setting(message: str) -> Refused:
    return Refused(message, code="WRONG_SETTING")
