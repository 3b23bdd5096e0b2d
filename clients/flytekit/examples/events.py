"""A BigQuery task of Flyte 2's SDK: it does not depend on where it runs."""

import flyte
from flyte.io import DataFrame
from flyteplugins.bigquery import BigQueryConfig, BigQueryTask

events = BigQueryTask(
    name="count_events",
    query_template="SELECT COUNT(*) AS n FROM events WHERE word = @word",
    plugin_config=BigQueryConfig(ProjectID="acme-analytics", Location="EU"),
    inputs={"word": str},
    output_dataframe_type=DataFrame,
)

queries = flyte.TaskEnvironment.from_task("queries", events)
here = flyte.TaskEnvironment(name="here", depends_on=[queries])


@here.task
async def table_of(word: str) -> str:
    table = await events(word=word)
    return table.uri
