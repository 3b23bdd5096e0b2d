"""`cargo xtask release` on a copy of this repository: what makes it ready, and what it finds."""

import json
import re

import pytest
from conftest import git
from test_workflows import xtask
from workflow import ROOT, VERSION

TAG = f"v{VERSION}"
SOURCES = {"OUTRIGGER_REPOSITORY": "https://github.com/Acme/Outrigger"}


def release(repository, *args, env=None):
    return xtask("--root", str(repository), "release", *args, env=env)


def test_a_release_is_ready_once_its_charts_are_recorded(repository):
    missing = release(repository, "--check", "--tag", TAG)
    assert missing.returncode == 3
    assert f"released.toml: has no digest of bigquery {VERSION}: run `cargo xtask release --record`" in missing.stderr
    assert release(repository, "--record").returncode == 0
    ready = release(repository, "--check", "--tag", TAG, "--registry", "registry.example.com/team")
    assert ready.returncode == 0, ready.stderr
    assert f"registry.example.com/team/bigquery:{VERSION}" in ready.stdout
    assert f"oci://registry.example.com/team/charts/bigquery:{VERSION}" in ready.stdout
    assert ready.stdout.endswith("Ready.\n")


def test_a_private_repositorys_owner_decides_before_anything_is_pushed(repository):
    assert release(repository, "--record").returncode == 0
    private = {"OUTRIGGER_PRIVATE": "true"}
    undecided = release(repository, "--check", "--tag", TAG, env=private)
    assert undecided.returncode == 3
    assert "error: .github/workflows/release.yml: the repository is private." in undecided.stderr
    assert "PRIVATE_RELEASE to `attested` (with Enterprise Cloud) or `unattested`" in undecided.stderr
    assert "gh attestation" in release(repository, "--notes", "--registry", "r.example.com/a", env=SOURCES).stdout
    for choice, attested in [("attested", True), ("unattested", False)]:
        decided = {**SOURCES, **private, "OUTRIGGER_PRIVATE_RELEASE": choice}
        assert release(repository, "--check", "--tag", TAG, env=decided).returncode == 0
        notes = release(repository, "--notes", "--registry", "r.example.com/a", env=decided).stdout
        assert "cosign verify" in notes and ("gh attestation" in notes) == attested


def test_a_tag_beside_the_default_branch_is_refused(repository):
    assert release(repository, "--record").returncode == 0
    for command in (["add", "."], ["commit", "--quiet", "--message=Released"], ["update-ref", "refs/remotes/origin/main", "HEAD"]):
        git("-c", "user.name=a", "-c", "user.email=a@example.com", *command, cwd=repository)
    tagged = {"OUTRIGGER_DEFAULT_BRANCH": "main"}
    assert release(repository, "--check", "--tag", TAG, env=tagged).returncode == 0
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "--message=Beside", cwd=repository)
    git("tag", TAG, cwd=repository)
    refused = release(repository, "--check", "--tag", TAG, env=tagged)
    assert refused.returncode == 3
    assert f"{TAG} is no commit of origin/main: merge first, then tag what was merged" in refused.stderr


def test_a_chart_that_changes_after_its_release_needs_a_new_version(repository):
    assert release(repository, "--record").returncode == 0
    service = repository / "charts" / "bigquery" / "templates" / "service.yaml"
    service.write_text(service.read_text() + "# changed\n")
    found = release(repository, "--check")
    assert found.returncode == 3
    assert f"charts/bigquery: {VERSION} was released with other files (released.toml:" in found.stderr
    assert "raise workspace.package.version in Cargo.toml" in found.stderr
    # It cannot be recorded away.
    assert release(repository, "--record").returncode == 5


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("charts/sql/Chart.yaml", f"version: {VERSION}", "version: 9.9.9", "version is 9.9.9"),
        ("clients/flytekit/pyproject.toml", f'version = "{VERSION}"', 'version = "9.9.9"', "version is 9.9.9"),
        ("clients/python/src/outrigger_plugin/__init__.py", f'"{VERSION}"', '"9.9.9"', "__version__ is 9.9.9"),
        ("services/bigquery/Cargo.toml", "version.workspace = true", 'version = "9.9.9"', "version is 9.9.9"),
        ("template/service/derive.rhai", f'"{VERSION}"', '"9.9.9"', "outrigger_version is 9.9.9"),
        ("docs/quickstart-operator.md", f"$name:{VERSION}", "$name:9.9.9", "$name:9.9.9 names an artefact"),
        ("docs/openapi.json", f'"version": "{VERSION}"', '"version": "9.9.9"', "version is 9.9.9"),
    ],
)
def test_another_version_is_named_with_file_and_line(repository, file, old, new, message):
    path = repository / file
    line = path.read_text().split(old)[0].count("\n") + 1
    path.write_text(path.read_text().replace(old, new, 1))
    found = release(repository, "--check")
    assert found.returncode == 3, found.stdout + found.stderr
    assert f"error: {file}:{line}: {message}" in found.stderr


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("CHANGELOG.md", f"## [{VERSION}]", "## [0.0.1]", f"CHANGELOG.md: has no section `## [{VERSION}] - YYYY-MM-DD`"),
        ("docs/upgrading.md", "### Template version 12", "### Template 12", "0012-names-that-are-yours.toml:5: somebody must act"),
    ],
)
def test_what_is_forgotten_is_named(repository, file, old, new, message):
    path = repository / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    found = release(repository, "--check")
    assert found.returncode == 3, found.stdout + found.stderr
    assert message in found.stderr


def test_the_report_is_json_or_annotations_on_request(repository):
    wrong = release(repository, "--check", "--tag", "v9.9.9", "--output", "json")
    report = json.loads(wrong.stdout)
    assert report["findings"][0]["file"] == "Cargo.toml"
    images = {image["name"] for image in report["plan"]["images"]}
    assert images >= {"bigquery", "propeller-proxy", "sql"}
    # Those that compose/ starts, from a release.
    compose = (ROOT / "compose/compose.yaml").read_text()
    started = set(re.findall(r"OUTRIGGER_PREFIX:-\}([a-z-]+):", compose))
    assert started and started <= images, started - images
    annotated = release(repository, "--check", "--tag", "v9.9.9", "--format", "github")
    assert annotated.stdout.startswith("::error file=Cargo.toml,line=")


def test_a_raised_version_stands_everywhere_but_in_charts(repository):
    wrong = release(repository, "--raise", VERSION)
    assert wrong.returncode == 2 and f"'{VERSION}' is no version after {VERSION}" in wrong.stderr
    raised = release(repository, "--raise", "90.1.0")
    assert raised.returncode == 0, raised.stderr
    assert "CHANGELOG.md" in raised.stdout and "cargo xtask sync --all" in raised.stdout
    left = release(repository, "--check").stderr
    stale = [line for line in left.splitlines() if line.startswith("error: ")]
    # `sync` writes charts; a changelog without changes is not released.
    assert all(line.startswith(("error: charts/", "error: CHANGELOG.md")) for line in stale), left
    synced = xtask("--root", str(repository), "sync", "--all")
    assert synced.returncode == 0, synced.stderr
    left = release(repository, "--check").stderr
    assert [line for line in left.splitlines() if line.startswith("error: ")] == [
        f"error: CHANGELOG.md:{line_of(repository / 'CHANGELOG.md', '## [90.1.0]')}: [90.1.0] lists no changes"
    ]
    assert "bigquery:90.1.0" in (repository / "compose" / "compose.yaml").read_text()
    assert not old_names(repository)


def old_names(repository):
    """Lines that still name one of the project's images, charts or wheels in the old version."""
    plan = json.loads(release(repository, "--check", "--format", "json").stdout)["plan"]
    names = {image["name"] for image in plan["images"]} | set(plan["charts"]) | {"outrigger_plugin", "outrigger_flytekit"}
    named = re.compile(rf"\b(?:{'|'.join(sorted(names))})[:-]v?{re.escape(VERSION)}\b")
    # These tell of past versions, or try what tells.
    past = ("CHANGELOG.md", "docs/upgrading.md", "template/changes/", "xtask/src/release/", "tests/workflows/")
    found = []
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", cwd=repository).splitlines():
        if name.startswith(past):
            continue
        try:
            lines = (repository / name).read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{name}:{number}: {line}" for number, line in enumerate(lines, 1) if named.search(line)]
    return found


def line_of(path, text):
    return path.read_text().split(text)[0].count("\n") + 1


def test_notes_are_the_changelogs_section(repository):
    notes = release(repository, "--notes").stdout
    section = (repository / "CHANGELOG.md").read_text().split(f"## [{VERSION}]")[1].split("\n", 1)[1].split("\n## ")[0]
    assert notes.startswith(section.strip())
