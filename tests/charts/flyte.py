"""Flyte's own charts, out of the archives that Go's module proxy keeps of its releases.

Flyte 2 is not there: its module is not to be had from the proxy.
"""

import hashlib
import io
import os
import pathlib
import urllib.request
import zipfile

import yaml

from charts import ROOT

RELEASES = {
    "1.13": ("v1.13.3", "067c796b7bc1babcc066b7a79a29194aadc328d740e70a8ee5c378a9728faab8"),
    "1.16": ("v1.16.8", "b147d98acc4f2277b92b0387637ceb24986f39da2b8d1429e34a408675ed8325"),
}
MODULE = "github.com/flyteorg/flyte"
CACHE = pathlib.Path(os.environ.get("OUTRIGGER_TOOLS_DIR", ROOT / "target" / "charts")) / "flyte"


def archive(release):
    """The archive of a release, fetched once."""
    version, digest = RELEASES[release]
    file = CACHE / f"{version}.zip"
    if not file.exists():
        proxy = os.environ.get("GOPROXY", "https://proxy.golang.org").split(",")[0]
        with urllib.request.urlopen(f"{proxy}/{MODULE}/@v/{version}.zip", timeout=120) as answer:
            content = answer.read()
        CACHE.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    content = file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest, f"{file} is not what it was"
    return zipfile.ZipFile(io.BytesIO(content))


def chart(release, name, directory):
    """The chart `name` of a release, unpacked below `directory`, without charts of others that it can bring along."""
    version, _ = RELEASES[release]
    prefix = f"{MODULE}@{version}/charts/{name}/"
    files = archive(release)
    for entry in files.namelist():
        if entry.startswith(prefix) and not entry.endswith(("/", "Chart.lock")):
            target = directory / entry.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files.read(entry))
    about = yaml.safe_load((directory / "Chart.yaml").read_text())
    about.pop("dependencies", None)
    (directory / "Chart.yaml").write_text(yaml.safe_dump(about))
    return directory
