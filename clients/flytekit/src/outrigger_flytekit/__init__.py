"""Sends the tasks of local Flyte runs to running Outrigger services.

Nothing needs to be imported: flytekit and Flyte 2's SDK find this package through its entry points. Without
``OUTRIGGER_ENDPOINT`` and ``OUTRIGGER_ENDPOINTS`` it does nothing.
"""
