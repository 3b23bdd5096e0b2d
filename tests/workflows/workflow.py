"""GitHub's workflows as these tests see them: jobs, steps and the commands that a runner would start."""

import itertools
import os
import pathlib
import re
import shlex

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]

# A fork's values of what the workflows ask for. An expression that is not here fails the test that needs it.
CONTEXT = {
    "github.actor": "octocat",
    "github.event.repository.default_branch": "main",
    "github.event.repository.private": "false",
    "github.repository": "Acme/Outrigger",
    "github.server_url": "https://github.com",
    "github.token": "ghs_token",
    "secrets.REGISTRY_TOKEN": "",
    "vars.PRIVATE_RELEASE": "",
    "vars.REGISTRY_USERNAME": "",
}
# What a runner sets by itself.
RUNNER = {"GITHUB_ACTOR": "octocat", "GITHUB_REF_NAME": f"v{VERSION}", "CI": "true"}


class NotCovered(Exception):
    """A workflow runs something that no test runs."""


def load(path):
    """The workflow, with strings as they are written: `on` is no boolean."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


def jobs():
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.stem}-{name}", load(path), job


def value_of(expression, matrix):
    """An expression's value: the first of its alternatives that is not empty."""
    for alternative in (part.strip() for part in expression.split("||")):
        known = {**CONTEXT, **{f"matrix.{key}": value for key, value in matrix.items()}}
        if alternative not in known:
            raise NotCovered(f"the expression ${{{{ {expression} }}}} is not in CONTEXT")
        if known[alternative]:
            return known[alternative]
    return ""


def expand(text, matrix):
    return re.sub(r"\$\{\{(.+?)\}\}", lambda found: value_of(found[1].strip(), matrix), text)


def commands():
    """Every command that a workflow runs: its name for people, its words and its environment."""
    found = []
    for path in WORKFLOWS:
        workflow = load(path)
        for name, job in workflow["jobs"].items():
            includes = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
            for matrix, step in itertools.product(includes, job.get("steps", [])):
                if "run" not in step:
                    continue
                above = [workflow.get("env", {}), job.get("env", {}), step.get("env", {})]
                env = {key: expand(value, matrix) for env in above for key, value in env.items()}
                found.append((f"{path.stem}/{name}", words(step["run"], matrix), {**RUNNER, **env}))
    return found


def words(script, matrix=None):
    """The words of a step's only command. Scripts belong where they can be run: in xtask."""
    script = expand(script.strip(), matrix or {})
    if "\n" in script or re.search(r"[;&|<>`]|\$\(", script):
        raise NotCovered(f"a step runs more than one command: {script}")
    split = shlex.split(script)
    return [re.sub(r"^\$(\w+)$", lambda found: RUNNER[found[1]], word) for word in split]
