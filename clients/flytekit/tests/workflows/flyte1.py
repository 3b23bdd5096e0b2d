"""Workflows as users of flytekit write them, without any reference to Outrigger."""

import random

from flytekit import StructuredDataset, eager, kwtypes, map_task, task, workflow
from flytekitplugins.bigquery import BigQueryConfig, BigQueryTask
from flytekitplugins.snowflake import SnowflakeConfig, SnowflakeTask
from flytekitplugins.spark import Databricks, DatabricksV2

# Programs may seed random numbers; runs must still be distinct.
random.seed(1)

orders = BigQueryTask(
    name="orders_of_a_day",
    inputs=kwtypes(day=str, ids=list[int]),
    output_structured_dataset_type=StructuredDataset,
    query_template="SELECT * FROM shop.orders WHERE DATE(ts) = DATE(@day) AND customer IN UNNEST(@ids)",
    task_config=BigQueryConfig(ProjectID="acme-analytics", Location="EU"),
)

users = SnowflakeTask(
    name="users_of_a_country",
    inputs=kwtypes(country=str),
    output_schema_type=StructuredDataset,
    query_template="SELECT * FROM USERS WHERE COUNTRY = %(country)s",
    task_config=SnowflakeConfig(
        account="ACMEORG-ANALYTICS", user="FLYTE_SVC", database="SALES", schema="PUBLIC", warehouse="COMPUTE_WH"
    ),
)


def elsewhere():
    raise AssertionError("this runs at the vendor, not here")


CLUSTER = {"run_name": "daily", "existing_cluster_id": "0923-164208-meows279"}
INSTANCE = "acme.cloud.databricks.com"
IMAGE = "ghcr.io/acme/etl:1.4"


@task(task_config=DatabricksV2(databricks_instance=INSTANCE, databricks_conf=CLUSTER), container_image=IMAGE)
def on_databricks(day: str) -> int:
    return elsewhere()


@task(task_config=DatabricksV2(databricks_instance=INSTANCE, databricks_conf=CLUSTER), container_image=IMAGE)
def export(day: str):
    elsewhere()


@task(task_config=Databricks(databricks_instance=INSTANCE, databricks_conf=CLUSTER), container_image=IMAGE)
def on_old_databricks(day: str):
    elsewhere()


@task(
    task_config=DatabricksV2(databricks_instance=INSTANCE, databricks_conf=CLUSTER, notebook_path="/Shared/count"),
    container_image=IMAGE,
)
def notebook() -> str:
    return elsewhere()


@task
def uri_of(table: StructuredDataset) -> str:
    """Runs locally, on the result of the vendor's job."""
    return table._literal_sd.uri


@workflow
def report(day: str, ids: list[int]) -> str:
    return uri_of(table=orders(day=day, ids=ids))


@eager
async def later(day: str, ids: list[int]) -> str:
    return uri_of(table=orders(day=day, ids=ids))


@workflow
def on_each_day(days: list[str]) -> list[int]:
    return map_task(on_databricks)(day=days)
