"""moto's SageMaker, whose endpoints take until a test says so, as those of AWS take minutes."""

import contextlib
import io
import json
import re
import threading

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sagemaker.models import sagemaker_backends
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request

REGION = "eu-central-1"
KEY_ID = "AKIAINTEROPINTEROP00"


class Sagemaker:
    """An application before moto's: it notes each request."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        # Each request: its operation and its body.
        self.requests = []
        self.unsigned = []

    @property
    def environment(self):
        keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": "interop"}
        # The files of whoever runs the tests would configure the client, too.
        files = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        return {"AWS_ENDPOINT_URL": self.url, **keys, **files}

    @property
    def backend(self):
        return sagemaker_backends[DEFAULT_ACCOUNT_ID][REGION]

    def asked(self, **about):
        """The operations of the requests whose bodies have these members."""
        return [operation for operation, body in self.requests if about.items() <= body.items()]

    def sent(self, **about):
        """The body of the first request that has these members."""
        return next(body for _, body in self.requests if about.items() <= body.items())

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = json.loads(request.get_data(cache=True))
        service, _, operation = request.headers["x-amz-target"].partition(".")
        self.requests.append((operation, body))
        scope = rf"AWS4-HMAC-SHA256 Credential={KEY_ID}/\d{{8}}/{REGION}/sagemaker/aws4_request, SignedHeaders=.*"
        if service != "SageMaker" or not re.fullmatch(scope, request.headers.get("authorization", "")):
            self.unsigned.append(operation)
        environ["wsgi.input"] = io.BytesIO(request.get_data())
        answer = list(self.moto(environ, start_response))
        if operation == "CreateEndpoint" and body["EndpointName"] in self.backend.endpoints:
            # moto's are in service at once.
            self.put(body["EndpointName"], "Creating")
        return answer

    def put(self, endpoint, status, reason=None):
        """Moves an endpoint on to `status`."""
        self.backend.endpoints[endpoint].endpoint_status = status
        self.backend.endpoints[endpoint].failure_reason = reason


class Silent(WSGIRequestHandler):
    def log(self, *_):
        pass


@contextlib.contextmanager
def running():
    sagemaker = Sagemaker()
    server = make_server("127.0.0.1", 0, sagemaker, threaded=True, request_handler=Silent)
    sagemaker.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sagemaker
    finally:
        server.shutdown()
        server.server_close()
