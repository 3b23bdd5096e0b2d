"""Writes the golden requests of Athena's task types: what flytekit's AthenaTask, HiveTask and HiveSelectTask, and this
repository's AthenaTask of both Flytes, register, as propeller sends it.

    pip install flytekitplugins-athena==1.16.31 flytekitplugins-hive==1.16.31 flyte[connector]==2.12.1 ./services/athena/tasks
    python tests/golden/athena.py

The messages are serialised deterministically, so a second run changes nothing.
"""

import datetime

import athena_task.flyte
import athena_task.flytekit
from attempt import of_attempt, of_flyte2s_propeller, request1, request2, write
from flyte.io import DataFrame
from flytekit import TaskMetadata, kwtypes
from flytekit.types.file import FlyteFile
from flytekit.types.schema import FlyteSchema
from flytekit.types.structured import StructuredDataset
from flytekitplugins.athena import AthenaConfig, AthenaTask
from flytekitplugins.hive import HiveConfig, HiveSelectTask, HiveTask

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


def main():
    for name, inputs, task in [*of_athena(), *of_hive(), *of_flytekit()]:
        write("v1", name, of_attempt(request1(task, inputs), task.name))
    for name, inputs, task in of_flyte2():
        write("v2", name, of_flyte2s_propeller(of_attempt(request2(task, inputs), task.name)))


if __name__ == "__main__":
    main()
