"""Imports an author's app, and says what is wrong with it in the author's terms."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..asgi import Answer, Message, Receive, Scope, Send, send_answer
from ..failures import body, summary

# What `outrigger serve` tells its server of plugins, which uvicorn starts.
APP_VARIABLE = "OUTRIGGER_APP"
RELOAD_VARIABLE = "OUTRIGGER_RELOAD"
# The codes of answers while the app cannot be loaded, and while its process has ended.
NOT_LOADED = "APP_NOT_LOADED"
ENDED = "APP_ENDED"
OWN = str(Path(__file__).parents[1])


class CannotLoad(Exception):
    """The app cannot be imported. ``cause`` is why."""

    def __init__(self, app: str, cause: BaseException) -> None:
        super().__init__(f"{app} cannot be loaded: {summary(cause)}")
        self.cause = cause

    def details(self) -> str:
        """The author's own lines that lead to the exception, and the exception."""
        told = traceback.TracebackException.from_exception(self.cause)
        for each in chain(told):
            each.stack = traceback.StackSummary.from_list([it for it in each.stack if is_authors(it.filename)])
        return "".join(told.format()).rstrip()


def load(app: str) -> Any:
    """The object that ``app``, MODULE:NAME, names. Raises CannotLoad."""
    from uvicorn.importer import ImportFromStringError, import_from_string

    try:
        found = import_from_string(app)
    except ImportFromStringError as error:
        # Its words are for people, its lines uvicorn's.
        raise CannotLoad(app, ImportError(str(error))) from None
    except Exception as error:
        raise CannotLoad(app, error) from error
    if isinstance(found, type) or not callable(found):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"of the type {type(found).__name__}"
        raise CannotLoad(app, TypeError(f"it is {what}, not an app: write app = serve(MyPlugin())"))
    return found


def served() -> Any:
    """The app that the environment names, for ``uvicorn --factory``.

    While files are watched, calls to one that is broken are answered, until it is changed: they would hang. Otherwise
    it ends the program.
    """
    app, waits = os.environ[APP_VARIABLE], bool(os.environ.get(RELOAD_VARIABLE))
    try:
        return load(app)
    except CannotLoad as error:
        problem = error
    except SystemExit as end:
        # The author's own, such as of a setting that is missing.
        if not waits:
            raise
        problem = CannotLoad(app, end)
    print(f"outrigger: {problem}\n{problem.details()}", file=sys.stderr, flush=True)
    if not waits:
        raise SystemExit(1)
    print("outrigger: waiting for the file to change", file=sys.stderr, flush=True)
    return standing_in(NOT_LOADED, str(problem))


def standing_in(code: str, message: str) -> Any:
    """An app that answers each request with ``code``, ``message``, and "try again"."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "http":
            await send_answer(send, Answer(503, body(code, message)))

    return app


async def live(receive: Receive, send: Send) -> None:
    """Takes part in the start and the end of the server."""
    while True:
        message: Message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def chain(told: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    """An exception and those that led to it."""
    while told is not None:
        yield told
        told = told.__cause__ or told.__context__


def is_authors(file: str) -> bool:
    """Whether a line is neither Python's, nor a package's, nor ours."""
    others = [OWN, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    return not file.startswith(("<frozen ", *(f"{directory}{os.sep}" for directory in others)))
