"""What the program prints when it serves."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from urllib.parse import quote

from . import programs
from .offer import Offer

HINT = "# replace the inputs by those of your task"
BOLD, RESET = "\033[1m", "\033[0m"


def announce(options: argparse.Namespace, offer: Offer) -> None:
    """Prints what is served where, and how to try it."""
    url = f"{scheme(options)}://127.0.0.1:{options.port}"
    line = f"serving {', '.join((*offer.jobs, *offer.sync))} on {url}"
    # What tasks of connectors have to look like, only their authors know.
    shown = [f"  {HINT}", f"  {example(options, offer, url)}"] if options.connectors is None else []
    print(bold(line), *shown, sep="\n", flush=True)


def example(options: argparse.Namespace, offer: Offer, url: str) -> str:
    """A command that submits a task."""
    method, names = ("PUT", offer.jobs) if offer.jobs else ("POST", offer.sync)
    name, _, version = names[0].partition(":")
    command = ["curl", "-sS", "-X", method, f"{url}/plugins/v1/{quote(name, safe='')}/{version or 0}"]
    body = shlex.join([*command, "-d", '{"inputs": {"text": "good night"}}'])
    # Each time another key, and so another job.
    body += ' -H "idempotency-key: try-$RANDOM"'
    return body if programs.is_insecure(options) else f'{body} -H "authorization: Bearer $TOKEN"'


def scheme(options: argparse.Namespace) -> str:
    return "http" if programs.is_free(options, "--tls-certificate", "PLUGIN_TLS_CERTIFICATE") else "https"


def bold(line: str) -> str:
    colourful = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{BOLD}{line}{RESET}" if colourful else line
