"""The status of a failed gRPC call: whether the service itself returned it, and whether to repeat the call."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

Code = grpc.StatusCode

TEMPORARY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)
# Oversized messages have the same code as too many requests; these phrases are Outrigger's and gRPC's own.
TOO_LARGE = ("too large", "larger than max")
# Every answer of an Outrigger service has it, errors in their trailers.
REQUEST_ID = "x-request-id"
PUSHBACK = "grpc-retry-pushback-ms"
# Seconds to wait for an overloaded service, and the maximum that a service may request.
BREATHER, LONGEST_PUSHBACK = 5.0, 60.0


@dataclass(frozen=True)
class Status:
    """The status of a failed call."""

    code: grpc.StatusCode
    details: str
    metadata: dict[str, str]

    @classmethod
    def of(cls, failure: grpc.RpcError) -> Status:
        metadata = {**dict(failure.initial_metadata() or ()), **dict(failure.trailing_metadata() or ())}
        return cls(failure.code(), plain(failure.details() or ""), metadata)

    @property
    def is_an_answer(self) -> bool:
        """Whether the service returned it. gRPC itself returns similar statuses if there is no answer."""
        return not self.is_temporary or REQUEST_ID in self.metadata

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        is_too_large = any(phrase in self.details.lower() for phrase in TOO_LARGE)
        return self.code in TEMPORARY and not (self.code == Code.RESOURCE_EXHAUSTED and is_too_large)

    @property
    def pushback(self) -> float:
        """Seconds to wait before another call."""
        asked = self.metadata.get(PUSHBACK, "")
        if asked.isdecimal():
            return min(int(asked) / 1000, LONGEST_PUSHBACK)
        return BREATHER if self.code == Code.RESOURCE_EXHAUSTED else 0.0


def plain(text: str) -> str:
    """``text`` without terminal control characters."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
