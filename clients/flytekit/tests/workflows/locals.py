"""A run whose traceback shows all local variables."""

import rich.traceback
from flyte1 import orders

rich.traceback.install(show_locals=True, locals_max_string=None)
orders(day="2026-03-01", ids=[1, 2])
