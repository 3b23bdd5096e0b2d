"""``outrigger new`` and ``outrigger sync``: the generator of plugins, a program of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import programs

if TYPE_CHECKING:
    from argparse import _SubParsersAction

PROGRAM = "cargo-outrigger"
# Each takes its own arguments, --help included.
COMMANDS = ("new", "sync")


def add_new_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Lists ``outrigger new`` in the program's help."""
    subparsers.add_parser("new", help="create a plugin: code, tests, Dockerfile and chart")


def add_sync_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Lists ``outrigger sync`` in the program's help."""
    subparsers.add_parser("sync", help="bring a plugin up to date with its plugin.toml and the template")


def run(arguments: Sequence[str]) -> int:
    """Becomes the generator. Raises Failure if it is not found."""
    program = programs.find(PROGRAM, "install the wheel, or cargo-outrigger")
    # By its first argument the program knows what it is called.
    os.execv(program, ["outrigger", *with_language(arguments)])


def with_language(arguments: Sequence[str]) -> Sequence[str]:
    """A new plugin is one in Python, unless the arguments say otherwise."""
    said = any(it.partition("=")[0] in ("--kind", "--language", "--from") for it in arguments)
    return arguments if arguments[0] != "new" or said else [*arguments, "--language=python"]
