"""Flyte 2's published stubs drive the services of AWS, with golden requests of this repository's tasks: no plugin of Flyte 2 knows
them."""

import contextlib
import dataclasses
import urllib.request

import pytest
from flyteidl2.connector import connector_pb2, service_pb2_grpc
from flyteidl2.core import execution_pb2

from conftest import GOLDEN, fake_upstream, polls, running

PHASE = execution_pb2.TaskExecution.Phase
# The keys of AWS's documentation, which belong to nobody.
KEYS = {
    "_FSEC_AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "_FSEC_AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


@dataclasses.dataclass(frozen=True)
class Vendor:
    """What differs between the services."""

    name: str
    golden: str
    flags: tuple
    # Where the rows of the golden request are, if it has some.
    uri: str | None
    # The fake's endings that are final and that another attempt may not meet, and Flyte's messages of both.
    broken: tuple
    flaky: tuple
    cancelled: str


VENDORS = [
    Vendor(
        "athena",
        "v2/ath_typed",
        (),
        "s3://acme-athena/results/",
        ("SYNTAX_ERROR", "SYNTAX_ERROR: line 1:8"),
        ("exhausted", "Query exhausted resources"),
        "Query cancelled by user",
    ),
    Vendor(
        "redshift",
        "v2/rs_unload",
        ("--workgroups=sales", "--databases=dev"),
        "s3://acme/events/flyte_",
        ("syntax", "statement 2: ERROR: syntax error at or near"),
        ("isolation", "statement 2: ERROR: 1023 DETAIL: Serializable isolation violation"),
        "cancelled in Redshift",
    ),
    Vendor(
        "aws-batch",
        "v2/aws_ours",
        ("--job-queues=etl",),
        None,
        ("misconfigured", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
        ("Host", "Host EC2 (instance i-0a1b2c3d) terminated."),
        "Stopped by Flyte",
    ),
    Vendor(
        "emr-serverless",
        "v2/emr_ours",
        ("--execution-roles=arn:aws:iam::111122223333:role/etl-*",),
        None,
        ("script", "please check complete logs"),
        ("maximumCapacity", "reached maximumCapacity settings"),
        "CANCELLED",
    ),
    Vendor(
        "sagemaker",
        "v2/sm_ours",
        ("--execution-roles=arn:aws:iam::111122223333:role/ml-*",),
        None,
        ("script", "AlgorithmError: ExecuteUserScriptError"),
        ("CapacityError", "Unable to provision requested ML compute capacity"),
        "it was stopped at AWS",
    ),
]
ALL = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


class Caller:
    """Calls one service as Flyte 2 does, with one golden request."""

    def __init__(self, vendor, service, upstream, channel):
        self.vendor, self.upstream = vendor, upstream
        self._stub, self._metadata = service_pb2_grpc.AsyncConnectorServiceStub(channel), service.metadata()
        message = (GOLDEN / f"{vendor.golden}.pb").read_bytes()
        self._request = connector_pb2.CreateTaskRequest.FromString(message)
        self._category = connector_pb2.TaskCategory(name=self._request.template.type, version=0)

    def create(self):
        return self._stub.CreateTask(self._request, metadata=self._metadata).resource_meta

    def get(self, handle):
        request = connector_pb2.GetTaskRequest(task_category=self._category, resource_meta=handle)
        return self._stub.GetTask(request, metadata=self._metadata).resource

    def delete(self, handle):
        request = connector_pb2.DeleteTaskRequest(task_category=self._category, resource_meta=handle)
        self._stub.DeleteTask(request, metadata=self._metadata)

    def until_it_ends(self, handle):
        for resource in polls(lambda: self.get(handle)):
            if resource.phase not in (PHASE.QUEUED, PHASE.INITIALIZING, PHASE.RUNNING):
                return resource
        raise AssertionError("never ended")

    def jobs(self):
        with urllib.request.urlopen(self.upstream + "/fake/jobs", timeout=10) as count:
            return int(count.read())


@contextlib.contextmanager
def caller(vendor, files, ending):
    """A caller of the vendor's service; the vendor ends all jobs so."""
    flags = ("--region=eu-central-1", *vendor.flags)
    with (
        fake_upstream(vendor.name, "--polls=2", f"--ending={ending}") as upstream,
        running(files, vendor.name, upstream, *flags, **KEYS) as service,
        service.channel() as channel,
    ):
        yield Caller(vendor, service, upstream, channel)


@ALL
def test_task_succeeds_and_its_output_is_read(vendor, tmp_path):
    with caller(vendor, tmp_path, "success") as flyte:
        handle = flyte.create()
        assert 0 < len(handle) <= 1024
        resource = flyte.until_it_ends(handle)
        assert resource.phase == PHASE.SUCCEEDED, resource.message
        results = [named.value for named in resource.outputs.literals if named.name == "results"]
        uris = [literal.scalar.structured_dataset.uri for literal in results]
        assert len(uris) == (vendor.uri is not None) and all(uri.startswith(vendor.uri) for uri in uris)
        assert resource.log_links[0].uri.startswith("https://eu-central-1.console.aws.amazon.com/")
        # Flyte 2 deletes what succeeded, an hour later.
        flyte.delete(handle)
        assert flyte.get(handle).phase == PHASE.SUCCEEDED


@ALL
def test_failure_has_the_vendors_text(vendor, tmp_path):
    ending, message = vendor.broken
    with caller(vendor, tmp_path, ending) as flyte:
        resource = flyte.until_it_ends(flyte.create())
        assert resource.phase == PHASE.FAILED
        assert message in resource.message


@ALL
def test_failure_that_may_pass_is_retryable(vendor, tmp_path):
    ending, message = vendor.flaky
    with caller(vendor, tmp_path, ending) as flyte:
        resource = flyte.until_it_ends(flyte.create())
        assert resource.phase == PHASE.RETRYABLE_FAILED
        assert message in resource.message


@ALL
def test_aborted_task_is_stopped(vendor, tmp_path):
    with caller(vendor, tmp_path, "stuck") as flyte:
        handle = flyte.create()
        flyte.delete(handle)
        flyte.delete(handle)
        resource = flyte.until_it_ends(handle)
        assert resource.phase == PHASE.FAILED
        assert vendor.cancelled in resource.message


@ALL
def test_repeated_create_is_one_job(vendor, tmp_path):
    with caller(vendor, tmp_path, "success") as flyte:
        handles = [flyte.create() for _ in range(3)]
        assert flyte.jobs() == 1
        assert {flyte.until_it_ends(handle).phase for handle in handles} == {PHASE.SUCCEEDED}
