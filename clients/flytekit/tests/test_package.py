"""The package as installed."""

import subprocess
import sys
import zipfile

from conftest import HERE, ROOT


def test_wheel_has_licence_and_every_module(tmp_path):
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    built = subprocess.check_output([sys.executable, "-c", build], cwd=HERE.parent, text=True)
    wheel = zipfile.ZipFile(tmp_path / built.split()[-1])
    (licence,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    modules = {f"outrigger_flytekit/{file.name}" for file in (HERE.parent / "src/outrigger_flytekit").glob("*.py")}
    assert modules <= set(wheel.namelist())
