"""Real servers of PostgreSQL and MariaDB, private to the tests, and tasks that are run on them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pymysql
import pytest
from outrigger_plugin import Ended, Task

import connections
from execution import Sql

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent

TIMEOUT = 30.0
# It must not occur anywhere but in the files and calls that need it.
CANARY = "canary-Zq7-'\"\\%s"
USER = "flyte"


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Waits until ``condition()`` is true, and returns what it gave."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in time: {what}")


def simple(**outputs: str) -> dict[str, Any]:
    """An interface with outputs of simple types."""
    return interface(**{name: {"simple": kind} for name, kind in outputs.items()})


def interface(inputs: dict[str, Any] | None = None, **outputs: Any) -> dict[str, Any]:
    """An interface as the bridge writes it."""
    sides = {"inputs": inputs or {}, "outputs": outputs}
    return {
        side: {"variables": {name: {"type": kind, "description": ""} for name, kind in types.items()}}
        for side, types in sides.items()
    }


def task(statement: str | None, declares: dict[str, Any] | None = None, seconds: float = 30.0, **fields: Any) -> Task:
    template = {} if declares is None else {"interface": declares}
    deadline = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return Task("sql", sql=statement, template=template, deadline=deadline, **fields)


@dataclasses.dataclass
class Database:
    """A server, and a user of it who may create tables."""

    driver: str
    directory: pathlib.Path
    admin: Callable[..., list[tuple[Any, ...]]]
    process: subprocess.Popen[bytes] | None = None

    @property
    def is_postgresql(self) -> bool:
        return self.driver == "postgresql"

    def toml(self, name: str = "main", **settings: Any) -> str:
        defaults = {
            "driver": self.driver,
            "socket": str(self.directory if self.is_postgresql else self.directory / "server.sock"),
            "user": USER,
            "database": "shop",
            "password-file": str(self.directory / "password"),
        }
        changed = {**defaults, **{key.replace("_", "-"): value for key, value in settings.items()}}
        lines = (f"{key} = {toml_value(value)}" for key, value in changed.items() if value is not None)
        return "\n".join([f"[connections.{name}]", *lines, ""])

    def plugin(self, **settings: Any) -> Sql:
        return Sql(connections.read(self.toml(**settings)))

    def run(self, statement: str | None, declares: Any = None, settings: Any = None, **fields: Any) -> Ended:
        """Runs a statement to its end."""
        return asyncio.run(self.plugin(**(settings or {})).execute(task(statement, declares, **fields)))

    def values(self, statement: str, **fields: Any) -> list[Any]:
        """The values of the only row, as plain JSON."""
        (row,) = self.run(statement, **fields).outputs["results"]
        return list(row.values())

    def running(self) -> list[str]:
        """The statements that run at the server for the user."""
        if self.is_postgresql:
            query = "SELECT query FROM pg_stat_activity WHERE usename = 'flyte' AND state = 'active'"
        else:
            query = "SELECT info FROM information_schema.processlist WHERE user = 'flyte' AND info IS NOT NULL"
        return [row[0] for row in self.admin(query)]

    def connection(self) -> pymysql.Connection[Any]:
        """A session of MySQL's administrator that stays open."""
        return pymysql.connect(unix_socket=str(self.directory / "server.sock"), user="root", database="shop")

    @property
    def sleep(self) -> str:
        return "SELECT pg_sleep(600)" if self.is_postgresql else "SELECT SLEEP(600)"

    @property
    def many_rows(self) -> str:
        """More rows than fit into any memory."""
        if self.is_postgresql:
            return "SELECT generate_series(1, 1000000000000), repeat('x', 100)"
        return "SELECT seq, REPEAT('x', 100) FROM seq_1_to_1000000000000"


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else "'''" + value + "'''"


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    """Both, in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Database]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Database]:
    with mariadb_server() as server:
        yield server


@contextlib.contextmanager
def postgresql_server() -> Iterator[Database]:
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    bin_directory = pathlib.Path(needed(programs[-1] if programs else None, "postgres", "postgresql")).parent
    with private_directory("postgres") as (directory, as_user):
        data = directory / "data"
        subprocess.run(
            [*as_user, bin_directory / "initdb", "-D", data, "-U", "admin", "-A", "trust", "-N", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
        )
        (data / "pg_hba.conf").write_text(f"local all {USER} scram-sha-256\nlocal all admin trust\n")
        options = [
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=16MB",
            "-c",
            "max_connections=30",
        ]
        command = [*as_user, bin_directory / "postgres", "-D", data, "-k", directory, *options]

        def admin(query: str, database: str = "shop") -> list[tuple[Any, ...]]:
            with psycopg.connect(host=str(directory), user="admin", dbname=database, autocommit=True) as connection:
                cursor = connection.execute(query.encode())
                return cursor.fetchall() if cursor.description else []

        with server(Database("postgresql", directory, admin), command, lambda: admin("SELECT 1", "postgres")) as it:
            admin("CREATE DATABASE shop", "postgres")
            literal = CANARY.replace("'", "''")
            admin(f"CREATE ROLE {USER} LOGIN PASSWORD '{literal}'; GRANT CREATE ON SCHEMA public TO {USER}")
            yield it


@contextlib.contextmanager
def mariadb_server() -> Iterator[Database]:
    program = needed(shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:/usr/bin"), "mariadbd", "mariadb-server")
    with private_directory("mysql") as (directory, as_user):
        data, socket = f"--datadir={directory / 'data'}", directory / "server.sock"
        install = ["mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal"]
        subprocess.run(
            [*as_user, *install, "--skip-test-db"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        small = ["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
        own = ["--no-defaults", data, f"--socket={socket}", f"--pid-file={directory / 'pid'}", "--skip-networking"]

        def admin(query: str, database: str = "shop") -> list[tuple[Any, ...]]:
            with (
                pymysql.connect(unix_socket=str(socket), user="root", database=database, autocommit=True) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(query)
                return list(cursor.fetchall())

        it = Database("mysql", directory, admin)
        with server(it, [*as_user, program, *own, *small], lambda: admin("SELECT 1", "mysql")):
            admin("CREATE DATABASE shop", "mysql")
            literal = CANARY.replace("\\", "\\\\").replace("'", "''")
            admin(f"CREATE USER {USER}@localhost IDENTIFIED BY '{literal}'")
            admin(f"GRANT ALL ON shop.* TO {USER}@localhost")
            yield it


def needed(program: Any, name: str, package: str) -> str:
    """The program. Without it tests are skipped, but not in CI."""
    if program is None:
        reason = f"{name} is not installed (Debian: {package})"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    return str(program)


@contextlib.contextmanager
def private_directory(user: str) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """A directory of the server's own, with a short path for sockets; what starts a program as its user.

    The servers refuse to run as root.
    """
    # Not pytest's directories: others cannot enter them.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sql-", dir="/tmp"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            as_user = ["runuser", "-u", pwd.getpwnam(user).pw_name, "--"]
        as_user = as_user or ["runuser", "-u", "nobody", "--"]
        shutil.chown(directory, as_user[2])
    (directory / "password").write_text(CANARY + "\n")
    try:
        yield directory, as_user
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def server(database: Database, command: list[Any], ask: Callable[[], Any]) -> Iterator[Database]:
    """Runs the server until it answers and, after the tests, ends it."""
    log = database.directory / "log"
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=database.directory)
    database.process = process

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the server ended: {log.read_text()}")
        with contextlib.suppress(psycopg.Error, pymysql.Error):
            return bool(ask())
        return False

    try:
        eventually(answers, "the server answers")
        yield database
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGINT is PostgreSQL's fast shutdown; runuser passes on SIGTERM alone, which MariaDB also takes."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.terminate()
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), 9)
        process.kill()
        process.wait()
