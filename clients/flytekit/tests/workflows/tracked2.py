"""Prints the links that Flyte 2 would show for a run's actions."""

import flyte
from flyte.cli._tui._tracker import ActionTracker
from flyte2 import report

flyte.init()
tracker = ActionTracker()
flyte.with_runcontext(mode="local", _tracker=tracker).run(report, word="hello")
for node in tracker._nodes.values():
    for name, uri in node.log_links or ():
        print(name, uri)
