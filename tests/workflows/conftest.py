"""A copy of the repository in which a release can be made ready, and a registry to push it to."""

import re
import shutil
import subprocess

import pytest
from registry import Registry
from workflow import ROOT, VERSION


def git(*args, cwd):
    return subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    """The files of the working tree, in a repository without commits."""
    copy = tmp_path_factory.mktemp("repository")
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    git("init", "--quiet", cwd=copy)
    return copy


@pytest.fixture
def repository(copied, tmp_path):
    """A copy of one's own, whose changelog leaves nothing unreleased and which no release was recorded in."""
    shutil.copytree(copied, tmp_path / "repository")
    changelog = tmp_path / "repository" / "CHANGELOG.md"
    text = re.sub(r"(## \[Unreleased\]\n).*?(?=## \[)", r"\1\n", changelog.read_text(), flags=re.S)
    changelog.write_text(text)
    (tmp_path / "repository" / "released.toml").unlink(missing_ok=True)
    assert f"## [{VERSION}]" in text
    return tmp_path / "repository"


@pytest.fixture
def registry():
    with Registry() as running:
        yield running
