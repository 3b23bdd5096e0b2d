"""A network between caller and service, with its accidents; over TLS, if it is given a key."""

import contextlib
import threading
from concurrent import futures

import grpc
from flyteidl.admin import agent_pb2


class Forwarder(grpc.GenericRpcHandler):
    """Hands every call on to a service, and remembers what passed."""

    def __init__(self, target):
        self._channel = grpc.insecure_channel(target)
        self.calls = []
        self.time_left = []
        self.tokens = []
        self.lost_answers = 0
        self.outage = 0
        self.holds_creates = False
        self._hides_outputs = False
        self.released = threading.Event()

    def requests_to(self, call):
        return [request for path, request in self.calls if path.endswith(f"/{call}")]

    def takes_outputs_out(self):
        """Has answers about jobs come without outputs. Flyte 2's messages are encoded alike."""
        self._hides_outputs = True

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._pass(details, request, context))

    def _pass(self, details, request, context):
        self.calls.append((details.method, request))
        self.time_left.append(context.time_remaining())
        metadata = [(key, value) for key, value in details.invocation_metadata if key == "authorization"]
        self.tokens += [value for _, value in metadata]
        if self.outage:
            self.outage -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the cable is out")
        answer = self._ask(details.method, request, metadata, context)
        if details.method.endswith("/CreateTask"):
            self._lose_or_hold(context)
        if details.method.endswith("/GetTask") and self._hides_outputs:
            return without_outputs(answer)
        return answer

    def _ask(self, method, request, metadata, context):
        try:
            return self._channel.unary_unary(method)(request, metadata=metadata, timeout=30)
        except grpc.RpcError as refused:
            context.abort(refused.code(), refused.details())

    def _lose_or_hold(self, context):
        if self.holds_creates:
            self.released.wait(60)
        if self.lost_answers:
            self.lost_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer got lost")


def without_outputs(answer):
    parsed = agent_pb2.GetTaskResponse.FromString(answer)
    parsed.resource.ClearField("outputs")
    return parsed.SerializeToString()


@contextlib.contextmanager
def forwarder(service, credentials=None):
    """A forwarder to ``service``, and its port."""
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
