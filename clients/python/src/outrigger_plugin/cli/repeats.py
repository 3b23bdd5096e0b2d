"""Whether a plugin finds the job of a repeated create.

Through the bridge nobody can see it: it seals what a plugin returns, and joins repeats by itself.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .children import note
from .literals import Inconvertible, plain_inputs
from .offer import PATH, Offer, SocketConnection, body_of

SAME, OTHER = "plugin/repeat-is-the-same-job", "plugin/other-key-is-another-job"
# How long the bridge lets a call take, in seconds.
TIMEOUT = 30.0
# The bridge sends longer ids in a body.
MAX_QUERY = 2 << 10
TRY_AGAIN = (429, 503)


@dataclass(frozen=True)
class Finding:
    """How a rule fared: PASS, FAIL or SKIP. plugin-conformance reads its members."""

    outcome: str
    rule: str
    reason: str


class Unanswered(Exception):
    """A create gave no job. ``status`` is that of HTTP, if there was one."""

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(what)
        self.status = status


class Plugins:
    """What listens on the socket, called as the bridge calls it."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.started: list[tuple[str, str]] = []

    def create(self, path: str, task: dict[str, Any], key: str) -> str:
        """The id of the job, as JSON. Raises Unanswered."""
        status, body = self._call("PUT", path, key, {**task, "output_prefix": f"{task['output_prefix']}/{key}"})
        try:
            job = json.loads(body)["job_id"] if status // 100 == 2 else None
        except (ValueError, TypeError, KeyError):
            job = None
        if job is None:
            raise Unanswered(f"was answered with {status}: {body.decode('utf-8', 'replace')[:500]}", status)
        text = json.dumps(job, sort_keys=True)
        if (path, text) not in self.started:
            self.started.append((path, text))
        return text

    def delete_all(self) -> None:
        """Deletes the jobs that were started."""
        for path, job in self.started:
            try:
                status, _ = self._delete(path, job)
            except Unanswered:
                status = 0
            if status // 100 != 2 and status != 404:
                note(f"the job {job} of the check may still run: its delete failed")

    def _delete(self, path: str, job: str) -> tuple[int, bytes]:
        key = secrets.token_hex(32)
        if len(job) > MAX_QUERY:
            return self._call("POST", f"{path}/delete", key, {"job_id": json.loads(job)})
        return self._call("DELETE", f"{path}?{urlencode({'job_id': job})}", key)

    def _call(self, method: str, path: str, key: str, body: Any = None) -> tuple[int, bytes]:
        headers = {"idempotency-key": key, "outrigger-deadline-ms": str(int(TIMEOUT * 1000))}
        headers["content-type"] = "application/json"
        connection = SocketConnection(self.socket, TIMEOUT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            return answer.status, body_of(answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unanswered(f"was not answered: {str(error) or type(error).__name__}") from None
        finally:
            connection.close()


def check(socket: Path, offer: Offer, files: list[str]) -> Iterator[Finding]:
    """Creates the task of each file twice with one key and once with another, and deletes the jobs."""
    plugins = Plugins(socket)
    try:
        for file in files:
            task = read(file)
            name = name_of(task, offer)
            if name:
                yield from of_task(plugins, name, task)
    finally:
        plugins.delete_all()


def read(file: str) -> dict[str, Any]:
    """The task in ``file``; an empty one if it has none, which plugin-conformance says better."""
    try:
        task = json.loads(Path(file).read_bytes())
        return task if isinstance(task["template"], dict) else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def name_of(task: dict[str, Any], offer: Offer) -> str | None:
    """The task type as ``offer`` has it. ``None`` if it has no jobs."""
    name = task.get("template", {}).get("type")
    return next((it for it in offer.jobs if it.partition(":")[0] == name), None)


def of_task(plugins: Plugins, name: str, task: dict[str, Any]) -> Iterator[Finding]:
    task_type, _, version = name.partition(":")
    path = f"{PATH}/{quote(task_type)}/{version or 0}"
    key = secrets.token_hex(32)
    try:
        body = body_of_create(task)
        first = plugins.create(path, body, key)
    except (Inconvertible, Unanswered) as error:
        why = str(error) if isinstance(error, Inconvertible) else f"the create of {name} {error}"
        yield from (Finding("SKIP", rule, why) for rule in (SAME, OTHER))
        return
    yield repeated(plugins, name, path, body, key, first)
    yield with_other_key(plugins, name, path, body, first)


def body_of_create(task: dict[str, Any]) -> dict[str, Any]:
    """What the bridge would send of ``task``. Raises Inconvertible."""
    return {
        "template": task["template"],
        "inputs": plain_inputs(task.get("inputs")),
        "output_prefix": str(task.get("output_prefix") or "s3://outrigger-check").rstrip("/"),
        "task_execution_metadata": task.get("task_execution_metadata") or {},
    }


def repeated(plugins: Plugins, name: str, path: str, body: dict[str, Any], key: str, first: str) -> Finding:
    try:
        second = plugins.create(path, body, key)
    except Unanswered as error:
        outcome = "SKIP" if error.status in TRY_AGAIN else "FAIL"
        return Finding(outcome, SAME, f'a repeat with the Idempotency-Key "{key}" {error}')
    if first == second:
        return Finding("PASS", SAME, f"A create of {name} with the same Idempotency-Key returns the same job.")
    seen = f'two creates with the Idempotency-Key "{key}" returned {first} and {second}'
    return Finding("FAIL", SAME, f"{seen}: look for the job that has the key before you start one")


def with_other_key(plugins: Plugins, name: str, path: str, body: dict[str, Any], first: str) -> Finding:
    try:
        other = plugins.create(path, body, secrets.token_hex(32))
    except Unanswered as error:
        return Finding("SKIP", OTHER, f"the create of {name} with another Idempotency-Key {error}")
    if first != other:
        return Finding("PASS", OTHER, f"A create of {name} with another Idempotency-Key returns another job.")
    return Finding("FAIL", OTHER, f"creates of {name} with two Idempotency-Keys both returned {first}")
