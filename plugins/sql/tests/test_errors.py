"""What an error of a server says about its task, and that it tells no secrets."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest
from conftest import CANARY, Database, task
from outrigger_plugin import Refused, RetryableFailed, Succeeded, Unavailable

import connections
from verdicts import Verdict, of_errno, of_sqlstate


@pytest.mark.parametrize(
    "sqlstate, verdict",
    [
        ("42601", Verdict.REFUSED),
        ("42501", Verdict.REFUSED),
        ("23505", Verdict.REFUSED),
        ("08006", Verdict.UNAVAILABLE),
        ("08P01", Verdict.REFUSED),
        ("40001", Verdict.UNAVAILABLE),
        ("40P01", Verdict.UNAVAILABLE),
        ("40002", Verdict.REFUSED),
        ("53300", Verdict.UNAVAILABLE),
        ("53400", Verdict.REFUSED),
        ("55P03", Verdict.UNAVAILABLE),
        ("57P01", Verdict.UNAVAILABLE),
        ("57014", Verdict.CANCELLED),
        ("25P04", Verdict.TIMED_OUT),
        ("XX000", Verdict.REFUSED),
        ("", Verdict.REFUSED),
        ("?????", Verdict.REFUSED),
    ],
)
def test_a_sqlstate_has_a_verdict(sqlstate: str, verdict: Verdict) -> None:
    assert of_sqlstate(sqlstate) is verdict


@pytest.mark.parametrize(
    "errno, verdict",
    [
        (1064, Verdict.REFUSED),
        (1062, Verdict.REFUSED),
        (1213, Verdict.UNAVAILABLE),
        (1205, Verdict.UNAVAILABLE),
        (1040, Verdict.UNAVAILABLE),
        (1053, Verdict.UNAVAILABLE),
        (2013, Verdict.UNAVAILABLE),
        (1969, Verdict.TIMED_OUT),
        (3024, Verdict.TIMED_OUT),
        (1317, Verdict.CANCELLED),
        (0, Verdict.REFUSED),
        (99999, Verdict.REFUSED),
    ],
)
def test_a_number_of_mysql_has_a_verdict(errno: int, verdict: Verdict) -> None:
    assert of_errno(errno) is verdict


@pytest.mark.parametrize(
    "statement, codes, part",
    [
        ("SELEC 1", ("42601", "42000"), "syntax"),
        ("SELECT * FROM missing", ("42P01", "42S02"), "missing"),
        ("SELECT 1; SELECT 2", ("42601", "42000"), ""),
        ("SELECT 1; DROP TABLE secret", ("42601", "42000"), ""),
        ("DROP TABLE secret", ("42501", "42S02"), "secret"),
        ("SELECT * FROM secret", ("42501", "42000"), "denied"),
    ],
)
def test_a_refusal_has_the_servers_message_and_code(
    database: Database, secret: None, statement: str, codes: tuple[str, str], part: str
) -> None:
    if not database.is_postgresql:
        statement = statement.replace("secret", "hidden.secret")
        codes = (codes[0], "42000" if "DROP TABLE hidden" in statement else codes[1])
    with pytest.raises(Refused) as refused:
        database.run(statement)
    assert part in refused.value.message
    assert refused.value.code == codes[0 if database.is_postgresql else 1]
    assert database.admin(f"SELECT * FROM {'secret' if database.is_postgresql else 'hidden.secret'}") == [(1,)]


@pytest.fixture(scope="module")
def secret(database: Database) -> None:
    """A table that the user may not read."""
    if database.is_postgresql:
        database.admin("CREATE TABLE secret AS SELECT 1 AS n")
    else:
        database.admin("CREATE DATABASE hidden")
        database.admin("CREATE TABLE hidden.secret AS SELECT 1 AS n")


def test_a_constraint_is_named(database: Database) -> None:
    with pytest.raises(Refused):
        database.run("SELECT * FROM keyed")
    database.run("CREATE TABLE keyed (n INT PRIMARY KEY)")
    database.run("INSERT INTO keyed VALUES (1)")
    with pytest.raises(Refused, match=r"(?i)duplicate") as refused:
        database.run("INSERT INTO keyed VALUES (1)")
    assert refused.value.code == ("23505" if database.is_postgresql else "23000")


@pytest.mark.parametrize("direction", ["TO STDOUT", "FROM STDIN"])
def test_copy_is_refused(postgresql: Database, direction: str) -> None:
    postgresql.admin("CREATE TABLE IF NOT EXISTS copied (n INT); GRANT ALL ON copied TO flyte")
    with pytest.raises(Refused) as refused:
        postgresql.run(f"COPY copied {direction}", seconds=5)
    assert refused.value.code == "NO_COPY"


def test_files_of_this_machine_are_not_loaded(mariadb: Database) -> None:
    mariadb.run("CREATE TABLE loaded (line TEXT)")
    with pytest.raises((Refused, Unavailable)):
        mariadb.run("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE loaded")
    assert mariadb.admin("SELECT count(*) FROM loaded") == [(0,)]


def test_a_deadlock_is_an_outage(database: Database) -> None:
    names = ("first", "second")
    pause = "PERFORM pg_sleep(0.3)" if database.is_postgresql else "DO SLEEP(0.3)"
    for name in names:
        database.run(f"CREATE TABLE {name}_lock (n INT PRIMARY KEY, t TEXT)")
        database.run(f"INSERT INTO {name}_lock VALUES (1, '')")
    for name, other in (names, names[::-1]):
        body = f"BEGIN UPDATE {name}_lock SET t = 'x'; {pause}; UPDATE {other}_lock SET t = 'x'; END"
        if database.is_postgresql:
            sql = f"CREATE FUNCTION {name}_then_{other}() RETURNS void LANGUAGE plpgsql AS $$ {body} $$"
        else:
            sql = f"CREATE PROCEDURE {name}_then_{other}() {body}"
        database.run(sql)

    async def both() -> list[Any]:
        plugin = database.plugin()
        call = "SELECT {}()" if database.is_postgresql else "CALL {}()"
        calls = (call.format(f"{name}_then_{other}") for name, other in (names, names[::-1]))
        return await asyncio.gather(*(plugin.execute(task(it)) for it in calls), return_exceptions=True)

    kinds = {type(answer) for answer in asyncio.run(both())}
    assert kinds == {Succeeded, Unavailable}


@pytest.mark.parametrize("password", ["wrong-" + CANARY, ""])
def test_a_login_that_is_refused_tells_no_secret(
    database: Database, password: str, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text(password)
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as outage:
        database.run("SELECT 1", settings={"password_file": str(file)})
    assert outage.value.message == "connection 'main': cannot connect; the service's log says why"
    assert "cannot connect: " in caplog.text
    assert_no_secret(caplog.text, "".join(traceback.format_exception(outage.value)))


def test_nothing_that_is_logged_or_printed_has_the_password(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = database.plugin()
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as refused:
        asyncio.run(plugin.execute(task("SELECT * FROM missing")))
    assert_no_secret(caplog.text, refused.value.message, repr(vars(plugin)), str(connections.read(database.toml())))


def assert_no_secret(*texts: str) -> None:
    assert not [text for text in texts if "canary" in text.lower()]


def test_a_server_that_is_not_there_is_an_outage(database: Database, tmp_path: Any) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        database.run("SELECT 1", settings={"socket": str(tmp_path / "none")})


def test_a_port_that_nothing_listens_on_is_an_outage(database: Database) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        database.run("SELECT 1", settings={"socket": None, "host": "127.0.0.1", "port": 9, "tls": "off"})


def test_too_many_connections_are_an_outage(database: Database) -> None:
    if database.is_postgresql:
        limit, unlimited = "ALTER ROLE flyte CONNECTION LIMIT 0", "ALTER ROLE flyte CONNECTION LIMIT -1"
    else:
        account = "ALTER USER flyte@localhost WITH MAX_CONNECTIONS_PER_HOUR"
        limit, unlimited = f"{account} 1", f"{account} 0"
    database.admin(limit)
    try:
        if not database.is_postgresql:
            database.run("SELECT 1")
        with pytest.raises(Unavailable, match="cannot connect"):
            database.run("SELECT 1")
    finally:
        database.admin(unlimited)
    assert isinstance(database.run("SELECT 1"), Succeeded)


def test_the_password_is_read_for_each_connection(database: Database, tmp_path: Any) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    plugin = database.plugin(password_file=str(file))
    with pytest.raises(Unavailable):
        asyncio.run(plugin.execute(task("SELECT 1")))
    file.write_text(CANARY)
    assert isinstance(asyncio.run(plugin.execute(task("SELECT 1"))), Succeeded)
    file.unlink()
    with pytest.raises(Unavailable, match="connection 'main': its password cannot be read"):
        asyncio.run(plugin.execute(task("SELECT 1")))


def test_a_read_only_connection_changes_nothing(database: Database) -> None:
    database.run("CREATE TABLE precious (n INT)")
    assert database.run("SELECT count(*) AS n FROM precious", settings={"read_only": True}).outputs
    for statement in ("INSERT INTO precious VALUES (1)", "CREATE TABLE more (n INT)", "DROP TABLE precious"):
        with pytest.raises(Refused) as refused:
            database.run(statement, settings={"read_only": True})
        assert refused.value.code in ("25006", "25000", "1792")
    assert database.admin("SELECT count(*) FROM precious") == [(0,)]


def test_nothing_of_a_session_is_left_for_the_next_task(database: Database) -> None:
    async def run() -> list[Any]:
        plugin = database.plugin(concurrency=1)
        if database.is_postgresql:
            statements = ["SET search_path = nowhere", "SELECT current_setting('search_path') AS x"]
        else:
            statements = ["SET @x = 'left'", "SELECT IF(@x IS NULL, 'nothing', 'left') AS x"]
        return [await plugin.execute(task(statement)) for statement in statements]

    found = asyncio.run(run())[1].outputs["results"]
    assert found == [{"x": '"$user", public' if database.is_postgresql else "nothing"}]


def test_an_end_of_its_transaction_is_all_that_a_statement_gets(database: Database) -> None:
    for statement in ("COMMIT", "ROLLBACK", "START TRANSACTION"):
        answer = database.run(statement)
        assert isinstance(answer, Succeeded) and not isinstance(answer, RetryableFailed)
