"""Like bucket1.py, for Flyte 2."""

import sys

import cluster
import flyte
import flyte2
from flyteidl2.core import execution_pb2
from flyteidl2.task import common_pb2

_, task, ending = sys.argv


def play(inputs):
    print(common_pb2.Inputs.FromString(inputs).literals[0].value.scalar.primitive.string_value)
    if ending == "raises":
        error = execution_pb2.ContainerError(code="ValueError", message="ValueError: no orders on this day")
        return {"error.pb": execution_pb2.ErrorDocument(error=error)}
    wrote = common_pb2.Outputs()
    wrote.literals.add(name="o0").value.scalar.primitive.integer = 42
    return {"outputs.pb": wrote}


cluster.start(play)
flyte.init()
run = flyte.with_runcontext(mode="local", raw_data_path=cluster.RUNS).run(getattr(flyte2, task), day="2026-03-01")
print(run.outputs()[0])
