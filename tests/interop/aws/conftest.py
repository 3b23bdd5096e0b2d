"""The services for AWS as programs, in front of moto with IAM's authentication on; and the fakes as programs."""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import moto_iam
import pytest

ROOT = pathlib.Path(__file__).parents[3]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_PROGRAMS", TARGET / "debug"))
REGION = "eu-central-1"
STEP_FUNCTIONS = ROOT / "services/declarative/examples/step-functions.yaml"
# AWS documents them as an example. The fakes know them.
FAKES_KEYS = {
    "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@contextlib.contextmanager
def fake_upstream(*arguments):
    """A fake vendor as a program. Returns its URL."""
    fake = subprocess.Popen([PROGRAMS / "fake-upstream", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield fake.stdout.readline().strip()
    finally:
        fake.kill()
        fake.wait()


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


# Each service's task type.
TASK_TYPES = {
    "athena": "athena",
    "aws-batch": "aws-batch",
    "declarative": "aws_step_function",
    "emr-serverless": "emr_serverless",
    "redshift": "redshift",
    "sagemaker": "sagemaker-processing-job",
}
IMAGE = "registry.example.com/etl:1.4"
ROLE = "arn:aws:iam::123456789012:role/etl-orders"
ML_ROLE = "arn:aws:iam::123456789012:role/ml-train"
SCRIPT = "s3://acme-etl/orders.py"


def smallest(name, custom):
    """A request for a task that declares no results."""
    if name == "aws-batch":
        container = {"image": IMAGE, "args": ["echo", "42"]}
        return {"template": {"type": "aws-batch", "custom": custom, "container": container}}
    if name == "emr-serverless":
        run = {"application_name": "etl", "execution_role_arn": ROLE, "spark_job_driver": {"entryPoint": SCRIPT}}
        return {"custom": {**run, **custom}}
    if name == "sagemaker":
        # The only one of SageMaker's jobs that moto can stop.
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        job = {"AppSpecification": {"ImageUri": IMAGE}, "ProcessingResources": {"ClusterConfig": cluster}}
        return {"custom": {"config": job, **custom}}
    return {"custom": custom, "sql": "SELECT 42"}


@dataclasses.dataclass
class Answer:
    """An answer of REST."""

    status: int
    body: dict

    @property
    def message(self):
        return self.body.get("message", "")


@dataclasses.dataclass
class Service:
    """A running service."""

    name: str
    api: str
    log: pathlib.Path

    def call(self, method, query="", body=None, key=None, task_type=None):
        url = f"http://{self.api}/plugins/v1/{task_type or TASK_TYPES[self.name]}/0{query}"
        headers = {"content-type": "application/json", "idempotency-key": key or str(uuid.uuid4())}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, json.load(refused))

    def create(self, **custom):
        """Runs a task that declares no results."""
        return self.call("PUT", body=smallest(self.name, custom))

    def run(self, **custom):
        """The id of a job that was created."""
        answer = self.create(**custom)
        assert answer.status == 200, answer
        return answer.body["job_id"]

    def get(self, job, task_type=None):
        return self.call("GET", f"?job_id={urllib.parse.quote(job)}", task_type=task_type)

    def delete(self, job, task_type=None):
        return self.call("DELETE", f"?job_id={urllib.parse.quote(job)}", task_type=task_type)


@contextlib.contextmanager
def service(files, name, arguments, variables):
    """The service `name` on a free port."""
    api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    own = [f"--listen={api}", f"--admin-listen={admin}", "--insecure-no-auth", "--drain-delay=0s"]
    # The environment and the files of whoever runs the tests would configure it, too.
    environment = {"AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", **variables}
    log = files / f"{name}-{admin}.log"
    with open(log, "w") as output:
        command = [PROGRAMS / name, *own, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 30
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{admin}/readyz", timeout=1)
                break
            time.sleep(0.05)
        yield Service(name, api, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def moto():
    """moto, where every request must be signed by somebody who may make it."""
    with moto_iam.running() as server:
        server.prepare()
        yield server


@pytest.fixture
def start(moto, tmp_path):
    """Starts a service in front of moto with the keys of an identity in its secrets."""
    with contextlib.ExitStack() as running:

        def start(name, keys, *arguments, **variables):
            secrets = tmp_path / uuid.uuid4().hex
            secrets.mkdir()
            for secret, value in keys.items():
                (secrets / secret).write_text(value)
            where = {
                "athena": ["--output-location=s3://results/", "--poll-freshness=0s"],
                "aws-batch": ["--job-queues=etl", "--poll-freshness=0s"],
                "emr-serverless": ["--execution-roles=arn:aws:iam::123456789012:role/etl-*", "--poll-freshness=0s"],
                "redshift": ["--workgroups=sales", "--databases=dev"],
                "sagemaker": [f"--execution-roles={ML_ROLE}"],
                "declarative": [f"--files={STEP_FUNCTIONS}", f"--set=step-functions.region={REGION}"],
            }
            own = [f"--endpoint={moto.url}", f"--secrets-dir={secrets}"]
            if name == "declarative":
                # Its files have AWS's settings from the environment.
                variables = {"AWS_ENDPOINT_URL_STS": moto.url, **variables}
            else:
                own.append(f"--sts-endpoint-url={moto.url}")
            return running.enter_context(service(tmp_path, name, [*own, *where[name], *arguments], variables))

        yield start
