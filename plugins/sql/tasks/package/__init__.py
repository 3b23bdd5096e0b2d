"""Flyte tasks for SQL.

`.flytekit` has the one for Flyte 1.
"""
