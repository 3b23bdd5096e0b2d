"""Flyte tasks for AWS Batch.

`.flyte` has the one for Flyte 2. `flytekitplugins-awsbatch` has the one for Flyte 1.
"""
