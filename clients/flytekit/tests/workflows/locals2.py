"""Like locals.py, for Flyte 2, which does not show original tracebacks; this program prints them inside of the task."""

import flyte
from flyte.connectors import AsyncConnectorExecutorMixin
from flyte2 import people
from rich.console import Console

flyte.init()
execute = AsyncConnectorExecutorMixin.execute


async def showing(self, **inputs):
    try:
        return await execute(self, **inputs)
    except Exception:
        Console().print_exception(show_locals=True)
        raise


AsyncConnectorExecutorMixin.execute = showing
flyte.with_runcontext(mode="local").run(people, country="NL")
