"""The program ``outrigger``: it has all commands that need no Python, and explains those of this package, too.

Both programs are so the same for their users. Without it, as in a checkout, this package still serves and listens.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NoReturn

from . import programs
from .errors import Failure

OTHERWISE = "install the wheel"
# What is wrong with a command line that the program itself finds no fault in.
MISUSE = "OUTRIGGER_MISUSE"


def run(arguments: Sequence[str]) -> NoReturn:
    """Becomes the program. Raises Failure if it is not found, or cannot be run, as on another processor."""
    program = programs.find(programs.OUTRIGGER, OTHERWISE)
    try:
        os.execv(program, [programs.OUTRIGGER, *arguments])
    except OSError as error:
        raise Failure(f"{program} cannot be started: {error.strerror}") from None


def explain(arguments: Sequence[str], message: str) -> None:
    """Becomes the program, which says what is wrong with ``arguments``; does nothing if it is not found."""
    if is_there():
        os.environ[MISUSE] = message
        run(arguments)


def is_there() -> bool:
    """Whether it is found."""
    try:
        programs.find(programs.OUTRIGGER, OTHERWISE)
    except Failure:
        return False
    return True
