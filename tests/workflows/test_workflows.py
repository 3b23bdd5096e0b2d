"""Workflows are valid, careful, and run nothing that is not run here."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from workflow import ROOT, TARGET, WORKFLOWS, NotCovered, commands, jobs, load, words

XTASK = TARGET / "debug" / "xtask"
# What may be written, and where.
WRITES = {
    "release-push": {"packages", "id-token", "attestations"},
    "release-release": {"contents"},
    "labels-labels": {"issues"},
    "site-publish": {"pages", "id-token"},
}


def xtask(*args, env=None, cwd=ROOT):
    run = [XTASK, *args]
    return subprocess.run(run, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)


def listed_steps():
    return {line.split()[0] for line in xtask("test", "--list").stdout.splitlines()}


def dry(command, env):
    """Runs a command of a workflow without what leaves this machine, and returns its output."""
    match command:
        case [".ci/run", *args]:
            subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)
            # `--list` comes last: the arguments are read, and nothing is run.
            done = xtask("test", *args, "--list")
            unknown = set(args) - {"--only"} - listed_steps()
            if unknown:
                raise NotCovered(f"no step of cargo xtask test: {', '.join(sorted(unknown))}")
        case ["cargo", "xtask", "site"]:
            # The step `site` builds it.
            done = xtask("site", "--check", env=env)
        case ["cargo", "xtask", "publish" | "advisories" | "labels", *_]:
            done = xtask(*command[2:], env={**env, "OUTRIGGER_DRY_RUN": "1"})
        case ["cargo", "xtask", "release", *args] if "--build" not in args:
            # The tag of a version that is not ready yet: test_release.py makes one ready.
            done = xtask("release", *[arg for arg in args if arg != "--tag" and not arg.startswith("v")], env=env)
        case _:
            raise NotCovered(f"no test runs {' '.join(command)}")
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("where, command, env", [pytest.param(*each, id=f"{each[0]}: {' '.join(each[1])}") for each in commands()])
def test_every_command_of_a_workflow_runs_dry(where, command, env):
    output = dry(command, env)
    if command[2:3] == ["publish"]:
        assert "ghs_token" not in output
        # A command that leaves this machine is named, not run.
        assert not re.search(r"^\$ ", output, re.M), output


@pytest.mark.parametrize(
    "script",
    ["echo hello", "cargo xtask test --only fmt", "cargo xtask deploy", ".ci/run --only nothing", "cargo xtask publish build && true", "ls\npwd"],
)
def test_a_command_that_no_test_runs_is_refused(script):
    with pytest.raises((NotCovered, AssertionError)):
        dry(words(script), {})


def test_actionlint_accepts_the_workflows():
    # Without shellcheck, which is not installed everywhere; steps have one command anyway.
    lint = [TARGET / "tools" / "bin" / "actionlint", "-no-color", "-shellcheck=", "-pyflakes=", *WORKFLOWS]
    done = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_no_weakness():
    # Informational findings take `cargo xtask publish` for cargo's own `publish`.
    audit = [pathlib.Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", "--min-severity=low", ".github"]
    done = subprocess.run(audit, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_step_of_the_tests_runs_in_ci():
    run = {word for where, command, _ in commands() if where.startswith("ci/") for word in command[1:]} - {"--only"}
    # Each step prepares the tools that it needs.
    assert listed_steps() - run == {"prepare"}


def test_ci_tests_with_the_oldest_rust_that_is_supported():
    oldest = re.search(r'^rust-version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    job = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]
    assert job["container"] == f"rust:{oldest}.0-bookworm"
    # Otherwise rustup would take rust-toolchain.toml's.
    assert job["env"]["RUSTUP_TOOLCHAIN"] == f"{oldest}.0"
    assert f"Rust {oldest} or later" in (ROOT / "CONTRIBUTING.md").read_text()


def test_actions_are_pinned_by_commit_with_their_version():
    for path in [*WORKFLOWS, ROOT / "template/service/.github/workflows/ci.yml"]:
        uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if re.match(r"[ -]*uses: ", line)]
        uses = [line for line in uses if not line.startswith("uses: ./")]
        assert uses, path.name
        for line in uses:
            assert re.fullmatch(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), f"{path.name}: {line}"


def test_one_action_has_one_version():
    pins = {}
    for path in WORKFLOWS:
        for name, pin in re.findall(r"uses: (\S+)@(\S+)", path.read_text()):
            assert pins.setdefault(name, pin) == pin, name


@pytest.mark.parametrize("name, workflow, job", [pytest.param(*each, id=each[0]) for each in jobs()])
def test_a_job_may_do_what_it_must_and_no_more(name, workflow, job):
    assert workflow["permissions"] == {}, "rights are given to jobs"
    writes = {what for what, right in job["permissions"].items() if right == "write"}
    assert writes == WRITES.get(name, set())
    assert "concurrency" in workflow
    if "uses" in job:
        # A workflow of this repository, whose jobs are checked themselves.
        assert (ROOT / job["uses"]).is_file() and job["uses"].startswith("./")
        return
    assert int(job["timeout-minutes"]) <= 120
    checkouts = [step for step in job["steps"] if "checkout@" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_a_release_is_checked_first_and_published_last():
    needs = {name: job.get("needs") for name, job in load(ROOT / ".github/workflows/release.yml")["jobs"].items()}
    assert needs == {"check": None, "test": "check", "build": "check", "push": ["test", "build"], "release": "push"}


def test_a_release_decides_on_provenance_before_it_pushes():
    release = load(ROOT / ".github/workflows/release.yml")
    (attest,) = [step for step in release["jobs"]["push"]["steps"] if "attest-build-provenance@" in step.get("uses", "")]
    assert attest["if"] == "${{ !github.event.repository.private || vars.PRIVATE_RELEASE == 'attested' }}"
    # What `release --check` and the notes go by.
    assert release["env"]["OUTRIGGER_PRIVATE"] == "${{ github.event.repository.private }}"
    assert release["env"]["OUTRIGGER_PRIVATE_RELEASE"] == "${{ vars.PRIVATE_RELEASE }}"
    (checkout,) = [step for step in release["jobs"]["check"]["steps"] if "checkout@" in step.get("uses", "")]
    assert checkout["with"]["fetch-depth"] == "0", "the tag must be of the default branch"


def test_a_workflow_and_the_one_it_calls_do_not_wait_for_each_other():
    groups = [load(path)["concurrency"]["group"] for path in WORKFLOWS]
    assert len(set(groups)) == len(groups)
    assert not any("github.workflow" in group for group in groups), "it is the caller's name in a called workflow"


def test_a_site_is_published_where_there_is_a_place_for_it():
    site = load(ROOT / ".github/workflows/site.yml")
    assert site["jobs"]["build"]["if"] == "${{ github.event.repository.has_pages }}"
    assert site["jobs"]["publish"]["needs"] == "build"
    (upload,) = [step for step in site["jobs"]["build"]["steps"] if "upload-pages-artifact@" in step.get("uses", "")]
    front = upload["with"]["path"].removeprefix("target/") + "/index.html"
    assert f'FRONT: &str = "{front}"' in (ROOT / "xtask/src/site.rs").read_text()


def test_releases_use_no_caches():
    assert "actions/cache" not in (ROOT / ".github/workflows/release.yml").read_text()


def test_no_index_is_asked_for_newer_versions_of_our_own_packages():
    (pip,) = [update for update in load(ROOT / ".github/dependabot.yml")["updates"] if update["package-ecosystem"] == "pip"]
    assert {each["dependency-name"] for each in pip["ignore"]} == {"outrigger-plugin", "outrigger-flytekit"}


def test_ci_keeps_the_picture_of_the_api_page_even_when_tests_fail():
    steps = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    (upload,) = [step for step in steps if "upload-artifact@" in step.get("uses", "")]
    assert upload["if"] == "${{ always() && matrix.name == 'charts' }}"
    assert f'TARGET / "{upload["with"]["path"].removeprefix("target/")}"' in (ROOT / "tests/charts/test_docs_page.py").read_text()


def test_no_owner_or_registry_is_named():
    for path in WORKFLOWS:
        for host in re.findall(r"(?:ghcr\.io|docker\.io|quay\.io|github\.com)/(\S+)", path.read_text()):
            assert host.startswith("${{"), f"{path.name}: {host}"
