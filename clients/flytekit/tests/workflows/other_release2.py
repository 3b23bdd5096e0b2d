"""A task in a Flyte 2 release whose connectors are in another module."""

import sys
import types

sys.modules["flyte.connectors"] = types.ModuleType("flyte.connectors")

import flyte  # noqa: E402

here = flyte.TaskEnvironment(name="here")


@here.task
async def run_here() -> str:
    return "ran"


flyte.init()
print(flyte.with_runcontext(mode="local").run(run_here).outputs()[0])
