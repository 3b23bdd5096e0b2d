"""Connections to services: TLS, and the caller's token."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import grpc

from .endpoints import Endpoint
from .errors import ServiceError, StaleToken

TOKEN = "OUTRIGGER_TOKEN"
TOKEN_FILE = "OUTRIGGER_TOKEN_FILE"
CA_FILE = "OUTRIGGER_CA_FILE"
# Where Linux distributions keep the system's certificates, if Python does not know.
SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

OPTIONS = (
    # A job's calls are few: a fresh look for the service is worth more than gRPC's growing pauses.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # Results may be larger than gRPC's 4 MiB; the service has its own limit.
    ("grpc.max_receive_message_length", -1),
)


def connect(endpoint: Endpoint) -> grpc.Channel:
    """A channel to ``endpoint``; nothing is sent yet.

    Raises ServiceError when the file of OUTRIGGER_CA_FILE cannot be read.
    """
    options = [*OPTIONS, ("grpc.enable_http_proxy", int(not endpoint.is_loopback))]
    if not endpoint.tls:
        return grpc.insecure_channel(endpoint.target, options)
    return grpc.secure_channel(endpoint.target, grpc.ssl_channel_credentials(roots()), options)


def roots() -> bytes | None:
    """The certificates to believe, in PEM; ``None`` leaves it to gRPC's own list."""
    named = os.environ.get(CA_FILE)
    if named:
        return read(CA_FILE, named)
    for file in (ssl.get_default_verify_paths().cafile, *SYSTEM_ROOTS):
        if file and Path(file).is_file():
            return Path(file).read_bytes()
    return None


def read(variable: str, file: str, refused: type[ServiceError] = ServiceError) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise refused(f"{variable} names {file}, which cannot be read: {error.strerror}") from None


def token_file() -> str | None:
    """The file that the environment names for the token."""
    return os.environ.get(TOKEN_FILE) or None


def has_token() -> bool:
    """Whether the environment names a token."""
    return bool(os.environ.get(TOKEN) or token_file())


def authorization() -> tuple[tuple[str, str], ...]:
    """The metadata of a call.

    Raises ServiceError when there is no telling which token to send, StaleToken when its file holds none.
    No error holds the token.
    """
    token, file = os.environ.get(TOKEN, "").strip(), token_file()
    if token and file:
        token = ""  # A traceback may show variables.
        raise ServiceError(f"{TOKEN} and {TOKEN_FILE} are both set: unset the one that is not to be sent")
    token = from_file(file) if file else token
    if not is_token(token):
        token = ""
        source, refused = (f"{file} of {TOKEN_FILE}", StaleToken) if file else (TOKEN, ServiceError)
        raise refused(f"{source} holds no token: it has blanks or other characters that no token has")
    return (("authorization", f"Bearer {token}"),) if token else ()


def from_file(file: str) -> str:
    """The token in ``file``, read anew for each call, as tokens are renewed. Raises StaleToken without one."""
    token = read(TOKEN_FILE, file, StaleToken).decode("ascii", "replace").strip()
    if not token:
        raise StaleToken(f"{TOKEN_FILE} names {file}, which is empty")
    return token


def is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
