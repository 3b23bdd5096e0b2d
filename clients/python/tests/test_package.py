"""The package as installed."""

import subprocess
import sys
import zipfile
from email import message_from_bytes

import pytest

from conftest import ROOT

pytest.importorskip("hatchling")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(directory)!r}))"
    built = subprocess.check_output([sys.executable, "-c", build], cwd=ROOT, text=True)
    return zipfile.ZipFile(directory / built.split()[-1])


def test_wheel_has_licence_and_every_module(wheel):
    (licence,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    files = (ROOT / "src").rglob("*.py")
    modules = {str(file.relative_to(ROOT / "src")) for file in files} | {"outrigger_plugin/py.typed"}
    assert modules <= set(wheel.namelist())


def test_metadata_is_complete(wheel):
    (file,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(wheel.read(file))
    needed = [it for it in metadata.get_all("Requires-Dist") if "extra ==" not in it]
    assert needed == ["uvicorn>=0.30"]
    assert metadata["Version"] and metadata["License-Expression"] == "Apache-2.0"
    (scripts,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert b"outrigger = outrigger_plugin.cli.main:main" in wheel.read(scripts)


def test_plugins_need_no_other_package():
    program = "import sys, outrigger_plugin; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    seen = subprocess.check_output([sys.executable, "-c", program], text=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert "'outrigger_plugin'" in seen and "'uvicorn'" not in seen
