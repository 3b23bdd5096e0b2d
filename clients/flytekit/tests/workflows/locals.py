"""A run whose error shows every variable on its way."""

import rich.traceback
from flyte1 import orders

rich.traceback.install(show_locals=True, locals_max_string=None)
orders(day="2026-03-01", ids=[1, 2])
