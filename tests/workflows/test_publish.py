"""`cargo xtask publish` pushes to a registry that is there: images for both architectures, and charts that name them.

skopeo and Helm are real. cosign, syft and gh would talk to services in the internet: programs in their place keep what they are asked.
"""

import io
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile

import pytest
import yaml
from test_workflows import XTASK
from workflow import ROOT, TARGET, VERSION

CALLED = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
for word; do case $word in cyclonedx-json=*) echo '{"bomFormat": "CycloneDX"}' > "${word#*=}";; esac; done
case "$(basename "$0") $1 $2" in "gh release view") exit 1;; esac
"""


def static_program(note):
    """The smallest file that passes for a static program."""
    header = bytearray(b"\x7fELF\x02\x01".ljust(0x40, b"\0"))
    header[0x20:0x28] = struct.pack("<Q", 0x40)
    return bytes(header) + note.encode()


@pytest.fixture
def called(tmp_path):
    """Programs that keep how they were called, before all others on the path."""
    (tmp_path / "bin").mkdir()
    for name in ("cosign", "syft", "gh", "docker"):
        (tmp_path / "bin" / name).write_text(CALLED)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path / "bin"


@pytest.fixture
def publish(tmp_path, registry, called):
    insecure = tmp_path / "registries.conf"
    insecure.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
    calls = tmp_path / "calls"
    variables = {
        **os.environ,
        "PATH": f"{called}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "CONTAINERS_REGISTRIES_CONF": str(insecure),
        "OUTRIGGER_REPOSITORY": "https://github.com/Acme/Outrigger",
    }

    def publish(step, *flags, env=None):
        to = [] if "--registry" in flags else ["--registry", f"{registry.host}/acme"]
        run = [XTASK, "publish", step, "--plain-http", *to, "--directory", tmp_path / "publish", *flags]
        return subprocess.run(run, cwd=ROOT, env={**variables, **(env or {})}, capture_output=True, text=True)

    publish.env = variables
    publish.directory = tmp_path / "publish"
    publish.calls = lambda: calls.read_text().splitlines() if calls.exists() else []
    return publish


def build(directory, registry):
    """What the jobs of both architectures hand over."""
    (directory / "images").mkdir(parents=True)
    (directory / "files").mkdir()
    (directory / "files" / f"cargo-outrigger-{VERSION}-x86_64-linux.tar.gz").write_bytes(b"program")
    plan = subprocess.run([XTASK, "release", "--check", "--format", "json"], cwd=ROOT, capture_output=True, text=True).stdout
    names = [image["name"] for image in json.loads(plan)["plan"]["images"]]
    subprocess.run(["cargo", "build", "--quiet", "--package", "oci-image"], cwd=ROOT, check=True)
    for name in names:
        for architecture in ("amd64", "arm64"):
            program = directory / f"{name}.{architecture}"
            program.write_bytes(static_program(f"{name} {architecture}"))
            pack = [TARGET / "debug" / "oci-image", "--program", program]
            pack += ["--name", f"{registry.host}/acme/{name}:{VERSION}", "--platform", f"linux/{architecture}"]
            subprocess.run([*pack, "--output", directory / "images" / f"{name}.{architecture}.tar"], cwd=ROOT, check=True)
            program.unlink()
    return names


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.skipif(not (TARGET / "charts/bin/helm").exists() and not shutil.which("helm"), reason="helm is not installed")
def test_a_release_is_pushed_signed_and_described(publish, registry):
    names = build(publish.directory, registry)
    for step in ("images", "charts", "files", "release"):
        done = publish(step)
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    calls = publish.calls()

    for name in names:
        index, digest = registry.manifest(f"acme/{name}", VERSION)
        platforms = {entry["platform"]["architecture"]: entry["digest"] for entry in index["manifests"]}
        assert set(platforms) == {"amd64", "arm64"}
        assert f"cosign sign --yes --recursive {registry.host}/acme/{name}@{digest}" in calls
        for architecture, part in platforms.items():
            attested = f"{registry.host}/acme/{name}@{part}"
            assert any(call.startswith("cosign attest") and call.endswith(attested) for call in calls), attested
            assert (publish.directory / "files" / f"{name}-{VERSION}-{architecture}.cdx.json").exists()

    # A chart names the image that was pushed, by digest.
    chart, chart_digest = registry.manifest("acme/charts/bigquery", VERSION)
    with tarfile.open(fileobj=io.BytesIO(registry.blob(chart["layers"][0]))) as package:
        values = yaml.safe_load(package.extractfile("bigquery/values.yaml"))
        about = yaml.safe_load(package.extractfile("bigquery/Chart.yaml"))
        readme = package.extractfile("bigquery/README.md").read().decode()
    assert values["image"]["registry"] == f"{registry.host}/acme"
    assert values["image"]["digest"] == registry.manifest("acme/bigquery", VERSION)[1]
    assert about["home"] == "https://github.com/Acme/Outrigger"
    assert f"helm install bigquery oci://{registry.host}/acme/charts/bigquery --version {VERSION} " in readme
    assert f"cosign sign --yes {registry.host}/acme/charts/bigquery@{chart_digest}" in calls

    # Provenance is about everything that was pushed or is a file.
    subjects = dict(line.split("  ")[::-1] for line in (publish.directory / "subjects.txt").read_text().splitlines())
    assert "sha256:" + subjects[f"{registry.host}/acme/charts/bigquery"] == chart_digest
    assert {f"{registry.host}/acme/{name}" for name in names} <= set(subjects)
    sums = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=publish.directory / "files").returncode == 0
    assert f"bigquery-{VERSION}.tgz" in subjects
    created = next(call for call in calls if call.startswith("gh release create"))
    assert created.startswith(f"gh release create v{VERSION} --verify-tag") and "SHA256SUMS" in created

    # The commands of the notes ask for what was signed and attested.
    (commands,) = re.findall(r"## Verify\n\n```sh\n(.*?)```", (publish.directory / "notes.md").read_text(), re.S)
    # Where skopeo looks for registries over plain HTTP.
    containers = publish.directory / "home" / ".config" / "containers"
    containers.mkdir(parents=True)
    shutil.copy(publish.env["CONTAINERS_REGISTRIES_CONF"], containers / "registries.conf")
    env = {**publish.env, "HOME": str(publish.directory / "home"), "NO_PROXY": "127.0.0.1"}
    verified = subprocess.run(["sh", "-eu", "-c", commands], cwd=publish.directory / "files", env=env, capture_output=True, text=True)
    assert verified.returncode == 0 and "level=" not in verified.stderr, verified.stderr
    by_workflow = (
        f"--certificate-identity https://github.com/Acme/Outrigger/.github/workflows/release.yml@refs/tags/v{VERSION}"
        " --certificate-oidc-issuer https://token.actions.githubusercontent.com"
    )
    index, _ = registry.manifest("acme/bigquery", VERSION)
    (amd64,) = [part["digest"] for part in index["manifests"] if part["platform"]["architecture"] == "amd64"]
    image, of_chart = f"{registry.host}/acme/bigquery", f"{registry.host}/acme/charts/bigquery"
    assert publish.calls()[len(calls) :] == [
        f"cosign verify {image}:{VERSION} {by_workflow}",
        f"cosign verify {of_chart}:{VERSION} {by_workflow}",
        f"cosign verify-attestation --type cyclonedx {image}@{amd64} {by_workflow}",
        f"gh attestation verify oci://{image}:{VERSION} --repo Acme/Outrigger",
        f"gh attestation verify oci://{of_chart}:{VERSION} --repo Acme/Outrigger",
        f"cosign verify-blob --new-bundle-format --bundle SHA256SUMS.sigstore.json SHA256SUMS {by_workflow}",
    ]
    assert any(re.match(r"cosign attest .*--type cyclonedx .*" + re.escape(f"{image}@{amd64}"), call) for call in calls)
    (blob,) = [call for call in calls if call.startswith("cosign sign-blob")]
    assert "--new-bundle-format --bundle" in blob


def test_nothing_is_pushed_before_everything_is_built(publish, registry):
    failed = publish("images")
    assert failed.returncode == 2
    assert "athena.amd64.tar is missing: run `cargo xtask publish build` on a machine of each" in failed.stderr
    assert not registry.manifests and not publish.calls()
    charts = publish("charts")
    assert charts.returncode == 2
    assert "was not pushed: run `cargo xtask publish images` first" in charts.stderr


@pytest.mark.skipif(bool(shutil.which("syft")), reason="syft is installed")
def test_a_step_without_its_programs_does_not_begin(publish, registry, called):
    (called / "syft").unlink()
    failed = publish("images")
    assert failed.returncode == 2
    assert "syft is not installed" in failed.stderr
    assert not registry.manifests and not publish.calls()


def test_a_login_needs_a_name_and_a_token(publish):
    failed = publish("login")
    assert failed.returncode == 2
    assert "set REGISTRY_USERNAME and REGISTRY_TOKEN" in failed.stderr


def test_a_dry_run_pushes_nothing(publish, registry):
    for step in ("build", "login", "images", "files", "release"):
        done = publish(step, "--dry-run")
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
        assert "would" in done.stdout
    assert not registry.manifests and not publish.calls()
    assert not (publish.directory / "subjects.txt").exists()


def test_only_githubs_registry_sees_githubs_token(publish, called, tmp_path):
    stdin = tmp_path / "stdin"
    (called / "docker").write_text(CALLED + f"cat > {stdin}\n")
    github = {"GITHUB_ACTOR": "octocat", "GITHUB_TOKEN": "ghs_token", "REGISTRY_USERNAME": "", "REGISTRY_TOKEN": ""}
    for registry in ("ghcr.io.example.com/acme", "registry.example.com/acme"):
        refused = publish("login", "--registry", registry, env=github)
        assert refused.returncode == 2 and "set REGISTRY_USERNAME and REGISTRY_TOKEN" in refused.stderr
        assert not publish.calls() and not stdin.exists()
    own = publish("login", "--registry", "registry.example.com/acme", env={**github, "REGISTRY_USERNAME": "robot", "REGISTRY_TOKEN": "own"})
    assert own.returncode == 0 and stdin.read_text() == "own", own.stderr
    ghcr = publish("login", "--registry", "ghcr.io/acme", env=github)
    assert ghcr.returncode == 0 and stdin.read_text() == "ghs_token", ghcr.stderr
    assert publish.calls()[-1] == "docker login ghcr.io --username octocat --password-stdin"
    assert "ghs_token" not in ghcr.stdout + ghcr.stderr
