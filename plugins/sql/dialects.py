"""What counts as a string, a name or a comment in each dialect.

PostgreSQL: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
MySQL: https://dev.mysql.com/doc/refman/8.4/en/language-structure.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FLAGS = re.DOTALL
PLACEHOLDER = r"(?P<placeholder>\{\{)"
REST = r"(?P<word>\w[\w$]*)|(?P<blank>\s+)|(?P<other>.)"
# A doubled quote ends a string and begins another: no placeholder fits between the two.
UNTIL_QUOTE = re.compile("[^']*'", FLAGS)
UNTIL_DOUBLE_QUOTE = re.compile('[^"]*"', FLAGS)
UNTIL_BACKTICK = re.compile("[^`]*`", FLAGS)
WITH_BACKSLASHES = re.compile(r"(?:[^'\\]|\\.)*'", FLAGS)
DOUBLE_WITH_BACKSLASHES = re.compile(r'(?:[^"\\]|\\.)*"', FLAGS)
# E'…' goes on after a line break, still with backslashes.
ESCAPE_STRING = re.compile(r"(?:[^'\\]|\\.|''|'[^\S\n]*\n\s*')*'", FLAGS)
PLACEHOLDER_END = re.compile(r"[^{}]*\}\}", FLAGS)
LINE_END = re.compile(r"[^\n]*")
COMMENT_SIGN = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Dialect:
    """How to tell where a token begins (a group for each kind) and where it ends."""

    openings: re.Pattern[str]
    bodies: dict[str, re.Pattern[str]]
    comments_nest: bool
    # Comments that the server may run, so that they need not end where a comment does.
    code_comment: re.Pattern[str] | None = None

    def end(self, kind: str, text: str, opening: re.Match[str]) -> int | None:
        """Where the token ends; None if it has no end."""
        if kind == "block":
            return comment_end(text, opening.end(), self.comments_nest)
        if kind == "dollar":
            at = text.find(opening[0], opening.end())
            return None if at < 0 else at + len(opening[0])
        body = self.bodies.get(kind)
        if body is None:
            return opening.end()
        match = body.match(text, opening.end())
        return None if match is None else match.end()


def comment_end(text: str, at: int, nests: bool) -> int | None:
    depth = 1
    for sign in COMMENT_SIGN.finditer(text, at):
        if sign[0] == "*/":
            depth -= 1
        elif nests:
            depth += 1
        if depth == 0:
            return sign.end()
    return None


#: With standard_conforming_strings, as every session here.
POSTGRESQL = Dialect(
    openings=re.compile(
        rf"{PLACEHOLDER}|(?P<line>--)|(?P<block>/\*)|(?P<escaped>[eE]')|(?P<string>')|(?P<name>\")"
        rf"|(?P<dollar>\$(?:[^\W\d]\w*)?\$)|{REST}",
        FLAGS,
    ),
    bodies={
        "placeholder": PLACEHOLDER_END,
        "line": LINE_END,
        "escaped": ESCAPE_STRING,
        "string": UNTIL_QUOTE,
        "name": UNTIL_DOUBLE_QUOTE,
    },
    comments_nest=True,
)

# Before -- there may be anything; after it, a blank.
MYSQL_LINE = r"(?P<line>#|--(?=[\s\x00-\x1f]|\Z))"
# Versioned comments, MariaDB's too; and hints with quotes, in which */ ends nothing.
MYSQL_CODE_COMMENT = re.compile(r"/\*(?:M?!|\+[^'\"`]*['\"`])")


def mysql(sql_mode: str) -> Dialect:
    """MySQL's and MariaDB's, in the modes of the session."""
    modes = sql_mode.upper().split(",")
    quoted, name = (r"'|\"", "`") if "ANSI_QUOTES" not in modes else ("'", '`|"')
    openings = rf"{PLACEHOLDER}|{MYSQL_LINE}|(?P<block>/\*)|(?P<string>{quoted})|(?P<name>{name})|{REST}"
    backslashes = "NO_BACKSLASH_ESCAPES" not in modes
    return MySql(re.compile(openings, FLAGS), {}, False, MYSQL_CODE_COMMENT, backslashes)


@dataclass(frozen=True)
class MySql(Dialect):
    """Strings have either quote, and backslashes unless the mode forbids it."""

    backslashes: bool = True

    def end(self, kind: str, text: str, opening: re.Match[str]) -> int | None:
        body = self._body(kind, opening[0])
        if body is None:
            return super().end(kind, text, opening)
        match = body.match(text, opening.end())
        return None if match is None else match.end()

    def _body(self, kind: str, sign: str) -> re.Pattern[str] | None:
        if kind == "string" and self.backslashes:
            return WITH_BACKSLASHES if sign == "'" else DOUBLE_WITH_BACKSLASHES
        if kind in ("string", "name"):
            return {"'": UNTIL_QUOTE, '"': UNTIL_DOUBLE_QUOTE, "`": UNTIL_BACKTICK}[sign]
        return {"placeholder": PLACEHOLDER_END, "line": LINE_END}.get(kind)
