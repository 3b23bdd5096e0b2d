"""Runs the named Databricks task; the cluster's code returns or raises, as named."""

import sys
import tempfile

import cluster
import flyte1
from flyteidl.core import errors_pb2, literals_pb2
from flytekit import FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider

_, task, ending = sys.argv


def play(inputs):
    print(literals_pb2.LiteralMap.FromString(inputs).literals["day"].scalar.primitive.string_value)
    if ending == "raises":
        error = errors_pb2.ContainerError(code="USER:ValueError", message="ValueError: no orders on this day")
        return {"error.pb": errors_pb2.ErrorDocument(error=error)}
    wrote = literals_pb2.LiteralMap()
    wrote.literals["o0"].scalar.primitive.integer = 42
    return {"outputs.pb": wrote}


cluster.start(play)
access = FileAccessProvider(tempfile.mkdtemp(), cluster.RUNS)
with FlyteContextManager.with_context(FlyteContextManager.current_context().with_file_access(access)):
    print(getattr(flyte1, task)(day="2026-03-01"))
