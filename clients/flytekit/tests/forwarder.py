"""A faulty network between caller and service; over TLS if a key is given."""

import contextlib
import threading
import time
from concurrent import futures

import grpc
from flyteidl.admin import agent_pb2


class Forwarder(grpc.GenericRpcHandler):
    """Forwards every call to a service, and records it."""

    def __init__(self, target):
        self._channel = grpc.insecure_channel(target)
        self.calls = []
        self.times = []
        self.time_left = []
        self.tokens = []
        self.lost_answers = 0
        self.outage = 0
        self.refusals = {}
        self.holds_answers = False
        self.holds_polls = False
        self._edit = None
        self.released = threading.Event()

    def requests_to(self, call):
        return [request for path, request in self.calls if path.endswith(f"/{call}")]

    def times_of(self, call):
        """When each of these calls arrived."""
        return [when for (path, _), when in zip(self.calls, self.times) if path.endswith(f"/{call}")]

    def time_left_to(self, call):
        """The remaining deadline of each of these calls."""
        return [left for (path, _), left in zip(self.calls, self.time_left) if path.endswith(f"/{call}")]

    def edit_polls(self, edit):
        """Changes answers about jobs in transit. Flyte 2's have the same encoding as Flyte 1's."""
        self._edit = edit

    def service(self, details):
        if details.method.endswith("/ExecuteTaskSync"):
            return grpc.stream_stream_rpc_method_handler(lambda *call: self._pass_stream(details, *call))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._pass(details, request, context))

    def _pass_stream(self, details, requests, context):
        requests = list(requests)
        metadata = self._record(details, requests, context)
        self._refuse("ExecuteTaskSync", context)
        call = self._channel.stream_stream(details.method)(iter(requests), metadata=metadata, timeout=30)
        answers = list(call)
        self._lose_or_hold(context)
        yield from answers

    def _pass(self, details, request, context):
        metadata = self._record(details, request, context)
        if self.holds_polls and details.method.endswith("/GetTask"):
            self.released.wait(60)
        if self.outage:
            self.outage -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the cable is out")
        self._refuse(details.method.rpartition("/")[2], context)
        answer = self._ask(details.method, request, metadata, context)
        if details.method.endswith("/CreateTask"):
            self._lose_or_hold(context)
        if details.method.endswith("/GetTask") and self._edit:
            return edited(answer, self._edit)
        return answer

    def _record(self, details, request, context):
        """Records a call. Returns the metadata that is passed on."""
        self.calls.append((details.method, request))
        self.times.append(time.monotonic())
        self.time_left.append(context.time_remaining())
        metadata = [(key, value) for key, value in details.invocation_metadata if key == "authorization"]
        self.tokens += [value for _, value in metadata]
        return metadata

    def refuse(self, call, *answers):
        """Answers the next calls instead of the service: code, details and metadata."""
        self.refusals[call] = list(answers)

    def _refuse(self, call, context):
        if self.refusals.get(call):
            code, details, *more = self.refusals[call].pop(0)
            context.set_trailing_metadata((("x-request-id", "1"), *more))
            context.abort(code, details)

    def _ask(self, method, request, metadata, context):
        try:
            return self._channel.unary_unary(method)(request, metadata=metadata, timeout=30)
        except grpc.RpcError as refused:
            context.set_trailing_metadata(refused.trailing_metadata())
            context.abort(refused.code(), refused.details())

    def _lose_or_hold(self, context):
        if self.holds_answers:
            self.released.wait(60)
        if self.lost_answers:
            self.lost_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer got lost")


def edited(answer, edit):
    parsed = agent_pb2.GetTaskResponse.FromString(answer)
    edit(parsed.resource)
    return parsed.SerializeToString()


@contextlib.contextmanager
def forwarder(service, credentials=None):
    """A forwarder to ``service`` and its port."""
    handler = Forwarder(service.url.removeprefix("http://"))
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[handler])
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield handler, port
    finally:
        handler.released.set()
        server.stop(None)
