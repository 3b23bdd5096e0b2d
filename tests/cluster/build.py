"""Builds the control plane that the cluster tests run: python tests/cluster/build.py [DIRECTORY]

Builds Kubernetes' API server and controller manager, and etcd, from the sources pinned in go.mod, and collects the definitions of
the custom resources that the charts use. Only Go 1.25 or later is needed. A second run finds everything in place.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
DEFAULT = HERE.parents[1] / os.environ.get("CARGO_TARGET_DIR", "target") / "cluster"

# A program, its module and its package.
PROGRAMS = [
    ("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
]
# A module, its digest, and the definitions in it. No program imports these modules, so they are not in go.mod.
DEFINITIONS = [
    (
        "github.com/external-secrets/external-secrets@v1.3.2",
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        ["config/crds/bases/external-secrets.io_externalsecrets.yaml"],
    ),
    (
        "github.com/kedacore/keda/v2@v2.18.1",
        "h1:h6bRt/IOxxtZpJlHSqhdH/lcInH7Z9obxg/JvWOmGAw=",
        ["config/crd/bases/keda.sh_scaledobjects.yaml"],
    ),
    (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        [
            f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
            for kind in ("podmonitors", "prometheusrules", "servicemonitors")
        ],
    ),
    (
        "sigs.k8s.io/gateway-api@v1.4.0",
        "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
        [f"config/crd/standard/gateway.networking.k8s.io_{kind}.yaml" for kind in ("grpcroutes", "httproutes")],
    ),
]


def go(*arguments, cwd):
    """The output of the go command; its errors go to the terminal."""
    # Without cgo no C compiler is needed. The caller may have set compiler flags in GOFLAGS.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        done = subprocess.run(["go", *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        sys.exit("go not found: install Go 1.25 or later, https://go.dev/doc/install")
    if done.returncode:
        sys.exit(f"go {' '.join(arguments)} failed {done.stdout}")
    return done.stdout


def pinned(module):
    return re.search(rf"^\t{re.escape(module)} (v\S+)$", (HERE / "go.mod").read_text(), re.MULTILINE)[1]


def linker_flags(version):
    """A build from a module does not contain its version, which charts read from the cluster."""
    major, minor, _ = version.removeprefix("v").split(".", 2)
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in facts.items())])


def build(package, version, target):
    go("build", "-buildvcs=false", "-ldflags", linker_flags(version), "-o", str(target), package, cwd=HERE)


def copy_definitions(module, digest, files, directory):
    found = json.loads(go("mod", "download", "-json", module, cwd=directory))
    if found["Sum"] != digest:
        sys.exit(f"{module} has the digest {found['Sum']}, not {digest}")
    for file in files:
        shutil.copyfile(pathlib.Path(found["Dir"]) / file, directory / pathlib.Path(file).name)


class Stamp:
    """What is installed already, and in which version."""

    def __init__(self, file):
        self.file = file
        self.versions = json.loads(file.read_text()) if file.exists() else {}

    def has(self, name, version, files):
        return self.versions.get(name) == version and all(file.exists() for file in files)

    def add(self, name, version):
        self.versions[name] = version
        self.file.write_text(json.dumps(self.versions, indent=2))


def main(directory):
    programs, definitions = directory / "bin", directory / "definitions"
    for made in (programs, definitions):
        made.mkdir(parents=True, exist_ok=True)
    stamp = Stamp(directory / "stamp.json")
    for name, module, package in PROGRAMS:
        if not stamp.has(name, pinned(module), [programs / name]):
            print(f"   building {name} {pinned(module)} into {programs}; the first time takes minutes …", flush=True)
            build(package, pinned(module), programs / name)
            stamp.add(name, pinned(module))
    for module, digest, files in DEFINITIONS:
        copies = [definitions / pathlib.Path(file).name for file in files]
        if not stamp.has(module, digest, copies):
            print(f"   copying definitions of {module} into {definitions}", flush=True)
            copy_definitions(module, digest, files, definitions)
            stamp.add(module, digest)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve() if sys.argv[1:] else DEFAULT)
