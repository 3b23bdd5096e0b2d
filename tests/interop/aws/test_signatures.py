"""moto verifies every signature, session and policy by itself: who may, may; and who may not, is told so."""

import itertools

import pytest
from moto_iam import ACCOUNT, keys

NAMES = (f"name-{number}" for number in itertools.count())
SERVICES = ["athena", "aws-batch", "emr-serverless", "redshift", "sagemaker"]
# What a service calls when a task starts one job.
SUBMIT = {
    "athena": "StartQueryExecution",
    "aws-batch": "/v1/submitjob",
    "emr-serverless": "/jobruns",
    "redshift": "ExecuteStatement",
    "sagemaker": "CreateProcessingJob",
}
OF_ATHENA = ("athena:StartQueryExecution", "athena:GetQueryExecution", "athena:StopQueryExecution")
OF_REDSHIFT = ("redshift-data:ExecuteStatement", "redshift-data:DescribeStatement", "redshift-data:CancelStatement")
# moto names its actions as the paths are.
OF_BATCH = tuple(
    f"batch:{path}"
    for path in (
        "submitjob",
        "listjobs",
        "describejobdefinitions",
        "registerjobdefinition",
        "describejobs",
        "terminatejob",
    )
)
OF_EMR = tuple(
    f"emr-serverless:{operation}"
    for operation in ("StartJobRun", "ListApplications", "GetApplication", "GetJobRun", "ListJobRuns", "CancelJobRun")
)
OF_SAGEMAKER = ("sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob")
# The first is the submit.
ALLOWED = {
    "athena": OF_ATHENA,
    "aws-batch": OF_BATCH,
    "emr-serverless": OF_EMR,
    "redshift": OF_REDSHIFT,
    "sagemaker": OF_SAGEMAKER,
}


def name():
    return next(NAMES)


def expect_outage(answer, text):
    """The service's identity is at fault, not the task: Flyte tries again."""
    assert answer.status == 503, answer
    assert text in answer.message, answer


@pytest.mark.parametrize("plugin", SERVICES)
def test_right_keys_are_accepted(moto, start, plugin):
    user = moto.user(name(), *ALLOWED[plugin])
    service = start(plugin, user)
    job = service.run()
    assert service.get(job).status == 200
    assert service.delete(job).status == 200
    assert moto.signers(SUBMIT[plugin])[-1] == user["aws_access_key_id"]


@pytest.mark.parametrize("plugin", SERVICES)
def test_a_wrong_secret_is_refused(moto, start, plugin):
    user = moto.user(name(), *ALLOWED[plugin])
    service = start(plugin, {**user, "aws_secret_access_key": "canary-wrong-secret"})
    answer = service.create()
    expect_outage(answer, "the vendor refused the service's credentials or their permissions: ")
    assert "signature we calculated does not match" in answer.message
    assert answer.body["error_code"] == "SignatureDoesNotMatch"
    assert "canary" not in answer.message + service.log.read_text()


def test_an_unknown_key_is_refused(moto, start):
    service = start("athena", {"aws_access_key_id": "AKIAUNKNOWN000000000", "aws_secret_access_key": "x"})
    answer = service.create()
    expect_outage(answer, "security token")
    assert answer.body["error_code"] == "InvalidClientTokenId"


@pytest.mark.parametrize("plugin", SERVICES)
def test_what_no_policy_allows_is_refused(moto, start, plugin):
    user = moto.user(name(), *ALLOWED[plugin][1:])
    answer = start(plugin, user).create()
    expect_outage(answer, f"is not authorized to perform: {ALLOWED[plugin][0]}")
    assert answer.body["error_code"] == "AccessDenied"


def test_a_poll_that_no_policy_allows_fails_no_query(moto, start):
    user = moto.user(name(), OF_ATHENA[0])
    service = start("athena", user)
    job = service.run()
    answer = service.get(job)
    assert (answer.status, answer.body["job_state"]) == (200, "running"), answer
    assert "is not authorized to perform: athena:GetQueryExecution" in answer.message


@pytest.fixture
def session(moto):
    """Temporary keys of a role."""
    role = moto.role(name(), *OF_ATHENA)
    user = moto.user(name(), "sts:AssumeRole")
    assumed = moto.client("sts", user).assume_role(RoleArn=role, RoleSessionName="interop")
    return keys(assumed["Credentials"])


def test_temporary_keys_are_accepted_with_their_session(moto, start, session):
    service = start("athena", session)
    assert service.get(service.run()).status == 200
    assert moto.signers("StartQueryExecution")[-1] == session["aws_access_key_id"]


@pytest.mark.parametrize("token", [None, "another"])
def test_temporary_keys_are_refused_without_it(start, session, token):
    others = {name: value for name, value in session.items() if name != "aws_session_token"}
    if token:
        others["aws_session_token"] = token
    expect_outage(start("athena", others).create(), "security token")


@pytest.mark.parametrize("plugin", SERVICES)
def test_the_operators_role_is_assumed(moto, start, plugin):
    role = moto.role(name(), *ALLOWED[plugin])
    user = moto.user(name(), "sts:AssumeRole")
    service = start(plugin, user, AWS_ASSUME_ROLE=role, AWS_ROLE_SESSION_NAME="flyte@prod")
    service.run()
    service.run()
    assert moto.signers("AssumeRole").count(user["aws_access_key_id"]) == 1
    signer = moto.signers(SUBMIT[plugin])[-1]
    assert signer.startswith("ASIA") and signer not in user.values()


def test_a_role_that_the_keys_may_not_assume_is_an_outage(moto, start):
    role = moto.role(name(), *OF_ATHENA)
    service = start("athena", moto.user(name(), *OF_ATHENA), AWS_ASSUME_ROLE=role)
    expect_outage(service.create(), f"the role {role} cannot be assumed: User: arn:aws:iam::{ACCOUNT}:user/")


def test_a_role_that_trusts_another_is_an_outage(moto, start):
    role = moto.role(name(), *OF_ATHENA, trusted=f"arn:aws:iam::{ACCOUNT}:user/nobody")
    service = start("athena", moto.user(name(), "sts:AssumeRole"), AWS_ASSUME_ROLE=role)
    expect_outage(service.create(), f"the role {role} cannot be assumed")


@pytest.mark.parametrize(("sent", "is_trusted"), [("flyte:prod/1", True), ("another", False)])
def test_a_role_may_require_an_external_id(moto, start, sent, is_trusted):
    role = moto.role(name(), *OF_ATHENA, external_id="flyte:prod/1")
    user = moto.user(name(), "sts:AssumeRole")
    service = start("athena", user, AWS_ASSUME_ROLE=role, AWS_EXTERNAL_ID=sent)
    if is_trusted:
        service.run()
    else:
        expect_outage(service.create(), f"the role {role} cannot be assumed")


def test_a_task_runs_as_the_role_that_it_names(moto, start):
    role = moto.role(f"flyte-{name()}", *OF_ATHENA)
    user = moto.user(name(), "sts:AssumeRole")
    service = start("athena", user, f"--allowed-roles=arn:aws:iam::{ACCOUNT}:role/flyte-*")
    assert service.get(service.run(role=role)).body["job_state"] == "succeed"
    assert moto.signers("StartQueryExecution")[-1].startswith("ASIA")


def test_a_task_fails_for_a_role_that_may_not_run_queries(moto, start):
    role = moto.role(f"flyte-{name()}", "s3:*")
    user = moto.user(name(), "sts:AssumeRole", *OF_ATHENA)
    service = start("athena", user, f"--allowed-roles=arn:aws:iam::{ACCOUNT}:role/flyte-*")
    answer = service.create(role=role)
    assert answer.status == 422, answer
    assert "is not authorized to perform: athena:StartQueryExecution" in answer.message
    other = moto.role(f"other-{name()}", *OF_ATHENA)
    asked = len(moto.requests)
    answer = service.create(role=other)
    assert answer.status == 400 and answer.message.startswith(f"custom.role: the role {other} is not allowed"), answer
    assert len(moto.requests) == asked


def test_a_web_identity_assumes_its_role(moto, start, tmp_path):
    role = moto.role(name(), *OF_ATHENA)
    token = tmp_path / "token"
    token.write_text("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
    irsa = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}
    service = start("athena", {}, **irsa)
    assert service.get(service.run()).body["job_state"] == "succeed"
    assert moto.signers("AssumeRoleWithWebIdentity") == [""], "unsigned"
    assert moto.signers("StartQueryExecution")[-1].startswith("ASIA")
