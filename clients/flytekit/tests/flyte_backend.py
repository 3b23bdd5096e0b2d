"""Stand-ins for Flyte's own APIs, for commands that submit: they accept what is sent, keep it, and run nothing."""

import concurrent.futures
import contextlib
import gzip
import http.server
import importlib
import pkgutil
import threading

import flyteidl.service
import flyteidl2
import grpc
from google.protobuf import descriptor_pool, message_factory


def _import_all(package):
    """Registers the messages of a package's services."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith("_pb2"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


_import_all(flyteidl.service)
_import_all(flyteidl2)


class Backend:
    """What was called: the name of each method, and its request."""

    def __init__(self):
        self.calls = []
        self.uploads = []
        self.url = None

    def requests(self, method):
        return [request for name, request in self.calls if name == method]

    def answer(self, path, body):
        """The answer to a call of gRPC or Connect, as bytes; `None` for an unknown method."""
        service, _, name = path.strip("/").partition("/")
        try:
            method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        except KeyError:
            return None
        request = message_factory.GetMessageClass(method.input_type).FromString(body)
        self.calls.append((name, request))
        answer = message_factory.GetMessageClass(method.output_type)()
        self._fill(name, request, answer)
        return answer.SerializeToString()

    def _fill(self, name, request, answer):
        if name == "CreateUploadLocation":
            answer.signed_url = f"{self.url}/upload"
            answer.native_url = "s3://bucket/code.tar.gz"
        elif name == "GetWorkflow":
            answer.id.CopyFrom(request.id)
            self._compile(answer.closure.compiled_workflow)
        elif name == "GetLaunchPlan":
            answer.id.CopyFrom(request.id)
            answer.spec.CopyFrom(self.requests("CreateLaunchPlan")[-1].spec)
        elif name == "GetExecution":
            answer.id.CopyFrom(request.id)
        elif name == "CreateExecution":
            answer.id.project, answer.id.domain, answer.id.name = request.project, request.domain, "a1"
        elif name == "CreateRun":
            answer.run.action.id.run.CopyFrom(request.run_id)
            answer.run.action.id.run.name = answer.run.action.id.run.name or "r1"


    def _compile(self, workflow):
        """What flyteadmin makes of the last workflow, as far as clients read it."""
        workflow.primary.template.CopyFrom(self.requests("CreateWorkflow")[-1].spec.template)
        for task in self.requests("CreateTask"):
            workflow.tasks.add().template.CopyFrom(task.spec.template)


class _Grpc(grpc.GenericRpcHandler):
    """Flyte 1."""

    def __init__(self, backend):
        self.backend = backend

    def service(self, details):
        def call(body, context):
            answer = self.backend.answer(details.method, body)
            if answer is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, details.method)
            return answer

        return grpc.unary_unary_rpc_method_handler(call)


def _handler(backend):
    """Uploads, and Flyte 2's calls: Connect's unary ones, which are plain POSTs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            backend.uploads.append(self._body())
            self._send(200, b"")

        def do_POST(self):
            answer = backend.answer(self.path, self._body())
            if answer is None:
                self._send(404, b"")
            else:
                self._send(200, answer)

        def _body(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

        def _send(self, status, body):
            self.send_response(status)
            self.send_header("content-type", "application/proto")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def flyte_backend():
    """Both versions' APIs: a backend with ``url`` for Flyte 2 and ``admin`` for flytekit."""
    backend = Backend()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(backend))
    backend.url = f"http://127.0.0.1:{web.server_port}"
    threading.Thread(target=web.serve_forever, daemon=True).start()
    admin = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    admin.add_generic_rpc_handlers([_Grpc(backend)])
    backend.admin = f"127.0.0.1:{admin.add_insecure_port('127.0.0.1:0')}"
    admin.start()
    try:
        yield backend
    finally:
        admin.stop(None)
        web.shutdown()
        web.server_close()
