"""`cargo xtask labels` makes every label that the repository describes, with a gh that keeps how it is called."""

import json
import os
import tomllib

from test_workflows import xtask
from workflow import ROOT

GH = """\
#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(os.environ.get("REFUSE", 0) if sys.argv[3] == "documentation" else 0)
"""


def labels(directory, **more):
    """Runs the command, and returns it with the calls of gh."""
    gh, calls = directory / "gh", directory / "calls"
    gh.write_text(GH)
    gh.chmod(0o755)
    done = xtask("labels", env={"PATH": f"{directory}:{os.environ['PATH']}", "CALLS": str(calls), **more})
    return done, [json.loads(call) for call in calls.read_text().splitlines()]


def test_every_label_is_made_or_changed(tmp_path):
    described = tomllib.loads((ROOT / ".github/labels.toml").read_text())["label"]
    done, calls = labels(tmp_path)
    assert done.returncode == 0, done.stderr
    wanted = [
        ["label", "create", it["name"], "--description", it["description"], "--color", it["color"], "--force"] for it in described
    ]
    assert calls == wanted


def test_a_refusal_ends_it(tmp_path):
    done, calls = labels(tmp_path, REFUSE="HTTP 403")
    assert done.returncode != 0 and calls[-1][2] == "documentation"
    assert "gh label create documentation" in done.stderr
