"""What gRPC says of a call that failed: whether the service itself spoke, and whether to ask again."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

Code = grpc.StatusCode

TEMPORARY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)
# Messages beyond a limit have the code of too many requests; the words are Outrigger's and gRPC's own.
TOO_LARGE = ("too large", "larger than max")
# Every answer of an Outrigger service has it, a refusal's among its trailers.
REQUEST_ID = "x-request-id"
PUSHBACK = "grpc-retry-pushback-ms"
# Seconds to leave a service alone that has too much to do, and the most that it may ask for.
BREATHER, LONGEST_PUSHBACK = 5.0, 60.0


@dataclass(frozen=True)
class Status:
    """The end of a call that failed."""

    code: grpc.StatusCode
    details: str
    metadata: dict[str, str]

    @classmethod
    def of(cls, failure: grpc.RpcError) -> Status:
        metadata = {**dict(failure.initial_metadata() or ()), **dict(failure.trailing_metadata() or ())}
        return cls(failure.code(), plain(failure.details() or ""), metadata)

    @property
    def is_an_answer(self) -> bool:
        """Whether a service said so. gRPC itself says much the same when nobody does."""
        return not self.is_temporary or REQUEST_ID in self.metadata

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        is_too_large = any(words in self.details.lower() for words in TOO_LARGE)
        return self.code in TEMPORARY and not (self.code == Code.RESOURCE_EXHAUSTED and is_too_large)

    @property
    def pushback(self) -> float:
        """Seconds in which not to ask again."""
        asked = self.metadata.get(PUSHBACK, "")
        if asked.isdecimal():
            return min(int(asked) / 1000, LONGEST_PUSHBACK)
        return BREATHER if self.code == Code.RESOURCE_EXHAUSTED else 0.0


def plain(text: str) -> str:
    """``text`` without what would steer a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
