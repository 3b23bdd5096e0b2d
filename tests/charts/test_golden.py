"""golden/ has what each chart renders with default values, and what one renders with TLS.

After an intended change: CHARTS_UPDATE=1 pytest tests/charts/test_golden.py
"""

import os
import pathlib

import pytest

from cases import TLS
from charts import BRIDGED, PLUGINS, STABLE, merged, text

GOLDEN = pathlib.Path(__file__).parent / "golden"
RENDERED = {plugin: (plugin, STABLE) for plugin in PLUGINS} | {"bigquery-tls": ("bigquery", merged(STABLE, TLS))}
# Those behind the bridge here are sync plugins, without keys.
RENDERED |= {plugin: (plugin, {}) for plugin in BRIDGED}


@pytest.mark.parametrize("name", RENDERED)
def test_rendering_matches_golden(name):
    file = GOLDEN / f"{name}.yaml"
    rendered = text(*RENDERED[name])
    if os.environ.get("CHARTS_UPDATE"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(rendered)
    assert rendered == file.read_text()


def test_no_golden_file_is_unused():
    assert {file.stem for file in GOLDEN.iterdir()} == set(RENDERED)
