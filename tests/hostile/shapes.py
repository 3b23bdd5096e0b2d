"""Tasks of odd shapes and a given size, for REST and for gRPC."""

import json

import msgpack
from flyteidl.admin import agent_pb2
from flyteidl.core import literals_pb2, tasks_pb2
from google.protobuf import json_format

CUSTOM = {"ProjectID": "acme", "Location": "EU"}


def integer(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def string(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value)))


def binary(value):
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=value, tag="msgpack")))


def collection(literals):
    return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=literals))


def nested_list(depth):
    literal = integer(1)
    for _ in range(depth):
        literal = collection([literal])
    return literal


def nested(depth, wrap, inner):
    for _ in range(depth):
        inner = wrap(inner)
    return inner


# What grows with the size, as REST's short form: `f(bytes)` returns the members of the request.
REST = {
    "many inputs": lambda size: {"inputs": {f"x{n}": n for n in range(size // 12)}},
    "a list of integers": lambda size: {"inputs": {"x": [1] * (size // 3)}},
    "a list of texts": lambda size: {"inputs": {"x": ["a"] * (size // 5)}},
    "lists of lists": lambda size: {"inputs": {f"x{n}": [[1]] * 1000 for n in range(size // 7000 + 1)}},
    "keys of custom": lambda size: {"custom": {**CUSTOM, **{f"k{n}": 1 for n in range(size // 13)}}},
    "labels": lambda size: {"custom": {**CUSTOM, "labels": {f"k{n}": "v" for n in range(size // 15)}}},
    "an object as an input": lambda size: {"inputs": {"x": {f"k{n}": n for n in range(size // 14)}}},
    "a long text": lambda size: {"inputs": {"x": "a" * size}},
    "a text of escapes": lambda size: {"inputs": {"x": "\n" * (size // 2)}},
    "a long statement": lambda size: {"sql": "SELECT 1 " + " " * size},
    "placeholders": lambda size: {"sql": "SELECT " + "{{ .inputs.x }}," * (size // 16), "inputs": {"x": 1}},
    "quotes": lambda size: {"sql": "SELECT " + "'a'," * (size // 4)},
    "open comments": lambda size: {"sql": "/*" * (size // 2)},
    "empty objects": lambda size: {"inputs": {"x": [{}] * (size // 4)}},
    "numbers with many digits": lambda size: {"inputs": {"x": [1.2345678901234567e-300] * (size // 24)}},
}


def rest_body(shape, size, number=0):
    """The encoded request of a shape."""
    task = {"custom": CUSTOM, "sql": "SELECT 1", "output_prefix": f"s3://flyte/{shape}/{size}/{number}"}
    return json.dumps({**task, **REST[shape](size)}, separators=(",", ":")).encode()


def deep_body(depth):
    """Nested deeper than any task. Written by hand: Python's own JSON has a limit."""
    return (b'{"custom":{"ProjectID":"acme"},"sql":"SELECT 1","inputs":{"x":' + b"[" * depth + b"1" + b"]" * depth + b"}}", b'{"custom":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}")


def _inputs(literals):
    return {"inputs": literals_pb2.LiteralMap(literals=literals)}


def _template(**members):
    return {"template": members}


GRPC = {
    "many inputs": lambda size: _inputs({f"x{n}": integer(n) for n in range(size // 18)}),
    "a list of integers": lambda size: _inputs({"x": collection([integer(1)] * (size // 8))}),
    "a list of texts": lambda size: _inputs({"x": collection([string("a")] * (size // 9))}),
    "lists of empty lists": lambda size: _inputs({"x": collection([collection([])] * (size // 4))}),
    "empty literals": lambda size: _inputs({"x": collection([literals_pb2.Literal()] * (size // 2))}),
    "a long text": lambda size: _inputs({"x": string("a" * size)}),
    "MessagePack of integers": lambda size: _inputs({"x": binary(msgpack.packb([1] * size))}),
    "MessagePack of maps": lambda size: _inputs({"x": binary(msgpack.packb([{}] * size))}),
    "MessagePack of keys": lambda size: _inputs({"x": binary(msgpack.packb({f"k{n}": 1 for n in range(size // 8)}))}),
    "MessagePack that lies": lambda size: _inputs({"x": binary(b"\xdd\xff\xff\xff\xff" + bytes(size))}),
    "keys of custom": lambda size: _template(custom={**CUSTOM, **{f"k{n}": 1 for n in range(size // 24)}}),
    "keys of config": lambda size: _template(config={f"k{n}": "v" for n in range(size // 15)}),
    "a long statement": lambda size: _template(sql="SELECT 1 " + " " * size),
    "placeholders": lambda size: {**_template(sql="SELECT " + "{{ .inputs.x }}," * (size // 16)), **_inputs({"x": integer(1)})},
}


def grpc_request(shape, size, number=0, task_type="bigquery_query_job_task"):
    """The encoded request of a shape."""
    members = GRPC[shape](size)
    given = members.get("template", {})
    template = tasks_pb2.TaskTemplate(type=task_type, config=given.get("config", {}))
    json_format.ParseDict(given.get("custom", CUSTOM), template.custom)
    template.sql.statement = given.get("sql", "SELECT 1")
    request = agent_pb2.CreateTaskRequest(output_prefix=f"s3://flyte/{shape}/{size}/{number}", template=template)
    if "inputs" in members:
        request.inputs.CopyFrom(members["inputs"])
    return request.SerializeToString()


def deep_requests(depth):
    """Literals and MessagePack, nested."""
    packed = binary(b"\x91" * depth + b"\x01")
    maps = binary(b"\x81\xa1a" * depth + b"\x01")
    for literal in (packed, maps):
        template = tasks_pb2.TaskTemplate(type="bigquery_query_job_task")
        json_format.ParseDict(CUSTOM, template.custom)
        template.sql.statement = "SELECT 1"
        yield agent_pb2.CreateTaskRequest(
            output_prefix=f"s3://flyte/deep/{depth}", template=template, inputs=literals_pb2.LiteralMap(literals={"x": literal})
        ).SerializeToString()
    # Protobuf by hand, because Python's has a limit of depth, too: Literal{collection{literals{…}}}.
    inner = b""
    for _ in range(depth):
        inner = tagged(2, tagged(1, inner))
    yield tagged(1, tagged(1, tagged(1, b"x") + tagged(2, inner)))


def tagged(field, content):
    """A field with a length, encoded."""
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def varint(value):
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
