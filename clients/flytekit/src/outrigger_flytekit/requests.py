"""The requests for one job."""

from __future__ import annotations

from typing import Any


class Requests:
    """The requests for one job. Not a dataclass, so that nothing prints it: Flyte 2's requests may contain secrets.

    ``create`` is the create request; ``same`` has the fields of both get and delete, ``on_get`` those of get only.
    """

    def __init__(self, messages: Any, create: Any, same: dict[str, Any], on_get: dict[str, Any]):
        self._messages, self._create, self._same, self._on_get = messages, create, same, on_get

    def create(self) -> Any:
        return self._create

    def get(self, handle: bytes) -> Any:
        return self._messages.GetTaskRequest(resource_meta=handle, **self._same, **self._on_get)

    def delete(self, handle: bytes) -> Any:
        return self._messages.DeleteTaskRequest(resource_meta=handle, **self._same)
