"""Flyte 2: rows of Athena and of Redshift, and a task that runs here on what they are."""

import flyte
from athena_task.flyte import AthenaConfig, AthenaTask
from flyte.io import DataFrame
from redshift_task.flyte import RedshiftConfig, RedshiftTask

orders = AthenaTask(
    name="orders",
    query_template="SELECT * FROM orders WHERE ds = ?",
    plugin_config=AthenaConfig(database="sales", parameters=["day"]),
    inputs={"day": str},
    output_type=DataFrame,
)
events = RedshiftTask(
    name="events",
    statements=[
        "CREATE TEMP TABLE d AS SELECT * FROM events WHERE day = :day -- one day",
        "UNLOAD ('SELECT * FROM d') TO 's3://acme/events/{{ .perRetryUniqueKey }}/' IAM_ROLE default FORMAT PARQUET",
    ],
    plugin_config=RedshiftConfig(workgroup="sales", database="dev"),
    inputs={"day": str},
    outputs={"results": DataFrame},
)
queries = flyte.TaskEnvironment.from_task("queries", orders, events)
here = flyte.TaskEnvironment(name="here", depends_on=[queries])


@here.task
async def athena(day: str) -> str:
    return (await orders(day=day)).uri


@here.task
async def redshift(day: str) -> str:
    return (await events(day=day)).uri
