"""Examples of services/declarative for APIs of AWS, against AWS's own models: what they send, and the answers that they are tested with."""

import json
import re
import subprocess

import botocore.session
import botocore.validate
import pytest
from conftest import PROGRAMS, ROOT

EXAMPLES = ROOT / "services/declarative/examples"
# Names of the services in botocore, by file.
SERVICES = {"athena": "athena", "ecs": "ecs", "emr-steps": "emr", "glue": "glue", "step-functions": "stepfunctions"}
# The answers to a poll, and to a create.
POLLS, CREATES = ("running", "succeeded", "failed"), ("created",)


def model(example):
    return botocore.session.get_session().get_service_model(SERVICES[example])


def errors(shape, value):
    """What the model finds wrong with a value."""
    return botocore.validate.ParamValidator().validate(value, shape).generate_report()


def requests(example):
    """The requests that the file makes of its own example: part, operation and body."""
    file = EXAMPLES / f"{example}.yaml"
    plugin = re.search(r"^  name: (\S+)$", file.read_text(), re.M)[1]
    command = [PROGRAMS / "declarative", "try", file, "--set", f"{plugin}.region=eu-central-1"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^# (\S+)\nPOST \S+  \((\w+)\)\n.*?\n\n(\{.*?^\})", shown, re.M | re.S)
    return {part: (operation, json.loads(body)) for part, operation, body in found}


@pytest.mark.parametrize("example", SERVICES)
def test_requests_have_the_form_of_the_model(example):
    sent = requests(example)
    assert {"create", "get", "delete"} <= set(sent), sent
    for part, (operation, body) in sent.items():
        wrong = errors(model(example).operation_model(operation).input_shape, body)
        assert not wrong, (part, operation, wrong)


@pytest.mark.parametrize("example", SERVICES)
def test_recorded_answers_have_the_form_of_the_model(example):
    sent = requests(example)
    recorded = EXAMPLES / f"{example}.recorded.json"
    if not recorded.exists():
        # The example passes what was recorded for the service in Rust.
        recorded = ROOT / "services" / example / "tests/recorded.json"
    recorded = json.loads(recorded.read_text())
    for part, steps in (("get", POLLS), ("create", CREATES)):
        shape = model(example).operation_model(sent[part][0]).output_shape
        for step in steps:
            answers = recorded[step] if isinstance(recorded[step], list) else [recorded[step]]
            # A create may have looked for the job before.
            wrong = errors(shape, answers[-1]["body"])
            assert not wrong, (step, wrong)


def test_a_lambda_function_is_invoked_as_the_model_says():
    operation = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")
    region = "aws-lambda.region=eu-central-1"
    command = [PROGRAMS / "declarative", "try", EXAMPLES / "aws-lambda.yaml", "--set", region]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    path = operation.http["requestUri"].replace("{FunctionName}", "report")
    assert f"{operation.http['method']} https://lambda.eu-central-1.amazonaws.com{path}\n" in shown
    members = operation.input_shape.members
    header = members["InvocationType"].serialization["name"].lower()
    assert f"{header}: RequestResponse\n" in shown
    text = (EXAMPLES / "aws-lambda.yaml").read_text()
    for member in ("FunctionError", "ExecutedVersion"):
        name = operation.output_shape.members[member].serialization["name"].lower()
        assert f"headers['{name}']" in text
