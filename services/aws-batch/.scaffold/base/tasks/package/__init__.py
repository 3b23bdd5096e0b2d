"""Flyte tasks for AWS Batch.

`.flytekit` has the one for Flyte 1, `.flyte` the one for Flyte 2.
"""
