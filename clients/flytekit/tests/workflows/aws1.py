"""Flyte 1: rows of Athena and of Redshift, and a task that runs here on what they are."""

from athena_task.flytekit import AthenaConfig, AthenaTask
from flytekit import kwtypes, task, workflow
from flytekit.types.structured import StructuredDataset
from redshift_task.flytekit import RedshiftConfig, RedshiftTask

orders = AthenaTask(
    name="orders",
    query_template="SELECT * FROM orders WHERE ds = ?",
    task_config=AthenaConfig(database="sales", parameters=["day"]),
    inputs=kwtypes(day=str),
    output_type=StructuredDataset,
)
events = RedshiftTask(
    name="events",
    statements=[
        "CREATE TEMP TABLE d AS SELECT * FROM events WHERE day = :day -- one day",
        "UNLOAD ('SELECT * FROM d') TO 's3://acme/events/{{ .perRetryUniqueKey }}/' IAM_ROLE default FORMAT PARQUET",
    ],
    task_config=RedshiftConfig(workgroup="sales", database="dev"),
    inputs=kwtypes(day=str),
    outputs=kwtypes(results=StructuredDataset),
)


@task
def where(rows: StructuredDataset) -> str:
    return rows._literal_sd.uri


@workflow
def athena(day: str) -> str:
    return where(rows=orders(day=day))


@workflow
def redshift(day: str) -> str:
    return where(rows=events(day=day))
