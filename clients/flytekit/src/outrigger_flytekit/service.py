"""The calls of a Flyte connector service, with deadlines, repeats and readable errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from . import channel
from .endpoints import BY_TASK_TYPE, ONE, Endpoint
from .errors import ServiceError, StaleToken, Stopped, Unanswered, Unavailable
from .status import Code, Status
from .stop import Stop

Request = Callable[[], Any]

# Deadline of a call, and pauses between attempts, in seconds.
DEADLINE = 30.0
PAUSES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Protocol:
    """One of Flyte's two protocols: its calls for tasks, and how it lists the task types served."""

    tasks: Callable[[grpc.Channel], Any]
    list: Callable[[grpc.Channel], Callable[..., Any]]


class Service:
    """A running service that speaks ``protocol``."""

    def __init__(self, endpoint: Endpoint, protocol: Protocol):
        self.endpoint = endpoint
        self._channel = channel.connect(endpoint)
        self._tasks = protocol.tasks(self._channel)
        self._list = protocol.list(self._channel)

    def create(self, request: Request, stop: Stop) -> bytes:
        """Starts a job. Returns its handle.

        An attempt without an answer, or with a transient error, is repeated with the same request, which starts no
        second job. Raises ServiceError if the service is unavailable or refuses.
        """
        return self._repeated(lambda: self._call(self._tasks.CreateTask, request, stop).resource_meta, stop)

    def create_once(self, request: Request, until: float) -> bytes:
        """Like create, but a single attempt that ends when time.monotonic() is ``until``."""
        return self._call_while_exiting(self._tasks.CreateTask, request, until).resource_meta

    def execute(self, request: Request, stop: Stop) -> Any:
        """The answer to a task that needs no job. Raises like create.

        A transient error is repeated, a missing answer is not: what was done may have a price, and would be done again.
        """
        return self._repeated(lambda: self._stream(self._tasks.ExecuteTaskSync, request, stop), stop, (Unanswered,))

    def get(self, request: Request, stop: Stop) -> Any:
        """The status of a job. Raises ServiceError; Unavailable and StaleToken if a repeat may succeed."""
        return self._call(self._tasks.GetTask, request, stop).resource

    def delete(self, request: Request, until: float) -> None:
        """Cancels a job, in a single attempt that ends when time.monotonic() is ``until``. Raises like get."""
        self._call_while_exiting(self._tasks.DeleteTask, request, until)

    def close(self) -> None:
        self._channel.close()

    def _repeated(self, attempt: Callable[[], Any], stop: Stop, final: tuple[type[Unavailable], ...] = ()) -> Any:
        for pause in PAUSES:
            try:
                return attempt()
            except final:
                raise
            except Unavailable as away:
                if stop.wait(max(pause, away.pushback)):
                    raise Stopped from None
        return attempt()

    def _call(self, call: Any, request: Request, stop: Stop) -> Any:
        # The request is not kept in a variable, so that a traceback of this frame shows no secret.
        try:
            return stop.result(call.future(request(), timeout=DEADLINE, metadata=channel.authorization()))
        except grpc.FutureCancelledError:
            raise Stopped from None
        except grpc.RpcError as failure:
            status = Status.of(failure)
        # Outside of the handler: gRPC's frames contain the metadata, and with it the token.
        raise self._readable(status)

    def _stream(self, call: Any, request: Request, stop: Stop) -> Any:
        try:
            answer = stop.first(call(iter(request()), timeout=DEADLINE, metadata=channel.authorization()))
        except grpc.RpcError as failure:
            status = Status.of(failure)
        else:
            if answer is None:
                raise ServiceError(f"{self.endpoint.url} ended the call without an answer")
            return answer.header.resource
        if status.code == Code.CANCELLED and stop.is_set():
            raise Stopped
        raise self._readable(status)

    def _call_while_exiting(self, call: Any, request: Request, until: float) -> Any:
        """A call that no other thread can cancel.

        It starts no thread, unlike gRPC's futures: from Python 3.12 on, a program that is about to exit cannot.
        """
        timeout = max(0.0, min(DEADLINE, until - time.monotonic()))
        try:
            return call(request(), timeout=timeout, metadata=channel.authorization())
        except grpc.RpcError as failure:
            status = Status.of(failure)
        raise self._readable(status)

    def _readable(self, status: Status) -> ServiceError:
        where, code, details = self.endpoint.url, status.code, status.details
        if not status.is_an_answer:
            remedy = f"check that the service is running, and that {ONE} or {BY_TASK_TYPE} is correct"
            return Unanswered(f"{where} does not answer ({details}): {remedy}", status.pushback)
        if code == Code.UNAUTHENTICATED:
            wanted = "set another one" if channel.has_token() else "no token is set; set one"
            remedy = f"{wanted} in {channel.TOKEN} or {channel.TOKEN_FILE}"
            refused = StaleToken if channel.token_file() else ServiceError
            return refused(f"{where} requires a valid token ({details}): {remedy}")
        if code == Code.PERMISSION_DENIED:
            remedy = "its operator can add a rule to its authentication file"
            return ServiceError(f"{where} does not allow this call ({details}): {remedy}")
        if code in (Code.UNIMPLEMENTED, Code.NOT_FOUND):
            return ServiceError(f"{where} does not run tasks of this type: {self._served() or details}")
        return self._error(status, f"{where} answered {code.name}: {details}")

    def _error(self, status: Status, message: str) -> ServiceError:
        if not status.is_temporary:
            return ServiceError(message)
        away = Unanswered if status.code == Code.DEADLINE_EXCEEDED else Unavailable
        return away(message, status.pushback)

    def _served(self) -> str:
        """The task types that the service runs, for an error message; empty if it does not answer."""
        try:
            categories = self._list(timeout=DEADLINE, metadata=channel.authorization())
        except (grpc.RpcError, ServiceError):
            return ""
        names = sorted({category.name for category in categories})
        return f"it runs {', '.join(names) or 'none'}. Set {BY_TASK_TYPE} to name a service for each type"

