"""What the connectors under test were asked: a line for each call. It is also their vendor, and outlives them."""

import os


def note(verb, job):
    # One write of a short line to a file opened for appending: calls run in several threads.
    with open(os.environ["CONNECTOR_JOURNAL"], "a") as lines:
        lines.write(f"{verb} {job}\n")


def count(verb, job):
    with open(os.environ["CONNECTOR_JOURNAL"]) as lines:
        return lines.read().splitlines().count(f"{verb} {job}")
