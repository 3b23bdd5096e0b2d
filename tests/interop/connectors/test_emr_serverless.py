"""flytekit's own connector of EMR Serverless and this repository's service get the same tasks, each before a fake of its
own: what they send is the same but for these differences, which the service's README lists."""

import asyncio
import contextlib
import dataclasses
import json
import re
import subprocess
import urllib.request

import boto3
import pytest
from callers import Flyte1, Refused
from conftest import PROGRAMS, ROOT, environment, eventually, free_port
from flyteidl.admin import agent_pb2
from flyteidl.core import execution_pb2
from flytekit.models.task import TaskExecutionMetadata, TaskTemplate
from flytekitplugins.awsemrserverless.connector import EMRServerlessConnector

README = ROOT / "services" / "emr-serverless" / "README.md"
ENTRYPOINT = "s3://acme-etl/flyte/entrypoint.py"
ADMIN = "arn:aws:iam::111122223333:role/admin"
# AWS documents them as an example. The fake knows them.
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
DIFFERENCES = []


def difference(row):
    """Marks the test of a row of the README."""
    DIFFERENCES.append(row)
    return lambda test: test


def golden(name, **custom):
    """A request that flytekit made, with other keys of `custom`. Its connector can send no `retry_policy`."""
    request = agent_pb2.CreateTaskRequest.FromString((ROOT / "tests" / "golden" / "v1" / f"{name}.pb").read_bytes())
    request.template.custom.fields.pop("retry_policy", None)
    request.template.custom.update(custom)
    return request


class Aws:
    """A fake of EMR Serverless as a program."""

    def __init__(self, *arguments):
        command = [PROGRAMS / "fake-upstream", "emr-serverless", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def calls(self):
        """The names of all calls, and their inputs."""
        with urllib.request.urlopen(f"{self.url}/fake/calls", timeout=10) as answer:
            return json.load(answer)

    @property
    def names(self):
        return [name for name, _ in self.calls]

    @property
    def runs(self):
        """The inputs of all submits."""
        return [given for name, given in self.calls if name == "StartJobRun"]

    @property
    def jobs(self):
        with urllib.request.urlopen(f"{self.url}/fake/jobs", timeout=10) as answer:
            return int(answer.read())


@dataclasses.dataclass
class Theirs:
    """flytekit's connector, in this process."""

    aws: Aws
    connector: EMRServerlessConnector

    def create(self, request):
        template = TaskTemplate.from_flyte_idl(request.template)
        metadata = TaskExecutionMetadata.from_flyte_idl(request.task_execution_metadata)
        return asyncio.run(self.connector.create(template, task_execution_metadata=metadata))

    def get(self, meta):
        resource = asyncio.run(self.connector.get(meta))
        return execution_pb2.TaskExecution.Phase.Name(resource.phase), resource.message

    def delete(self, meta):
        asyncio.run(self.connector.delete(meta))


@dataclasses.dataclass
class Ours:
    """The service, as Flyte calls it."""

    aws: Aws
    caller: Flyte1

    def create(self, request):
        return self.caller.create(request)

    def get(self, handle):
        answer = self.caller.get("emr_serverless", handle)
        return answer.phase, answer.message

    def delete(self, handle):
        self.caller.delete("emr_serverless", handle)


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Starts both."""
    with contextlib.ExitStack() as running:

        def aws(*arguments):
            fake = Aws(*arguments)
            running.callback(fake.kill)
            return fake

        def start(*arguments):
            theirs, ours = aws(*arguments), aws(*arguments)
            for name, value in {**KEYS, "AWS_ENDPOINT_URL": theirs.url, "AWS_DEFAULT_REGION": "eu-central-1"}.items():
                monkeypatch.setenv(name, value)
            # It would put its script into S3.
            monkeypatch.setattr(EMRServerlessConnector, "_ensure_entrypoint_on_s3", lambda *_: ENTRYPOINT)
            return Theirs(theirs, EMRServerlessConnector()), Ours(ours, running.enter_context(service(ours, tmp_path)))

        yield start


@contextlib.contextmanager
def service(aws, files):
    for name, value in KEYS.items():
        (files / name.lower()).write_text(value)
    api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    own = ["--region=eu-central-1", "--execution-roles=arn:aws:iam::111122223333:role/etl-*", "--poll-freshness=0s"]
    own += [f"--endpoint={aws.url}", f"--secrets-dir={files}", f"--entrypoint={ENTRYPOINT}"]
    own += [f"--listen={api}", f"--admin-listen={admin}", "--insecure-no-auth", "--drain-delay=0s"]
    with open(files / "log", "w") as log:
        process = subprocess.Popen([PROGRAMS / "emr-serverless", *own], env=environment(), stdout=log, stderr=log)

    def is_ready():
        assert process.poll() is None, (files / "log").read_text()
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{admin}/readyz", timeout=1)

    try:
        eventually(is_ready, "the service is ready")
        yield Flyte1(f"http://{api}")
    finally:
        process.kill()
        process.wait()


def confs(run):
    """The parameters of spark-submit."""
    return run["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"].split(" --conf ")


@pytest.mark.parametrize(
    ("name", "custom"),
    [
        ("emr_spark", {}),
        ("emr_hive", {"application_id": "00f1r2v3abcdef09"}),
        ("emr_minimal", {"application_id": "00f1r2v3abcdef09"}),
        # The application of the fake has another image.
        ("emr_code", {"sync_image": False}),
    ],
)
def test_a_run_is_the_same_member_by_member(start, name, custom):
    theirs, ours = start()
    request = golden(name, **custom)
    theirs.create(request)
    ours.create(request)
    (expected,), (sent,) = theirs.aws.runs, ours.aws.runs
    # What the tests below are about.
    assert expected.pop("clientToken") != sent.pop("clientToken")
    for run in (expected, sent):
        if spark := run["jobDriver"].get("sparkSubmit"):
            parameters = [conf.strip() for conf in spark.get("sparkSubmitParameters", "").split("--conf ")]
            known = re.compile("STAGE=|FLYTE_FAIL_ON_ERROR=")
            spark["sparkSubmitParameters"] = sorted(conf for conf in parameters if not known.search(conf))
            arguments = spark.get("entryPointArguments", [])
            spark["entryPointArguments"] = [text.replace("{{ .inputs.day }}", "2026-03-01") for text in arguments]
    assert sent == expected


@difference("`clientToken` is random")
def test_a_repeated_create(start):
    theirs, ours = start()
    for side in (theirs, ours):
        side.create(golden("emr_spark"))
        side.create(golden("emr_spark"))
    assert (theirs.aws.jobs, ours.aws.jobs) == (2, 1)


@difference('any error of a poll is FAILED, "Job not found"')
def test_a_poll_in_an_outage(start):
    theirs, ours = start("--polls=9")
    jobs = [(side, side.create(golden("emr_spark"))) for side in (theirs, ours)]
    found = [(side.get(job), side.aws.kill(), side.get(job)) for side, job in jobs]
    assert [before[0] for before, _, _ in found] == ["RUNNING", "QUEUED"]
    (phase, message), (ours_phase, _) = (after for _, _, after in found)
    assert phase == "FAILED" and message.startswith("Job not found")
    assert ours_phase == "QUEUED"


@difference("while the application starts, polls submit the job, from a handle that holds the whole request")
def test_an_application_that_is_stopped(start):
    theirs, ours = start("--application=stopped")
    meta, handle = (side.create(golden("emr_spark")) for side in (theirs, ours))
    assert (theirs.aws.jobs, ours.aws.jobs) == (0, 1)
    assert meta.pending_job_request["job_driver"]["sparkSubmit"]["entryPoint"] in str(meta.encode())
    theirs.get(meta)
    assert theirs.aws.jobs == 1
    assert len(handle) < 1024 and "Start" in "".join(ours.aws.names)


@difference("starts an application whenever it is not started, and asks for its state before each run")
def test_an_application_that_starts_by_itself(start):
    theirs, ours = start("--application=idle")
    for side in (theirs, ours):
        side.create(golden("emr_spark", sync_image=False))
    assert theirs.aws.names == ["GetApplication", "StartApplication"]
    assert ours.aws.names == ["StartJobRun"]


@difference("every failure is permanent")
def test_a_failure_for_want_of_capacity(start):
    phases = []
    for side in start("--polls=0", "--ending=maximumCapacity"):
        phases.append(side.get(side.create(golden("emr_spark")))[0])
    assert phases == ["FAILED", "RETRYABLE_FAILED"]


@difference("`application_name` makes another application, where the operator allows it")
def test_an_application_by_its_name(start):
    theirs, ours = start()
    with pytest.raises(ValueError, match="creation is disabled by the connector"):
        theirs.create(golden("emr_minimal"))
    ours.create(golden("emr_minimal"))
    assert ours.aws.runs[0]["applicationId"] == "00f1r2v3abcdef09"


@difference("an `application_id` such as `etl` is sent as an id")
def test_a_name_in_place_of_an_id(start):
    theirs, ours = start()
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        theirs.create(golden("emr_hive"))
    ours.create(golden("emr_hive"))
    assert ours.aws.runs[0]["applicationId"] == "00f1r2v3abcdef09"


@difference("makes applications and changes their images")
def test_an_application_with_another_image(start):
    theirs, ours = start()
    # The fake has no such operation.
    with pytest.raises(Exception, match="when calling the UpdateApplication operation"):
        theirs.create(golden("emr_code"))
    phase, message = ours.get(ours.create(golden("emr_code")))
    assert phase == "FAILED" and "this service changes no application" in message
    assert ours.aws.names == ["GetApplication"]


@difference("uploads its script to a bucket that it guesses from the log's URI")
def test_the_script_that_starts_code(start, monkeypatch):
    theirs, ours = start()
    request = golden("emr_code", sync_image=False)
    logs = {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://guessed/logs/"}}}
    request.template.custom.update({"configuration_overrides": logs})
    monkeypatch.undo()
    put = []

    class S3:
        def head_object(self, **_):
            raise KeyError

        def put_object(self, **given):
            put.append(given["Bucket"])

    monkeypatch.setattr(boto3, "client", lambda *_, **__: S3())
    config = theirs.connector._extract_config(TaskTemplate.from_flyte_idl(request.template))
    uri = theirs.connector._ensure_entrypoint_on_s3(theirs.connector._get_handler("eu-central-1"), config)
    assert put == ["guessed"] and uri.startswith("s3://guessed/flyte/emr-serverless/entrypoint-")
    ours.create(request)
    assert ours.aws.runs[0]["jobDriver"]["sparkSubmit"]["entryPoint"] == ENTRYPOINT


@difference("takes the first of several applications of one name, or none while it starts")
def test_applications_of_one_name(start, monkeypatch):
    theirs, ours = start()
    handler, asked = theirs.connector._get_handler("eu-central-1"), []

    async def two(*_, states, **__):
        asked.extend(states)
        return [{"id": "a", "name": "etl"}, {"id": "b", "name": "etl"}]

    monkeypatch.setattr(handler, "_paginate", two)
    assert asyncio.run(handler.find_application_by_name("etl")) == "a"
    assert "STARTING" not in asked
    ours.create(golden("emr_hive"))
    (listed,) = [given for name, given in ours.aws.calls if name == "ListApplications"]
    assert {"CREATING", "STARTING", "STOPPING"} < set(listed["states"])


@difference("placeholders stay as they are")
def test_placeholders_of_arguments(start):
    theirs, ours = start()
    for side in (theirs, ours):
        side.create(golden("emr_spark"))
    day = [side.aws.runs[0]["jobDriver"]["sparkSubmit"]["entryPointArguments"][1] for side in (theirs, ours)]
    assert day == ["{{ .inputs.day }}", "2026-03-01"]


@difference("the container's variables are lost")
def test_variables_of_the_container(start):
    theirs, ours = start()
    for side in (theirs, ours):
        side.create(golden("emr_code", sync_image=False))
    variable = "spark.executorEnv.STAGE=prod"
    assert [variable in confs(side.aws.runs[0]) for side in (theirs, ours)] == [False, True]


@difference("a failed function is found in what its script writes to stderr")
def test_a_function_that_fails(start):
    theirs, ours = start()
    for side in (theirs, ours):
        side.create(golden("emr_code", sync_image=False))
    variable = "spark.emr-serverless.driverEnv.FLYTE_FAIL_ON_ERROR=true"
    assert [variable in confs(side.aws.runs[0]) for side in (theirs, ours)] == [False, True]


@difference("a `retry_policy` fails: its numbers have become floats")
def test_a_policy_of_retries(start):
    theirs, ours = start()
    request = golden("emr_spark", retry_policy={"maxAttempts": 2})
    with pytest.raises(Exception, match="Invalid type for parameter retryPolicy.maxAttempts, value: 2.0"):
        theirs.create(request)
    ours.create(request)
    assert ours.aws.runs[0]["retryPolicy"] == {"maxAttempts": 2}


@difference("any role and region")
def test_a_role_that_nobody_lists(start):
    theirs, ours = start()
    for side in (theirs, ours):
        side.create(golden("emr_spark", execution_role_arn=ADMIN))
    assert theirs.aws.runs[0]["executionRoleArn"] == ADMIN
    assert ours.aws.calls == []


@difference("errors of a cancel are logged and dropped, and each asks for the run's state first")
def test_a_cancel(start):
    theirs, ours = start("--polls=9")
    jobs = [(side, side.create(golden("emr_spark", sync_image=False))) for side in (theirs, ours)]
    before = [len(side.aws.calls) for side, _ in jobs]
    for side, job in jobs:
        side.delete(job)
    calls = [side.aws.names[start:] for (side, _), start in zip(jobs, before, strict=True)]
    assert calls == [["GetJobRun", "CancelJobRun"], ["CancelJobRun"]]
    for side in (theirs, ours):
        side.aws.kill()
    theirs.delete(jobs[0][1])
    with pytest.raises(Refused):
        ours.delete(jobs[1][1])


def test_the_readme_has_these_differences():
    _, _, table = README.read_text().partition("| Flyte's connector 1.16.31 |")
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table.split("\n\n")[0].splitlines()[2:]]
    assert rows == DIFFERENCES
