"""A BigQuery task of flytekit: it does not depend on where it runs."""

from flytekit import StructuredDataset, kwtypes
from flytekitplugins.bigquery import BigQueryConfig, BigQueryTask

orders = BigQueryTask(
    name="orders_of_a_day",
    inputs=kwtypes(day=str, ids=list[int]),
    output_structured_dataset_type=StructuredDataset,
    query_template="SELECT * FROM shop.orders WHERE DATE(ts) = DATE(@day) AND customer IN UNNEST(@ids)",
    task_config=BigQueryConfig(ProjectID="acme-analytics", Location="EU"),
)
