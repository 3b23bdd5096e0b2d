"""A Databricks task with a bucket that lasts as long as this program, which plays the cluster, too."""

import tempfile
import threading
import time

import fsspec
from flyte1 import on_databricks
from flyteidl.core import literals_pb2
from flytekit import FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider

bucket = fsspec.filesystem("memory")


def cluster():
    while not (inputs := bucket.glob("/bucket/**/inputs.pb")):
        time.sleep(0.05)
    read = literals_pb2.LiteralMap.FromString(bucket.cat(inputs[0]))
    print(read.literals["day"].scalar.primitive.string_value)
    wrote = literals_pb2.LiteralMap()
    wrote.literals["o0"].scalar.primitive.integer = 42
    bucket.pipe(inputs[0].replace("inputs.pb", "outputs.pb"), wrote.SerializeToString())


threading.Thread(target=cluster, daemon=True).start()
access = FileAccessProvider(tempfile.mkdtemp(), "memory://bucket/runs")
with FlyteContextManager.with_context(FlyteContextManager.current_context().with_file_access(access)):
    print(on_databricks(day="2026-03-01"))
