"""Runs statements of PostgreSQL and MySQL for Flyte: ``outrigger serve plugin:app``."""

from __future__ import annotations

from outrigger_plugin import serve

from connections import from_environment
from execution import Sql

app = serve(Sql(from_environment()))
