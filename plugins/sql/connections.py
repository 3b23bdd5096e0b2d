"""The databases that the operator has configured. Tasks name them and have no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outrigger_plugin import Unavailable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "SQL_CONNECTIONS_FILE"
PORTS = {"postgresql": 5432, "mysql": 3306}
MODES = ("verify", "off")


class Misconfigured(ValueError):
    """The file of connections is wrong; the message names the setting."""


@dataclass(frozen=True)
class Password:
    """Where a password is. It is read for each connection, so that it can be replaced while the service runs."""

    file: str | None = None
    env: str | None = None

    def read(self) -> str:
        """The password; empty if there is none. Raises OSError or KeyError."""
        if self.file is not None:
            return Path(self.file).read_text().rstrip("\r\n")
        return os.environ[self.env] if self.env is not None else ""


@dataclass(frozen=True)
class Connection:
    """A database, and what tasks may do with it."""

    name: str
    driver: str
    user: str
    host: str = ""
    port: int = 0
    socket: str = ""
    database: str = ""
    tls: str = "verify"
    ca_file: str = ""
    read_only: bool = False
    max_rows: int = 1000
    timeout: int = 0
    concurrency: int = 10
    password: Password = field(default_factory=Password)

    def read_password(self) -> str:
        """Raises Unavailable, whose message has no path: callers see it."""
        try:
            return self.password.read()
        except (OSError, KeyError, UnicodeDecodeError):
            raise Unavailable(f"connection {self.name!r}: its password cannot be read", retry_after=30) from None


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Connection]:
    """The connections by name. Raises Misconfigured."""
    path = environment.get(VARIABLE)
    if not path:
        raise Misconfigured(f"{VARIABLE}: not set; it is the path of a TOML file with the connections")
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{VARIABLE}: {path} cannot be read: {error}") from None
    return read(text)


def read(text: str) -> dict[str, Connection]:
    """The connections in a TOML file. Raises Misconfigured."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{VARIABLE}: no TOML: {error}") from None
    refuse_others(tables, {"connections"}, "the file")
    found = tables.get("connections")
    if not isinstance(found, dict) or not found:
        raise Misconfigured("connections: expected a table for each, as [connections.NAME]")
    return {name: connection(name, settings) for name, settings in found.items()}


TYPES: dict[str, type] = {
    "driver": str,
    "user": str,
    "host": str,
    "port": int,
    "socket": str,
    "database": str,
    "tls": str,
    "ca-file": str,
    "read-only": bool,
    "max-rows": int,
    "timeout": int,
    "concurrency": int,
    "password-file": str,
    "password-env": str,
}


def connection(name: str, settings: Any) -> Connection:
    where = f"connections.{name}"
    if not isinstance(settings, dict):
        raise Misconfigured(f"{where}: expected a table")
    check_types(settings, where)
    check_sense(settings, where)
    plain = {key.replace("-", "_"): value for key, value in settings.items() if not key.startswith("password")}
    plain.setdefault("port", PORTS[plain["driver"]])
    # A socket does not leave the machine.
    plain.setdefault("tls", "off" if "socket" in plain else "verify")
    return Connection(name, password=password(settings, where), **plain)


def check_types(settings: dict[str, Any], where: str) -> None:
    refuse_others(settings, set(TYPES), where)
    for key, value in settings.items():
        if type(value) is not TYPES[key]:
            raise Misconfigured(f"{where}.{key}: expected {TYPES[key].__name__}, not {type(value).__name__}")
        if type(value) is int and value < 1:
            raise Misconfigured(f"{where}.{key}: expected 1 or more, not {value}")
    for key in ("driver", "user"):
        if not settings.get(key):
            raise Misconfigured(f"{where}.{key}: missing")


def check_sense(settings: dict[str, Any], where: str) -> None:
    if settings["driver"] not in PORTS:
        raise Misconfigured(f"{where}.driver: expected {' or '.join(PORTS)}, not {settings['driver']!r}")
    if ("host" in settings) == ("socket" in settings):
        raise Misconfigured(f"{where}: expected either host or socket")
    if settings.get("tls", "verify") not in MODES:
        raise Misconfigured(f"{where}.tls: expected {' or '.join(MODES)}, not {settings['tls']!r}")
    if settings.get("tls") == "verify" and "socket" in settings:
        raise Misconfigured(f"{where}.tls: only with host")


def password(settings: dict[str, Any], where: str) -> Password:
    file, env = settings.get("password-file"), settings.get("password-env")
    if file is not None and env is not None:
        raise Misconfigured(f"{where}: expected either password-file or password-env")
    found = Password(file, env)
    try:
        found.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{where}.password-file: cannot be read: {type(error).__name__}") from None
    except KeyError:
        raise Misconfigured(f"{where}.password-env: {env} is not set") from None
    return found


def refuse_others(settings: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in settings:
        if key not in known:
            raise Misconfigured(f"{where}: unknown key {key!r}; there are {', '.join(sorted(known))}")
