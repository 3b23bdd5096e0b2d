"""What each chart renders with defaults, and one with TLS, stands in golden/.

After a wanted change: CHARTS_UPDATE=1 pytest tests/charts/test_golden.py
"""

import os
import pathlib

import pytest

from cases import TLS
from charts import PLUGINS, STABLE, merged, text

GOLDEN = pathlib.Path(__file__).parent / "golden"
RENDERED = {plugin: (plugin, STABLE) for plugin in PLUGINS} | {"bigquery-tls": ("bigquery", merged(STABLE, TLS))}


@pytest.mark.parametrize("name", RENDERED)
def test_what_is_rendered(name):
    file = GOLDEN / f"{name}.yaml"
    rendered = text(*RENDERED[name])
    if os.environ.get("CHARTS_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(rendered)
    assert rendered == file.read_text()


def test_there_are_no_others():
    assert {file.stem for file in GOLDEN.iterdir()} == set(RENDERED)
