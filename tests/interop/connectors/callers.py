"""Calls of the bridge, or of connectors, with the stubs of either Flyte or over REST. All give the same answers."""

import dataclasses
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc
from flyteidl.admin import agent_pb2
from flyteidl.core import execution_pb2, literals_pb2, types_pb2
from flyteidl.service import agent_pb2_grpc
from flyteidl2.connector import connector_pb2, service_pb2_grpc
from google.protobuf import json_format

TIMEOUT = 25
# gRPC's names for the statuses of HTTP.
CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 503: "UNAVAILABLE"}


def task(task_type, job, inputs=None, output_prefix=None, **custom):
    """A task of Flyte 1; Flyte 2's has the same encoding."""
    request = agent_pb2.CreateTaskRequest(output_prefix=output_prefix or f"s3://bucket/{job}")
    request.template.type = task_type
    request.template.custom.update({"job": job, **custom})
    for name, text in (inputs or {"text": "good night"}).items():
        request.template.interface.inputs.variables[name].type.simple = types_pb2.STRING
        request.inputs.literals[name].scalar.primitive.string_value = text
    return request


@dataclasses.dataclass
class Answer:
    phase: str
    message: str
    # The encoded literals by name.
    outputs: dict
    links: list
    info: dict

    @property
    def has_ended(self):
        return self.phase in ("SUCCEEDED", "FAILED", "RETRYABLE_FAILED", "ABORTED")

    @classmethod
    def of(cls, resource, literals):
        """Of a message of either Flyte."""
        phase = execution_pb2.TaskExecution.Phase.Name(resource.phase)
        outputs = {name: value.SerializeToString(deterministic=True) for name, value in literals}
        links = [(link.name, link.uri) for link in resource.log_links]
        return cls(phase, resource.message, outputs, links, json_format.MessageToDict(resource.custom_info))


class Refused(Exception):
    """An error, with all that the caller was sent."""

    def __init__(self, code, message, sent):
        super().__init__(code, message)
        self.code, self.message, self.sent = code, message, sent


class Caller:
    def run_to_end(self, request):
        """Creates a job and polls until it has ended. Returns every answer."""
        task_type = request.template.type
        return self.poll_to_end(task_type, self.create(request))

    def poll_to_end(self, task_type, handle):
        answers = []
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            answers.append(self.get(task_type, handle))
            if answers[-1].has_ended:
                return answers
            time.sleep(0.02)
        raise AssertionError(f"the job does not end: {answers[-1]}")


class Grpc(Caller):
    def __init__(self, address, token=None):
        self.channel = grpc.insecure_channel(address.removeprefix("http://"))
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def call(self, method, request):
        try:
            return method(request, metadata=self.metadata, timeout=TIMEOUT, wait_for_ready=True)
        except grpc.RpcError as error:
            raise refused(error) from None


def refused(error):
    return Refused(error.code().name, error.details(), f"{error.details()} {error.trailing_metadata()}")


class Flyte1(Grpc):
    def create(self, request):
        return self.call(agent_pb2_grpc.AsyncAgentServiceStub(self.channel).CreateTask, request).resource_meta

    def get(self, task_type, handle):
        category = agent_pb2.TaskCategory(name=task_type)
        request = agent_pb2.GetTaskRequest(task_type=task_type, task_category=category, resource_meta=handle)
        answer = self.call(agent_pb2_grpc.AsyncAgentServiceStub(self.channel).GetTask, request).resource
        return Answer.of(answer, answer.outputs.literals.items())

    def delete(self, task_type, handle):
        category = agent_pb2.TaskCategory(name=task_type)
        request = agent_pb2.DeleteTaskRequest(task_type=task_type, task_category=category, resource_meta=handle)
        self.call(agent_pb2_grpc.AsyncAgentServiceStub(self.channel).DeleteTask, request)

    def execute(self, request):
        header = agent_pb2.CreateRequestHeader(template=request.template, output_prefix=request.output_prefix)
        messages = [{"header": header}, {"inputs": request.inputs}]
        messages = iter([agent_pb2.ExecuteTaskSyncRequest(**message) for message in messages])
        execute = agent_pb2_grpc.SyncAgentServiceStub(self.channel).ExecuteTaskSync
        answers = self.call(execute, messages)
        try:
            resource = next(answers).header.resource
        except grpc.RpcError as error:
            raise refused(error) from None
        return Answer.of(resource, resource.outputs.literals.items())

    def task_types(self):
        stub = agent_pb2_grpc.AgentMetadataServiceStub(self.channel)
        agents = self.call(stub.ListAgents, agent_pb2.ListAgentsRequest()).agents
        return {category.name for agent in agents for category in agent.supported_task_categories}


class Flyte2(Grpc):
    def __init__(self, address, token=None, secrets=None, configs=None):
        super().__init__(address, token)
        self.connection = {"secrets": secrets or {}, "configs": configs or {}}

    def create(self, request):
        request = connector_pb2.CreateTaskRequest.FromString(request.SerializeToString())
        json_format.ParseDict(self.connection, request.connection)
        return self.call(service_pb2_grpc.AsyncConnectorServiceStub(self.channel).CreateTask, request).resource_meta

    def get(self, task_type, handle):
        request = self.about(connector_pb2.GetTaskRequest, task_type, handle)
        answer = self.call(service_pb2_grpc.AsyncConnectorServiceStub(self.channel).GetTask, request).resource
        return Answer.of(answer, [(literal.name, literal.value) for literal in answer.outputs.literals])

    def delete(self, task_type, handle):
        request = self.about(connector_pb2.DeleteTaskRequest, task_type, handle)
        self.call(service_pb2_grpc.AsyncConnectorServiceStub(self.channel).DeleteTask, request)

    def about(self, message, task_type, handle):
        category = connector_pb2.TaskCategory(name=task_type)
        request = message(task_category=category, resource_meta=handle)
        json_format.ParseDict(self.connection, request.connection)
        return request

    def task_types(self):
        stub = service_pb2_grpc.ConnectorMetadataServiceStub(self.channel)
        connectors = self.call(stub.ListConnectors, connector_pb2.ListConnectorsRequest()).connectors
        return {category.name for connector in connectors for category in connector.supported_task_categories}


class Rest(Caller):
    def __init__(self, address, token=None):
        self.url = f"{address}/plugins/v1"
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sent = error.read().decode()
            code = CODES.get(error.code, error.code)
            raise Refused(code, json.loads(sent)["message"], f"{sent} {error.headers}") from None

    def create(self, request):
        body = json_format.MessageToDict(request)
        return self.call("PUT", f"/{request.template.type}/0", body)["job_id"]

    def get(self, task_type, handle):
        return self.answer(self.call("GET", self.path(task_type, handle)))

    def delete(self, task_type, handle):
        self.call("DELETE", self.path(task_type, handle))

    def execute(self, request):
        return self.answer(self.call("POST", f"/{request.template.type}/0", json_format.MessageToDict(request)))

    def path(self, task_type, handle):
        return f"/{task_type}/0?{urllib.parse.urlencode({'job_id': handle})}"

    def task_types(self):
        return {plugin["task_type"] for plugin in self.call("GET", "")["plugins"]}

    def answer(self, body):
        outputs = json_format.ParseDict(body["outputs"] or {}, literals_pb2.LiteralMap()).literals
        outputs = {name: value.SerializeToString(deterministic=True) for name, value in outputs.items()}
        links = [(link["name"], link["uri"]) for link in body["log_links"]]
        return Answer(body["phase"], body["message"], outputs, links, body["custom_info"])


CALLERS = (Flyte1, Flyte2, Rest)
