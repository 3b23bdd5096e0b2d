"""What the program prints when it serves."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from urllib.parse import quote

from . import programs
from .offer import Offer

BOLD, RESET = "\033[1m", "\033[0m"


def announce(options: argparse.Namespace, offer: Offer) -> None:
    """Prints what is served where, and how to try it."""
    url = f"{scheme(options)}://127.0.0.1:{options.port}"
    line = f"serving {', '.join((*offer.jobs, *offer.sync))} on {url}"
    print(bold(line), f"  {example(options, offer, url)}", sep="\n", flush=True)


def example(options: argparse.Namespace, offer: Offer, url: str) -> str:
    """A command that submits a task."""
    method, names = ("PUT", offer.jobs) if offer.jobs else ("POST", offer.sync)
    name, _, version = names[0].partition(":")
    headers = ["-H", "idempotency-key: try-1"]
    command = ["curl", "-sS", "-X", method, f"{url}/plugins/v1/{quote(name, safe='')}/{version or 0}", *headers]
    body = shlex.join([*command, "-d", '{"inputs": {"text": "good night"}}'])
    return body if programs.is_insecure(options) else f'{body} -H "authorization: Bearer $TOKEN"'


def scheme(options: argparse.Namespace) -> str:
    return "http" if programs.is_free(options, "--tls-certificate", "PLUGIN_TLS_CERTIFICATE") else "https"


def bold(line: str) -> str:
    colourful = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{BOLD}{line}{RESET}" if colourful else line
