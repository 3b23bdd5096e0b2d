"""The requests about one job."""

from __future__ import annotations

from typing import Any


class Requests:
    """What is sent about one job. No dataclass, so that nothing prints it: Flyte 2's may hold secrets.

    ``create`` is the first request; ``same`` has the fields of get and delete alike, ``on_get`` those of get alone.
    """

    def __init__(self, messages: Any, create: Any, same: dict[str, Any], on_get: dict[str, Any]):
        self._messages, self._create, self._same, self._on_get = messages, create, same, on_get

    def create(self) -> Any:
        return self._create

    def get(self, handle: bytes) -> Any:
        return self._messages.GetTaskRequest(resource_meta=handle, **self._same, **self._on_get)

    def delete(self, handle: bytes) -> Any:
        return self._messages.DeleteTaskRequest(resource_meta=handle, **self._same)
