"""Which service runs which task type, according to the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from .errors import ServiceError

ONE = "OUTRIGGER_ENDPOINT"
BY_TASK_TYPE = "OUTRIGGER_ENDPOINTS"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """The address of a service."""

    url: str
    target: str
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Parses ``http://host:port`` or ``https://host:port``.

        Raises ServiceError for anything else.
        """
        try:
            parts = urlsplit(url)
            default = PORTS[parts.scheme]
            port = default if parts.port is None else parts.port
        except (KeyError, ValueError):
            raise malformed(url) from None
        beyond = parts.path.strip("/") or parts.query or parts.fragment
        # urlsplit drops line breaks and tabs without a word.
        if not (parts.hostname and port and url.isprintable()) or " " in url or "@" in parts.netloc or beyond:
            raise malformed(url)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{parts.scheme}://{host}:{port}", f"{host}:{port}", parts.scheme == "https")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, which is reached without a proxy."""
        host = self.target.rpartition(":")[0].strip("[]")
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


def malformed(url: str) -> ServiceError:
    # The part before an @ may be a password.
    shown = url.rpartition("@")[2]
    return ServiceError(f"{shown!r} is not a valid endpoint: write http://HOST:PORT or https://HOST:PORT")


def are_configured() -> bool:
    """Whether the environment configures any service."""
    return any(os.environ.get(name, "").strip() for name in (ONE, BY_TASK_TYPE))


def of_task_type(task_type: str) -> Endpoint | None:
    """The service that runs ``task_type``; ``None`` if the environment configures none.

    Raises ServiceError if the environment is malformed.
    """
    url = by_task_type().get(task_type) or os.environ.get(ONE, "").strip()
    return Endpoint.parse(url) if url else None


def by_task_type() -> dict[str, str]:
    pairs = {}
    for entry in filter(None, map(str.strip, os.environ.get(BY_TASK_TYPE, "").split(","))):
        task_type, equals, url = entry.partition("=")
        if not (task_type.strip() and equals and url.strip()):
            raise ServiceError(
                f"{BY_TASK_TYPE} has {entry!r}: write TASK_TYPE=http://HOST:PORT, separated by commas"
            )
        pairs[task_type.strip()] = url.strip()
    return pairs
