"""What each chart renders with defaults stands in golden/.

After a wanted change: CHARTS_UPDATE=1 pytest tests/charts/test_golden.py
"""

import os
import pathlib

import pytest

from charts import PLUGINS, STABLE, text

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_defaults(plugin):
    file = GOLDEN / f"{plugin}.yaml"
    rendered = text(plugin, STABLE)
    if os.environ.get("CHARTS_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(rendered)
    assert rendered == file.read_text()


def test_there_is_one_for_each_plugin():
    assert sorted(file.stem for file in GOLDEN.iterdir()) == PLUGINS
