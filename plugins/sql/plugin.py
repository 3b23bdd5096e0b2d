"""Runs statements of PostgreSQL and MySQL for Flyte: ``outrigger serve plugin:app``."""

from __future__ import annotations

from outrigger_plugin import serve

from connections import Misconfigured, from_environment
from execution import Sql

try:
    app = serve(Sql(from_environment()))
except Misconfigured as error:
    # For the operator, who needs no traceback.
    raise SystemExit(str(error)) from None
