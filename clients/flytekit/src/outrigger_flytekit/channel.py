"""Connections to services: TLS and the caller's token."""

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
# Where Linux distributions keep the system's certificates, in case Python does not know.
SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

OPTIONS = (
    # A job makes few calls, so reconnect quickly instead of with gRPC's growing backoff.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # Results may exceed gRPC's 4 MiB; the service has its own limit.
    ("grpc.max_receive_message_length", -1),
)


def connect(endpoint: Endpoint) -> grpc.Channel:
    """A channel to ``endpoint``, not yet connected.

    Raises ServiceError if the file in OUTRIGGER_CA_FILE has no certificates or cannot be read.
    """
    options = [*OPTIONS, ("grpc.enable_http_proxy", int(not endpoint.is_loopback))]
    if not endpoint.tls:
        return grpc.insecure_channel(endpoint.target, options)
    return grpc.secure_channel(endpoint.target, grpc.ssl_channel_credentials(roots()), options)


def roots() -> bytes | None:
    """The trusted CA certificates in PEM; ``None`` for gRPC's own list."""
    named = os.environ.get(CA_FILE)
    if named:
        return certificates(named)
    for file in (ssl.get_default_verify_paths().cafile, *SYSTEM_ROOTS):
        if file and Path(file).is_file():
            return Path(file).read_bytes()
    return None


def certificates(file: str) -> bytes:
    """The certificates in ``file``. gRPC itself would only fail to connect, without a reason."""
    text = read(CA_FILE, file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.decode("ascii"))
    except (ValueError, ssl.SSLError):
        raise ServiceError(f"{CA_FILE} names {file}, which does not contain certificates in PEM") from None
    return text


def read(variable: str, file: str, refused: type[ServiceError] = ServiceError) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise refused(f"{variable} names {file}, which cannot be read: {error.strerror}") from None


def token_file() -> str | None:
    """The token file named by the environment."""
    return os.environ.get(TOKEN_FILE) or None


def has_token() -> bool:
    """Whether the environment configures a token."""
    return bool(os.environ.get(TOKEN) or token_file())


def authorization() -> tuple[tuple[str, str], ...]:
    """The metadata of a call.

    Raises ServiceError if the token is ambiguous or malformed, StaleToken if the token file contains none.
    No error contains the token.
    """
    token, file = os.environ.get(TOKEN, ""), token_file()
    if token and file:
        token = ""  # Tracebacks may show local variables.
        raise ServiceError(f"{TOKEN} and {TOKEN_FILE} are both set: unset one of them")
    if token and not token.strip():
        raise ServiceError(f"{TOKEN} is blank: set it to a token, or unset it")
    token = from_file(file) if file else token.strip()
    if not is_token(token):
        token = ""
        source, refused = (f"{file} of {TOKEN_FILE}", StaleToken) if file else (TOKEN, ServiceError)
        raise refused(f"{source} does not contain a token: it has spaces or other invalid characters")
    return (("authorization", f"Bearer {token}"),) if token else ()


def from_file(file: str) -> str:
    """The token in ``file``, read for each call, because tokens are renewed. Raises StaleToken if there is none."""
    token = read(TOKEN_FILE, file, StaleToken).decode("ascii", "replace").strip()
    if not token:
        raise StaleToken(f"{TOKEN_FILE} names {file}, which is empty")
    return token


def is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
