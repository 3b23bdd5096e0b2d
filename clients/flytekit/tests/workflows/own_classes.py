"""Ends with success if no class of either SDK is changed."""

import sys

import flyte
import flyte.connectors
import flytekit  # noqa: F401
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin

flyte.init()
changed = []
for mixin in (AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin):
    if "dispatch_execute" in vars(mixin):
        changed.append("flytekit")
if not flyte.connectors.AsyncConnectorExecutorMixin.execute.__module__.startswith("flyte."):
    changed.append("flyte")
loaded = {name for name in sys.modules if name.startswith("outrigger_flytekit.")}
print(changed, loaded)
sys.exit(1 if changed or "outrigger_flytekit.service" in loaded else 0)
