"""Tasks as users of Flyte 2 write them, without any reference to Outrigger."""

import random

import flyte
from flyte.io import DataFrame
from flyteplugins.bigquery import BigQueryConfig, BigQueryTask
from flyteplugins.databricks import Databricks
from flyteplugins.snowflake import Snowflake, SnowflakeConfig

# Programs may seed random numbers; runs must still be distinct.
random.seed(1)

events = BigQueryTask(
    name="count_events",
    query_template="SELECT COUNT(*) AS n FROM events WHERE word = @word",
    plugin_config=BigQueryConfig(ProjectID="acme-analytics", Location="EU"),
    inputs={"word": str},
    output_dataframe_type=DataFrame,
)

insistent_events = BigQueryTask(
    name="count_events_insistently",
    query_template="SELECT COUNT(*) AS n FROM events WHERE word = @word",
    plugin_config=BigQueryConfig(ProjectID="acme-analytics", Location="EU"),
    inputs={"word": str},
    output_dataframe_type=DataFrame,
    retries=2,
)

users = Snowflake(
    name="count_users",
    inputs={"country": str},
    query_template="SELECT * FROM USERS WHERE COUNTRY = %(country)s",
    plugin_config=SnowflakeConfig(
        account="ACMEORG-ANALYTICS", user="FLYTE_SVC", database="SALES", schema="PUBLIC", warehouse="COMPUTE_WH"
    ),
    snowflake_private_key="laptop_key",
    output_dataframe_type=DataFrame,
)

queries = flyte.TaskEnvironment.from_task("queries", events, insistent_events, users)

clusters = flyte.TaskEnvironment(
    name="clusters",
    image="ghcr.io/acme/etl:1.4",
    plugin_config=Databricks(
        databricks_instance="acme.cloud.databricks.com",
        databricks_conf={"run_name": "daily", "existing_cluster_id": "0923-164208-meows279"},
    ),
)


@clusters.task
async def on_databricks(day: str) -> int:
    raise AssertionError("this runs at the vendor, not here")


@clusters.task
async def export_on_databricks(day: str):
    raise AssertionError("this runs at the vendor, not here")


here = flyte.TaskEnvironment(name="here", depends_on=[queries, clusters])


@here.task
async def report(word: str) -> str:
    table = await events(word=word)
    return table.uri


@here.task
async def people(country: str) -> str:
    table = await users(country=country)
    return table.uri


@here.task
async def daily(day: str) -> int:
    return await on_databricks(day=day)


@here.task
async def export(day: str):
    await export_on_databricks(day=day)


@here.task
async def insistent(word: str) -> str:
    table = await insistent_events(word=word)
    return table.uri
