"""Callers of a service: well-behaved ones, over REST and gRPC."""

import dataclasses
import http.client
import itertools
import json
import threading
import urllib.parse

import grpc
from flyteidl.admin import agent_pb2
from flyteidl.core import tasks_pb2
from flyteidl.service import agent_pb2_grpc
from google.protobuf import json_format, struct_pb2

from issuer import shared_token

ATTEMPTS = itertools.count(1)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]


def prefix():
    """The output prefix of a new attempt."""
    return f"s3://flyte/hostile/{next(ATTEMPTS)}"


@dataclasses.dataclass
class Reply:
    """A REST answer."""

    status: int
    headers: dict
    content: bytes

    @property
    def json(self):
        return json.loads(self.content)

    @property
    def text(self):
        return self.content.decode()

    @property
    def message(self):
        return self.json.get("message", "")


class Rest:
    """A REST client with one token. One connection for each thread."""

    def __init__(self, service, token=None, timeout=40.0):
        self.service, self.timeout = service, timeout
        self.token = shared_token("propeller") if token is None else token
        self.path = f"/plugins/v1/{service.vendor.task_type}/0"
        self._connections = threading.local()

    def request(self, method, path, body=None, headers=None):
        headers = {"authorization": f"Bearer {self.token}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body, headers["content-type"] = json.dumps(body).encode(), "application/json"
        for last in (False, True):
            connection = getattr(self._connections, "one", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPConnection(self.service.api, timeout=self.timeout)
                self._connections.one = connection
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            except (OSError, http.client.HTTPException) as error:
                self._connections.one = None
                connection.close()
                # The service may have closed a connection that was idle.
                if fresh or last or isinstance(error, TimeoutError):
                    raise

    def create(self, *, output_prefix=None, headers=None, **task):
        task = {"custom": self.service.vendor.custom, "sql": "SELECT 1", **task}
        return self.request("PUT", self.path, {**task, "output_prefix": output_prefix or prefix()}, headers)

    def created(self, **task):
        """The handle of a new job."""
        reply = self.create(**task)
        assert reply.status == 200, reply.text
        return reply.json["job_id"]

    def job_path(self, handle):
        return f"{self.path}?job_id={urllib.parse.quote(handle, safe='')}"

    def get(self, handle, headers=None):
        return self.request("GET", self.job_path(handle), headers=headers)

    def delete(self, handle, headers=None):
        return self.request("DELETE", self.job_path(handle), headers=headers)


class Grpc:
    """A client with Flyte 1's stubs."""

    def __init__(self, service, token=None, api=None, timeout=40.0):
        self.service, self.timeout = service, timeout
        self.channel = grpc.insecure_channel(api or service.api, OPTIONS)
        self.stub = agent_pb2_grpc.AsyncAgentServiceStub(self.channel)
        # An empty token is for the sidecar, which adds its own.
        token = shared_token("propeller") if token is None else token
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    def close(self):
        self.channel.close()

    def _call(self, method, request, **options):
        """The answer, or the error of a call."""
        try:
            return method(request, metadata=[*self.metadata, *options.pop("metadata", [])], timeout=self.timeout)
        except grpc.RpcError as error:
            return error

    def template(self, custom=None, sql="SELECT 1"):
        template = tasks_pb2.TaskTemplate(type=self.service.vendor.task_type)
        json_format.ParseDict(custom or self.service.vendor.custom, template.custom)
        template.sql.statement = sql
        return template

    def create(self, *, output_prefix=None, inputs=None, template=None, **options):
        request = agent_pb2.CreateTaskRequest(output_prefix=output_prefix or prefix(), inputs=inputs)
        request.template.CopyFrom(template or self.template())
        return self._call(self.stub.CreateTask, request, **options)

    def get(self, handle, **options):
        category = agent_pb2.TaskCategory(name=self.service.vendor.task_type, version=0)
        request = agent_pb2.GetTaskRequest(task_type=category.name, task_category=category, resource_meta=handle)
        return self._call(self.stub.GetTask, request, **options)

    def delete(self, handle, **options):
        category = agent_pb2.TaskCategory(name=self.service.vendor.task_type, version=0)
        request = agent_pb2.DeleteTaskRequest(task_type=category.name, task_category=category, resource_meta=handle)
        return self._call(self.stub.DeleteTask, request, **options)


def code(answer):
    """The gRPC status of an answer, by name."""
    return answer.code().name if isinstance(answer, grpc.RpcError) else "OK"


def struct(value):
    return json_format.ParseDict(value, struct_pb2.Struct())
