"""Writes the golden requests of Redshift's task type: what this repository's RedshiftTask of both Flytes registers, as
propeller sends it.

    pip install flytekit==1.16.31 flyte[connector]==2.12.1 ./services/redshift/tasks
    python tests/golden/redshift.py
"""

import datetime

from flyte.io import DataFrame
from flytekit import kwtypes
from flytekit.types.schema import FlyteSchema
from flytekit.types.structured import StructuredDataset

import attempts
import redshift_task.flyte
import redshift_task.flytekit

DAY = {"day": "2026-03-01"}
SELECT = "CREATE TEMP TABLE d AS SELECT * FROM events WHERE day = {{ .inputs.day }} -- one day"
UNLOAD = "UNLOAD ('SELECT * FROM d') TO 's3://acme/events/{{ .perRetryUniqueKey }}/' IAM_ROLE default FORMAT PARQUET"
AT = datetime.datetime(2026, 3, 1, 6, 30, 15, 250_000, tzinfo=datetime.timezone.utc)
VALUES = {
    "number": (int, 7),
    "share": (float, 0.25),
    "is_test": (bool, True),
    "name": (str, "'; DROP TABLE events; --"),
    "at": (datetime.datetime, AT),
    "span": (datetime.timedelta, datetime.timedelta(hours=26, seconds=1)),
    "ids": (list[int], [1, 2, 3]),
}
INSERT = (
    "INSERT INTO seen SELECT * FROM events WHERE number = :number AND share < :share AND is_test = :is_test"
    " AND name = :name AND at > :at AND at < :at::timestamptz + :span::interval AND id IN ({{ .inputs.ids }})"
)


def inputs():
    """The values of INSERT."""
    return {name: value for name, (_, value) in VALUES.items()}


def types():
    return {name: type_ for name, (type_, _) in VALUES.items()}


def of_flytekit():
    task, config = redshift_task.flytekit.RedshiftTask, redshift_task.flytekit.RedshiftConfig
    sales = config(workgroup="sales", database="dev")
    day = kwtypes(day=str)
    rows = [SELECT, UNLOAD]
    yield "rs_unload", DAY, task("unload", rows, sales, day, {"results": StructuredDataset})
    yield "rs_unload_schema", DAY, task("unload-schema", rows, sales, day, {"results": FlyteSchema})
    yield "rs_minimal", {}, task("minimal", "CALL refresh()", sales)
    yield "rs_values", inputs(), task("values", INSERT, sales, types())
    vacuum = config(cluster="dwh", database="prod", transaction=False, statement_name="nightly", with_event=True)
    yield "rs_vacuum", {}, task("vacuum", ["VACUUM events", "ANALYZE events"], vacuum)
    quoted = "DELETE FROM events WHERE day = '{{ .inputs.day }}'"
    yield "rs_quoted", DAY, task("quoted", quoted, sales, day)
    yield "rs_no_unload", DAY, task("no-unload", "SELECT :day", sales, day, {"results": StructuredDataset})


def of_flyte2():
    task, config = redshift_task.flyte.RedshiftTask, redshift_task.flyte.RedshiftConfig
    sales = config(workgroup="sales", database="dev")
    yield "rs_unload", DAY, task(
        name="unload",
        statements=[SELECT, UNLOAD],
        plugin_config=sales,
        inputs={"day": str},
        outputs={"results": DataFrame},
    )
    yield "rs_values", inputs(), task(name="values", statements=INSERT, plugin_config=sales, inputs=types())
    yield "rs_minimal", {}, task(name="minimal", statements="CALL refresh()", plugin_config=sales)


if __name__ == "__main__":
    attempts.write_all(of_flytekit(), of_flyte2())
