"""The package as installed."""

import subprocess
import sys
import zipfile
from email import message_from_bytes

import pytest
from conftest import HERE, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(directory)!r}))"
    built = subprocess.check_output([sys.executable, "-c", build], cwd=HERE.parent, text=True)
    return zipfile.ZipFile(directory / built.split()[-1])


def test_wheel_has_licence_and_every_module(wheel):
    (licence,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    modules = {f"outrigger_flytekit/{file.name}" for file in (HERE.parent / "src/outrigger_flytekit").glob("*.py")}
    assert modules <= set(wheel.namelist())


def test_metadata_is_complete(wheel):
    (file,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(wheel.read(file))
    for field in ("Author", "Summary", "Keywords", "License-Expression", "Requires-Python", "Description-Content-Type"):
        assert metadata[field], field
    classifiers = metadata.get_all("Classifier")
    versions = [f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)]
    assert set(versions) <= set(classifiers) and "Typing :: Typed" in classifiers
