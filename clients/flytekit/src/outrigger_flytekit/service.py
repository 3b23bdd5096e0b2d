"""The calls of a Flyte connector service, with deadlines, repeats, and errors in words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from . import channel
from .endpoints import BY_TASK_TYPE, ONE, Endpoint
from .errors import ServiceError, StaleToken, Stopped, Unavailable
from .status import Code, Status
from .stop import Stop

Request = Callable[[], Any]

# Seconds that a call may take, and those between tries of a create.
DEADLINE = 30.0
PAUSES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Protocol:
    """One of Flyte's two protocols: its calls on jobs, and how it lists what is served."""

    jobs: Callable[[grpc.Channel], Any]
    list: Callable[[grpc.Channel], Callable[..., Any]]


class Service:
    """A running service that speaks ``protocol``."""

    def __init__(self, endpoint: Endpoint, protocol: Protocol):
        self.endpoint = endpoint
        self._channel = channel.connect(endpoint)
        self._jobs = protocol.jobs(self._channel)
        self._list = protocol.list(self._channel)

    def create(self, request: Request, stop: Stop) -> bytes:
        """Starts a job; its handle.

        A try that got no answer, or one that may pass, is repeated with the same request, which starts no
        second job. Raises ServiceError when the service cannot be asked or refuses.
        """
        for pause in PAUSES:
            try:
                return self._call(self._jobs.CreateTask, request, stop).resource_meta
            except Unavailable as away:
                if stop.wait(max(pause, away.pushback)):
                    raise Stopped from None
        return self._call(self._jobs.CreateTask, request, stop).resource_meta

    def create_once(self, request: Request, until: float) -> bytes:
        """As create, but one try that ends when time.monotonic() is ``until``."""
        return self._call(self._jobs.CreateTask, request, Stop(), until).resource_meta

    def get(self, request: Request, stop: Stop) -> Any:
        """How a job is. Raises ServiceError; Unavailable and StaleToken where asking again may help."""
        return self._call(self._jobs.GetTask, request, stop).resource

    def delete(self, request: Request, until: float) -> None:
        """Stops a job, in one try that ends when time.monotonic() is ``until``. Raises as get does."""
        self._call(self._jobs.DeleteTask, request, Stop(), until)

    def close(self) -> None:
        self._channel.close()

    def _call(self, call: Any, request: Request, stop: Stop, until: float = math.inf) -> Any:
        # A request is made for the call alone: what a traceback shows of this frame has no secret.
        timeout = max(0.0, min(DEADLINE, until - time.monotonic()))
        try:
            return stop.result(call.future(request(), timeout=timeout, metadata=channel.authorization()))
        except grpc.FutureCancelledError:
            raise Stopped from None
        except grpc.RpcError as failure:
            status = Status.of(failure)
        # Outside of the handler: gRPC's frames hold the metadata, and with it the token.
        raise self._in_words(status)

    def _in_words(self, status: Status) -> ServiceError:
        where, code, details = self.endpoint.url, status.code, status.details
        if not status.is_an_answer:
            asked = f"is the service running, and is {ONE} or {BY_TASK_TYPE} right?"
            return self._error(status, f"{where} does not answer ({details}): {asked}")
        if code == Code.UNAUTHENTICATED:
            wanted = "set another" if channel.has_token() else "none is set; set one"
            remedy = f"{wanted} by {channel.TOKEN} or {channel.TOKEN_FILE}"
            refused = StaleToken if channel.token_file() else ServiceError
            return refused(f"{where} wants a token that it accepts ({details}): {remedy}")
        if code == Code.PERMISSION_DENIED:
            remedy = "whoever runs it grants it by a rule in its authentication file"
            return ServiceError(f"{where} does not allow this caller to do that ({details}): {remedy}")
        if code in (Code.UNIMPLEMENTED, Code.NOT_FOUND):
            return ServiceError(f"{where} does not run tasks of this type: {self._served() or details}")
        return self._error(status, f"{where} answered {code.name}: {details}")

    def _error(self, status: Status, words: str) -> ServiceError:
        return Unavailable(words, status.pushback) if status.is_temporary else ServiceError(words)

    def _served(self) -> str:
        """What the service runs, for who asked for something else; nothing if it does not say."""
        try:
            categories = self._list(timeout=DEADLINE, metadata=channel.authorization())
        except (grpc.RpcError, ServiceError):
            return ""
        names = sorted({category.name for category in categories})
        return f"it runs {', '.join(names) or 'none'}. {BY_TASK_TYPE} names a service for each type"

