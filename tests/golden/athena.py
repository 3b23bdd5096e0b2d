"""Writes the golden requests of Athena's task types: what flytekit's AthenaTask, HiveTask and HiveSelectTask, and this
repository's AthenaTask of both Flytes, register, as propeller sends it.

    pip install flytekitplugins-athena==1.16.31 flytekitplugins-hive==1.16.31 flyte[connector]==2.12.1 ./services/athena/tasks
    python tests/golden/athena.py

The messages are serialised deterministically, so a second run changes nothing.
"""

import asyncio
import collections
import datetime
import json
import pathlib

from flyte._internal.runtime.convert import convert_from_native_to_inputs
from flyte._internal.runtime.task_serde import get_proto_task
from flyte.io import DataFrame
from flyte.models import SerializationContext
from flyteidl.admin import agent_pb2
from flyteidl.core import identifier_pb2
from flyteidl2.connector import connector_pb2
from flytekit import TaskMetadata, kwtypes
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.tools.translator import get_serializable
from flytekit.types.file import FlyteFile
from flytekit.types.schema import FlyteSchema
from flytekit.types.structured import StructuredDataset
from flytekitplugins.athena import AthenaConfig, AthenaTask
from flytekitplugins.hive import HiveConfig, HiveSelectTask, HiveTask
from google.protobuf import json_format

import athena_task.flyte
import athena_task.flytekit

GOLDEN = pathlib.Path(__file__).parent
NAMES = {"project": "flytesnacks", "domain": "development", "version": "9YkQ7mXw3cZ0bqFvT1nHsg"}
CONFIG = AthenaConfig(database="sales", workgroup="etl", catalog="AwsDataCatalog")
DAY = {"ds": "2026-03-01"}


def of_athena():
    """flytekit's AthenaTask: task type presto."""
    select = "SELECT region, sum(total) AS total\nFROM orders\nWHERE ds = '{{ .Inputs.ds }}'\nGROUP BY region"
    yield "ath_select", DAY, AthenaTask("select", select, CONFIG, kwtypes(ds=str), FlyteSchema)
    yield "ath_table", DAY, AthenaTask("table", select, CONFIG, kwtypes(ds=str), StructuredDataset)
    yield "ath_minimal", {}, AthenaTask("minimal", "SHOW TABLES")
    insert = "INSERT INTO orders SELECT * FROM staged WHERE a = {{ .inputs.a }} AND b = {{ .inputs.b }} AND c = {{ .inputs.c }}"
    yield "ath_insert", {"a": 1, "b": 2.5, "c": True}, AthenaTask("insert", insert, CONFIG, kwtypes(a=int, b=float, c=bool))
    times = "SELECT * FROM orders WHERE at > from_iso8601_timestamp('{{ .inputs.at }}')"
    at = datetime.datetime(2026, 3, 1, 6, 30, 15, tzinfo=datetime.timezone.utc)
    yield "ath_datetime", {"at": at}, AthenaTask("datetime", times, CONFIG, kwtypes(at=datetime.datetime), FlyteSchema)
    named = AthenaConfig(database="sales_{{ .inputs.ds }}", workgroup="{{ .inputs.ds }}")
    yield "ath_names", DAY, AthenaTask("names", "SELECT 1", named, kwtypes(ds=str))
    ctas = "CREATE TABLE {{ .PerRetryUniqueKey }} AS SELECT * FROM orders"
    yield "ath_unique_key", {}, AthenaTask("unique-key", ctas, CONFIG, metadata=TaskMetadata(retries=2, timeout=600))
    raw = "UNLOAD (SELECT * FROM orders) TO '{{ .RawOutputDataPrefix }}' WITH (format = 'PARQUET')"
    yield "ath_raw_output", {}, AthenaTask("raw-output", raw, CONFIG, output_schema_type=FlyteSchema)


def of_hive():
    """flytekit's HiveTask and HiveSelectTask: task type hive."""
    hive = HiveConfig(cluster_label="sales", tags=["nightly"])
    repair = "ALTER TABLE orders ADD IF NOT EXISTS PARTITION (ds = '{{ .inputs.ds }}')"
    yield "ath_hive", DAY, HiveTask("repair", repair, hive, kwtypes(ds=str))
    yield "ath_hive_minimal", {}, HiveTask("minimal", "SELECT 1", output_schema_type=FlyteSchema)
    select = "SELECT * FROM orders WHERE ds = '{{ .inputs.ds }}'"
    yield "ath_hive_select", DAY, HiveSelectTask("select", select, kwtypes(ds=str), FlyteSchema)


def of_flytekit():
    """This repository's task for flytekit: task type athena."""
    task, config = athena_task.flytekit.AthenaTask, athena_task.flytekit.AthenaConfig
    names = {"database": "sales", "workgroup": "etl"}
    statement = "SELECT * FROM orders -- of a day\nWHERE ds = ? AND region = ?"
    both = kwtypes(ds=str, region=str)
    parameters = config(parameters=["ds", "region"], result_reuse_minutes=60, **names)
    inputs = {**DAY, "region": "O'Brien"}
    yield "ath_typed", inputs, task("typed", statement, parameters, both, StructuredDataset)
    yield "ath_typed_file", inputs, task("file", statement, parameters, both, FlyteFile["csv"])
    unload = config(unload=athena_task.flytekit.Unload(location="s3://acme-athena/rows/{{ .perRetryUniqueKey }}/"), **names)
    yield "ath_typed_unload", {}, task("unload", "SELECT * FROM orders", unload, output_type=StructuredDataset)


def of_flyte2():
    """This repository's task for Flyte 2: task type athena."""
    task, config = athena_task.flyte.AthenaTask, athena_task.flyte.AthenaConfig
    names = {"database": "sales", "workgroup": "etl"}
    statement = "SELECT * FROM orders WHERE ds = ? AND id IN ({{ .inputs.ids }})"
    types = {"ds": str, "ids": list[int]}
    parameters = config(parameters=["ds"], **names)
    yield "ath_typed", {**DAY, "ids": [1, 2]}, task(
        name="typed", query_template=statement, plugin_config=parameters, inputs=types, output_type=DataFrame
    )
    yield "ath_typed_minimal", {}, task(name="minimal", query_template="SHOW TABLES")


def request1(task, inputs):
    settings = SerializationSettings(image_config=ImageConfig(), **NAMES)
    template = get_serializable(collections.OrderedDict(), settings, task).template.to_flyte_idl()
    context = FlyteContextManager.current_context()
    literals = TypeEngine.dict_to_literal_map(context, inputs, task.python_interface.inputs).to_flyte_idl()
    return agent_pb2.CreateTaskRequest(template=template, inputs=literals)


def request2(task, inputs):
    """As a message of Flyte 1: the encoding is the same."""
    import flyte

    flyte.TaskEnvironment.from_task(f"env-{task.name}", task)
    template = get_proto_task(task, SerializationContext(**NAMES, root_dir=GOLDEN))
    # The SDK has them in the order of a set.
    template.interface.inputs.variables.sort(key=lambda variable: variable.key)
    named = asyncio.run(convert_from_native_to_inputs(task.interface, **inputs)).proto_inputs.literals
    request = agent_pb2.CreateTaskRequest()
    request.template.MergeFromString(template.SerializeToString())
    for literal in sorted(named, key=lambda literal: literal.name):
        request.inputs.literals[literal.name].MergeFromString(literal.value.SerializeToString())
    return request


def of_attempt(request, name):
    """`request` with what propeller adds for an attempt."""
    execution = "f7a1b2c3"
    metadata = request.task_execution_metadata
    task_id = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, name=name, **NAMES)
    metadata.task_execution_id.task_id.CopyFrom(task_id)
    node = metadata.task_execution_id.node_execution_id
    node.node_id = "n0"
    node.execution_id.project, node.execution_id.domain = NAMES["project"], NAMES["domain"]
    node.execution_id.name = execution
    metadata.namespace = "flytesnacks-development"
    metadata.k8s_service_account = "default"
    metadata.labels.update({"execution-id": execution, "node-id": "n0", "task-name": name})
    request.output_prefix = f"s3://my-bucket/metadata/propeller/flytesnacks-development-{execution}/n0/data/0"
    return request


def of_flyte2s_propeller(request):
    """`request` as a message of Flyte 2, which always has a connection."""
    request = connector_pb2.CreateTaskRequest.FromString(request.SerializeToString())
    request.connection.SetInParent()
    return request


def write(version, name, request):
    path = GOLDEN / version / name
    path.with_suffix(".pb").write_bytes(request.SerializeToString(deterministic=True))
    message = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path.with_suffix(".json").write_text(json.dumps(message, indent=2, sort_keys=True) + "\n")


def main():
    for name, inputs, task in [*of_athena(), *of_hive(), *of_flytekit()]:
        write("v1", name, of_attempt(request1(task, inputs), task.name))
    for name, inputs, task in of_flyte2():
        write("v2", name, of_flyte2s_propeller(of_attempt(request2(task, inputs), task.name)))


if __name__ == "__main__":
    main()
