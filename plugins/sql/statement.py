"""Finds the placeholders of a statement, so that each becomes a parameter of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outrigger_plugin import Refused

from dialects import Dialect

WHERE = "template.sql.statement"
MAX_CHARACTERS = 1 << 18
# flytekit reads them without regard to case.
INPUT = re.compile(r"\{\{\s*\.inputs\.(\w+)\s*\}\}", re.IGNORECASE)
KEY = re.compile(r"\{\{\s*\.perRetryUniqueKey\s*\}\}", re.IGNORECASE)
# In quotes, braces alone are data: '{{1,2},{3,4}}' is an array in PostgreSQL.
ANY_PLACEHOLDER = re.compile(r"\{\{\s*\.[A-Za-z][^{}]*\}\}")
# What a value could merge with.
STICKY = re.compile(r"[\w$'\"`.{}]")
PLACES = {
    "line": "a comment",
    "block": "a comment",
    "escaped": "a string",
    "string": "a string",
    "dollar": "a string",
    "name": "a quoted name",
}
NOTHING = ("line", "block", "blank")


@dataclass(frozen=True)
class Input:
    """A placeholder for an input."""

    name: str


@dataclass(frozen=True)
class TaskKey:
    """The placeholder for the key that is the same whenever Flyte repeats the call."""


Part = str | Input | TaskKey


@dataclass(frozen=True)
class Statement:
    """A statement as text and placeholders in turn."""

    parts: tuple[Part, ...]

    @property
    def placeholders(self) -> list[Input | TaskKey]:
        """In their order, once for each time that they occur."""
        return [part for part in self.parts if not isinstance(part, str)]

    def render(self, text: Callable[[str], str], mark: Callable[[int], str]) -> str:
        """The statement with ``mark(n)`` for its placeholder number n, from 1."""
        numbers = iter(range(1, len(self.parts) + 1))
        return "".join(text(part) if isinstance(part, str) else mark(next(numbers)) for part in self.parts)


@dataclass(frozen=True)
class Token:
    """A piece of a statement; ``kind`` is a group of the dialect's expression."""

    kind: str
    start: int
    text: str


def parse(text: str | None, dialect: Dialect) -> Statement:
    """Splits a statement at its placeholders. Raises Refused for one that cannot be a parameter, by its name."""
    if text is None or not text.strip():
        raise Refused(f"{WHERE}: missing", code="NO_STATEMENT")
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"{WHERE}: longer than {MAX_CHARACTERS:,} characters", code="STATEMENT_TOO_LARGE")
    tokens, is_empty = [], True
    for token in scan(text, dialect):
        is_empty = is_empty and (token.kind in NOTHING or token.text == ";")
        # The others would be a list many times the size of the text.
        if token.kind in PLACES or token.kind == "placeholder":
            tokens.append(token)
    if is_empty:
        raise Refused(f"{WHERE}: has nothing but comments", code="NO_STATEMENT")
    refuse_swallowing_comment(text, tokens)
    statement = Statement(tuple(parts(text, tokens)))
    if statement.placeholders and dialect.code_comment is not None:
        refuse_code_comments(tokens, dialect.code_comment)
    return statement


def scan(text: str, dialect: Dialect) -> Iterator[Token]:
    """The tokens of ``text``. Raises Refused for a quote or comment without an end."""
    at = 0
    while match := dialect.openings.match(text, at):
        kind = str(match.lastgroup)
        end = dialect.end(kind, text, match)
        if end is None:
            what = PLACES.get(kind, "a placeholder")
            raise Refused(f"{WHERE}: {what} that starts at character {at + 1} has no end", code="MALFORMED_STATEMENT")
        yield Token(kind, at, text[at:end])
        at = end


def refuse_swallowing_comment(text: str, tokens: list[Token]) -> None:
    """flytekit joins the lines of a statement, so that ``--`` takes away all that followed, a WHERE included."""
    comment = next((token for token in tokens if token.kind == "line"), None)
    if comment is None or "\n" in text:
        return
    sign = "#" if comment.text.startswith("#") else "--"
    raise Refused(
        f"{WHERE}: a {sign} comment in a statement of one line; flytekit joins lines, so that it may take away what "
        "followed it: use /* … */",
        code="SWALLOWING_COMMENT",
    )


def refuse_code_comments(tokens: list[Token], code_comment: re.Pattern[str]) -> None:
    """In ``/*! '*/ {{ … }} /* ' */`` the server sees a string that a value could end."""
    for token in tokens:
        if token.kind == "block" and code_comment.match(token.text):
            raise Refused(
                f"{WHERE}: a comment {token.text[:20]}…, which MySQL may run, in a statement with placeholders: "
                "a value could become a part of it; write it without the comment",
                code="WRONG_PLACEHOLDER",
            )


def parts(text: str, tokens: list[Token]) -> Iterator[Part]:
    start = 0
    for token in tokens:
        if token.kind != "placeholder":
            refuse_placeholder_within(token)
            continue
        refuse_neighbours(text, token)
        yield text[start : token.start]
        yield placeholder(token.text)
        start = token.start + len(token.text)
    yield text[start:]


def placeholder(text: str) -> Input | TaskKey:
    if match := INPUT.fullmatch(text):
        return Input(match[1])
    if KEY.fullmatch(text):
        return TaskKey()
    raise refused(text, "unknown; there are {{ .inputs.NAME }} and {{ .perRetryUniqueKey }}")


def refuse_placeholder_within(token: Token) -> None:
    place = PLACES.get(token.kind)
    match = ANY_PLACEHOLDER.search(token.text) if place else None
    if match:
        raise refused(match[0], f"stands in {place}; a placeholder is a value of its own, without quotes")


def refuse_neighbours(text: str, token: Token) -> None:
    end = token.start + len(token.text)
    before, after = text[max(0, token.start - 1) : token.start], text[end : end + 1]
    for neighbour in (before, after):
        if STICKY.match(neighbour):
            why = (
                f"stands right beside {neighbour!r}; a placeholder is a value of its own, and no part of a name or text"
            )
            raise refused(token.text, why)


def refused(text: str, why: str) -> Refused:
    return Refused(f"{WHERE}: {text}: {why}", code="WRONG_PLACEHOLDER")
