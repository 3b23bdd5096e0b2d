"""Flyte's own charts, from its releases as Go modules.

Flyte 2 is missing, because its module is not available.
"""

import json
import os
import pathlib
import shutil
import subprocess

import yaml

MODULE = "github.com/flyteorg/flyte"
RELEASES = {
    "1.13": ("v1.13.3", "h1:wPUZ2DVF/qPRVESf42BWWbs+8/M2ZDtbGkySkH9KCDk="),
    "1.16": ("v1.16.8", "h1:MntJXi/wuFmgSiyHuY+WTppXNzW/Yqn4lVrDuQ0QcpM="),
}


def sources(release, scratch):
    """The sources of a release in Go's module cache, fetched once."""
    version, digest = RELEASES[release]
    command = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    # Checked against our digest: Go's checksum database does not contain every release.
    environment = {**os.environ, "GONOSUMDB": MODULE, "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -mod=mod"}
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["Sum"] == digest, f"{MODULE} {version} has a different digest than expected"
    return pathlib.Path(found["Dir"])


def chart(release, name, directory):
    """A copy of the chart `name` of a release in `directory`, without third-party subcharts."""
    copy = directory / name
    shutil.copytree(sources(release, directory) / "charts" / name, copy, ignore=shutil.ignore_patterns("Chart.lock"))
    for path in [copy, *copy.rglob("*")]:
        # Go's module cache is read-only.
        path.chmod(path.stat().st_mode | 0o200)
    about = yaml.safe_load((copy / "Chart.yaml").read_text())
    about.pop("dependencies", None)
    (copy / "Chart.yaml").write_text(yaml.safe_dump(about))
    return copy
