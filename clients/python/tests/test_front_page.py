"""The plugin on the front page of the repository, which must run as it stands there."""

import pathlib
import re

from conftest import served

PAGE = pathlib.Path(__file__).parents[3] / "README.md"


def test_the_plugin_of_the_front_page_runs():
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    module = {}
    exec(compile(code, PAGE, "exec"), module)
    with served(module["app"]) as caller:
        job = caller.create("shoutout/0", {"text": "good night"}).body["job_id"]
        assert caller.poll("shoutout/0", job).body["phase"] == "RUNNING"
        assert caller.poll("shoutout/0", job).body["outputs"] == {"o0": "GOOD NIGHT"}
        caller.delete("shoutout/0", job)
        assert caller.poll("shoutout/0", job).status == 404
