"""As bucket1.py, for Flyte 2."""

import threading
import time

import flyte
import fsspec
from flyte2 import daily
from flyteidl2.task import common_pb2

bucket = fsspec.filesystem("memory")


def cluster():
    while not (inputs := bucket.glob("/bucket/**/inputs.pb")):
        time.sleep(0.05)
    read = common_pb2.Inputs.FromString(bucket.cat(inputs[0]))
    print(read.literals[0].value.scalar.primitive.string_value)
    wrote = common_pb2.Outputs()
    wrote.literals.add(name="o0").value.scalar.primitive.integer = 42
    bucket.pipe(inputs[0].replace("inputs.pb", "outputs.pb"), wrote.SerializeToString())


threading.Thread(target=cluster, daemon=True).start()
flyte.init()
run = flyte.with_runcontext(mode="local", raw_data_path="memory://bucket/runs").run(daily, day="2026-03-01")
print(run.outputs()[0])
