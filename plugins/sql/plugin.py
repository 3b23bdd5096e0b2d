"""Runs statements of PostgreSQL and MySQL for Flyte: ``outrigger serve plugin:app``."""

from __future__ import annotations

from connections import from_environment
from execution import Sql
from outrigger_plugin import serve

app = serve(Sql(from_environment()))
