"""Like locals.py, for a task that a service answers within the call."""

import rich.traceback
from sync1 import echo

rich.traceback.install(show_locals=True, locals_max_string=None)
echo()
