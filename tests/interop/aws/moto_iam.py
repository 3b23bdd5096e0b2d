"""moto with IAM's authentication on: requests are signed by somebody whose policies allow them, or refused as AWS does."""

import contextlib
import io
import json
import threading

import boto3
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.config import default_user_config
from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request

REGION = "eu-central-1"
ACCOUNT = DEFAULT_ACCOUNT_ID


def policy(*actions, effect="Allow"):
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": list(actions), "Resource": "*"}]}
    )


def trust(principal, external_id):
    """A role's trust policy."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}
    if external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def sent(self, original=IAMRequestBase._create_aws_request):
    """What was signed. moto takes the query of a GET for its body, too."""
    request = original(self)
    request.data = self._body if self._method == "GET" else request.data
    return request


IAMRequestBase._create_aws_request = sent


class Moto:
    """An application before moto's: it notes each request, and lets a web identity in, which signs nothing."""

    def __init__(self):
        self.application = DomainDispatcherApplication(create_backend_app)
        # Each request: its operation, and who signed it.
        self.requests = []
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = request.get_data(cache=True)
        environ["wsgi.input"] = io.BytesIO(body)
        # Services that speak rest-json have methods and paths.
        named = request.headers.get("x-amz-target") or request.form.get("Action")
        operation = named or f"{request.method} {request.path}"
        signer = request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        needs_none = operation == "AssumeRoleWithWebIdentity"
        # IAM's authentication is a setting of the whole process.
        with self.lock:
            self.requests.append((operation, signer))
            settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf") if needs_none else 0
            return list(self.application(environ, start_response))

    def client(self, service, keys=None):
        """AWS's own client, with the administrator's keys by default."""
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **(keys or self.administrator))

    def user(self, name, *actions):
        """The keys of a new user who may do these."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if actions:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*actions))
        return keys(iam.create_access_key(UserName=name)["AccessKey"])

    def role(self, name, *actions, trusted="*", external_id=None):
        """The ARN of a new role that may do these, for those whom it trusts."""
        iam = self.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(trusted, external_id))["Role"]
        if actions:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*actions))
        return role["Arn"]

    def prepare(self):
        """What tasks run on, which their services do not make: a queue of AWS Batch, an application of EMR Serverless."""
        # Jobs end at once, without Docker.
        default_user_config["batch"] = {"use_docker": False}
        batch = self.client("batch")
        arn = batch.create_compute_environment(
            computeEnvironmentName="etl", type="UNMANAGED", serviceRole=self.role("batch")
        )["computeEnvironmentArn"]
        order = [{"order": 1, "computeEnvironment": arn}]
        batch.create_job_queue(jobQueueName="etl", state="ENABLED", priority=1, computeEnvironmentOrder=order)
        self.emr_application = self.client("emr-serverless").create_application(
            name="etl", releaseLabel="emr-7.1.0", type="SPARK"
        )["applicationId"]

    def signers(self, operation):
        """Who signed the requests for `operation`."""
        return [signer for asked, signer in self.requests if asked.endswith(operation)]


def keys(issued):
    """Keys as secrets of a service, and arguments of AWS's own client."""
    found = {"aws_access_key_id": issued["AccessKeyId"], "aws_secret_access_key": issued["SecretAccessKey"]}
    if "SessionToken" in issued:
        found["aws_session_token"] = issued["SessionToken"]
    return found


class Silent(WSGIRequestHandler):
    def log(self, *_):
        pass


def administrator(url):
    """The first user, whom nobody can have allowed."""
    unsigned = {"aws_access_key_id": "AKIAFIRST00000000000", "aws_secret_access_key": "unchecked"}
    iam = boto3.client("iam", region_name=REGION, endpoint_url=url, **unsigned)
    iam.create_user(UserName="administrator")
    iam.put_user_policy(UserName="administrator", PolicyName="own", PolicyDocument=policy("*"))
    return keys(iam.create_access_key(UserName="administrator")["AccessKey"])


@contextlib.contextmanager
def running():
    # Before anybody is known, moto takes every request.
    first = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), request_handler=Silent)
    thread = threading.Thread(target=first.serve_forever, daemon=True)
    thread.start()
    known = administrator(f"http://127.0.0.1:{first.server_port}")
    first.shutdown()
    first.server_close()
    moto = Moto()
    moto.administrator = known
    server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=Silent)
    moto.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield moto
    finally:
        server.shutdown()
        server.server_close()
