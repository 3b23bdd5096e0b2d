"""A fake of OpenAI's API. It holds each request against the types that OpenAI publishes in its package."""

import contextlib
import functools
import http.server
import json
import re
import secrets
import threading

import pydantic
from openai.types import Batch, BatchCreateParams
from openai.types.batch import Errors
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

ORGANIZATION = "org-interop"
ENDED = ("completed", "failed", "expired", "cancelled")
# What OpenAI says, by the status of HTTP: https://developers.openai.com/api/docs/guides/error-codes
ERRORS = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-inter**********."),
    404: ("invalid_request_error", None, "No such object."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for gpt-5-mini on requests per min (RPM): Limit 3."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
}


class Refusal(Exception):
    def __init__(self, status, message=None):
        kind, code, usual = ERRORS[status]
        super().__init__(message or usual)
        self.status = status
        self.body = {"error": {"message": message or usual, "type": kind, "param": None, "code": code}}


class Invalid(Refusal):
    """Of a request that OpenAI's API does not have."""


@functools.cache
def schema(params):
    return pydantic.TypeAdapter(params)


def check(params, body):
    """Refuses a body that is not what `params`, a type of OpenAI's package, says."""
    unknown = body.keys() - params.__required_keys__ - params.__optional_keys__
    if unknown:
        raise Invalid(400, f"Unknown parameter: {', '.join(sorted(unknown))}.")
    try:
        valid = schema(params).validate_python(body)
        # pydantic checks the items of an iterable when they are taken.
        list(valid.get("messages", []))
    except pydantic.ValidationError as error:
        raise Invalid(400, f"Invalid parameters: {error}") from None


class FakeOpenAI:
    def __init__(self):
        self.key = f"sk-interop-{secrets.token_hex(24)}"
        self.batches = {}
        # The statuses that a batch of an input file still goes through, one at each retrieval.
        self.statuses = {}
        # The HTTP status that a chat message is answered with instead of a completion.
        self.refusals = {}
        # Each request: its route and what it was about.
        self.requests = []
        self.invalid = []

    @property
    def environment(self):
        return {"OPENAI_BASE_URL": self.url, "_FSEC_FLYTE_OPENAI_API_KEY": self.key}

    def asked(self, about):
        """The routes of the requests about a batch's input file or a chat message."""
        return [route for route, subject in self.requests if subject == about]

    def authorize(self, headers):
        if headers["authorization"] != f"Bearer {self.key}":
            raise Refusal(401)
        if headers["openai-organization"] != ORGANIZATION:
            raise Refusal(401, "No such organization.")

    def answer(self, route, body):
        if route == "POST /v1/batches":
            return self.create_batch(body)
        if route == "POST /v1/chat/completions":
            return self.complete(body)
        found = re.fullmatch(r"(GET|POST) /v1/batches/(batch_[0-9a-f]{32})(/cancel)?", route)
        if not found or (found[1] == "POST") != bool(found[3]) or found[2] not in self.batches:
            raise Invalid(404)
        return self.cancel(self.batches[found[2]]) if found[3] else self.retrieve(self.batches[found[2]])

    def create_batch(self, body):
        check(BatchCreateParams, body)
        self.requests.append(("create", body["input_file_id"]))
        batch = {"id": f"batch_{secrets.token_hex(16)}", "object": "batch", "created_at": 1714508499}
        batch = Batch.model_validate({**batch, **body, "status": "validating"}, strict=True)
        self.batches[batch.id] = batch
        return batch

    def retrieve(self, batch):
        self.requests.append(("retrieve", batch.input_file_id))
        later = self.statuses.get(batch.input_file_id)
        if later:
            self.put(batch, later.pop(0))
        return batch

    def put(self, batch, status):
        """Moves a batch on to `status`, which need not be one that OpenAI has."""
        batch.status = status
        if status == "completed":
            batch.output_file_id = "file-output"
        if status == "failed":
            message = "This line is not parseable as valid JSON."
            errors = [{"code": "invalid_json_line", "line": 1, "message": message, "param": None}]
            batch.errors = Errors.model_validate({"object": "list", "data": errors})

    def cancel(self, batch):
        self.requests.append(("cancel", batch.input_file_id))
        if batch.status in ENDED:
            raise Refusal(400, f"Cannot cancel a batch with status '{batch.status}'.")
        self.statuses.pop(batch.input_file_id, None)
        self.put(batch, "cancelling")
        return batch

    def complete(self, body):
        check(CompletionCreateParamsNonStreaming, body)
        (message,) = body["messages"]
        self.requests.append(("complete", message["content"]))
        if message["content"] in self.refusals:
            raise Refusal(self.refusals[message["content"]])
        answer = {"role": "assistant", "content": message["content"].upper(), "refusal": None}
        choice = {"index": 0, "finish_reason": "stop", "message": answer, "logprobs": None}
        completion = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1714508499, "model": body["model"]}
        return ChatCompletion.model_validate({**completion, "choices": [choice]}, strict=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        route = f"{self.command} {self.path}"
        try:
            fake.authorize(self.headers)
            self.send(200, fake.answer(route, json.loads(body or "{}")).model_dump_json().encode())
        except Refusal as refusal:
            if isinstance(refusal, Invalid):
                fake.invalid.append(f"{route}: {refusal}")
            self.send(refusal.status, json.dumps(refusal.body).encode())

    do_GET = do_POST

    def send(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        # The client repeats what may pass, and waits as long as this says.
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.fake = FakeOpenAI()
    server.fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.fake
    finally:
        server.shutdown()
        server.server_close()
