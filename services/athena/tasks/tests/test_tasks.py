"""What Flyte is sent for a task."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from athena_task.config import AthenaConfig, CreateTable, Encryption, Engine, Parameter, Unload
from athena_task.task_types import TASK_TYPES, version_of

CUSTOM: dict[str, Any] = {
    "database": "sales",
    "parameters": ["text", {"input": "day", "type": "date"}],
    "engine": {"max_dpus": 24},
    "unload": {"format": "parquet"},
}
CONFIG = AthenaConfig(
    database="sales",
    parameters=["text", Parameter(input="day", type="date")],
    engine=Engine(max_dpus=24),
    unload=Unload(),
)
STATEMENT = "SELECT *\nFROM orders -- all\nWHERE name = ? AND ds = ?"
TASK: dict[str, Any] = {"name": "try", "query_template": STATEMENT, "inputs": {"text": str, "day": str}}
# As Flyte's SimpleType numbers it.
STRING = 3


def flytekit_template() -> Any:
    pytest.importorskip("flytekit", reason="flytekit is not installed")
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable
    from flytekit.types.structured import StructuredDataset

    from athena_task.flytekit import AthenaTask

    task = AthenaTask(task_config=CONFIG, output_type=StructuredDataset, **TASK)
    settings = SerializationSettings(ImageConfig(), project="project", domain="domain", version="1")
    spec: Any = get_serializable(OrderedDict(), settings, task)
    return spec.template.to_flyte_idl()


def flyte_task() -> Any:
    pytest.importorskip("flyte.connectors", reason="flyte[connector] is not installed")
    import flyte
    from flyte.io import DataFrame

    from athena_task.flyte import AthenaTask

    task = AthenaTask(plugin_config=CONFIG, output_type=DataFrame, **TASK)
    flyte.TaskEnvironment.from_task("jobs", task)
    return task


def flyte_template() -> Any:
    task = flyte_task()
    # Flyte 2 has no public way to see it.
    from flyte._internal.runtime.task_serde import get_proto_task
    from flyte.models import SerializationContext

    return get_proto_task(task, SerializationContext(project="project", domain="domain", version="1"))


def types_of(variables: Any) -> dict[str, Any]:
    """The types by name. Flyte 1 has a map, Flyte 2 a list of entries."""
    entries = variables.items() if hasattr(variables, "items") else [(each.key, each.value) for each in variables]
    return {name: variable.type for name, variable in entries}


@pytest.mark.parametrize("template_of", [flytekit_template, flyte_template])
def test_template_has_what_the_service_reads(template_of: Any) -> None:
    template = template_of()
    assert (template.type, template.task_type_version) == ("athena", TASK_TYPES["athena"])
    assert MessageToDict(template.custom) == CUSTOM
    # Unchanged: joined into one line, the comment would swallow the rest of the statement.
    assert template.sql.statement == STATEMENT
    assert {name: type_.simple for name, type_ in types_of(template.interface.inputs.variables).items()} == {
        "text": STRING,
        "day": STRING,
    }
    (results,) = types_of(template.interface.outputs.variables).values()
    assert results.HasField("structured_dataset_type")
    # Flyte 2 sends an empty container.
    assert not template.container.image and not template.container.args


def test_every_field_is_sent_as_the_service_names_it() -> None:
    config = AthenaConfig(
        workgroup="etl",
        catalog="AwsDataCatalog",
        region="eu-west-1",
        role="arn:aws:iam::111122223333:role/flyte",
        output_location="s3://acme/results/",
        encryption=Encryption(option="SSE_KMS", kms_key="alias/athena"),
        expected_bucket_owner="111122223333",
        bucket_owner_full_control=True,
        result_reuse_minutes=60,
        create_table=CreateTable(name="sales.daily", compression="zstd"),
    )
    assert config.custom() == {
        "workgroup": "etl",
        "catalog": "AwsDataCatalog",
        "region": "eu-west-1",
        "role": "arn:aws:iam::111122223333:role/flyte",
        "output_location": "s3://acme/results/",
        "encryption": {"option": "SSE_KMS", "kms_key": "alias/athena"},
        "expected_bucket_owner": "111122223333",
        "bucket_owner_full_control": True,
        "result_reuse_minutes": 60,
        "create_table": {"name": "sales.daily", "format": "parquet", "compression": "zstd"},
    }


def test_flytekit_reads_athenas_csv_file(tmp_path: Any) -> None:
    pytest.importorskip("flytekit", reason="flytekit is not installed")
    import pandas
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.models.literals import Literal, Scalar
    from flytekit.models.literals import StructuredDataset as Table
    from flytekit.models.literals import StructuredDatasetMetadata as Metadata
    from flytekit.models.types import StructuredDatasetType
    from flytekit.types.structured.structured_dataset import StructuredDatasetTransformerEngine

    import athena_task.flytekit  # noqa: F401

    (tmp_path / "q.csv").write_text('"region","total"\n"EU","42"\n')
    table = Table(uri=str(tmp_path / "q.csv"), metadata=Metadata(StructuredDatasetType(format="csv")))
    literal = Literal(scalar=Scalar(structured_dataset=table))
    rows = StructuredDatasetTransformerEngine().to_python_value(
        FlyteContextManager.current_context(), literal, pandas.DataFrame
    )
    assert rows.to_dict("records") == [{"region": "EU", "total": 42}]


def test_other_task_types_are_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-type' is not one of"):
        version_of("no-such-type")


def test_flyte_2_overrides_keep_the_task() -> None:
    task = flyte_task()
    copy = task.override(retries=2, cache="auto")
    assert (copy.plugin_config, copy.native_interface, copy.retries.count) == (CONFIG, task.native_interface, 2)
    assert copy.query_template == STATEMENT
    # Flyte's own version of the cache would be the same for every config.
    assert copy.cache.version_override
