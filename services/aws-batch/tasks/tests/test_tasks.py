"""What Flyte is sent for a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from aws_batch_task.config import AwsBatchConfig
from aws_batch_task.task_types import version_of

IMAGE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:1.4"
# Each field, and its key in `custom`.
FIELDS: list[tuple[str, str, Any]] = [
    ("parameters", "parameters", {"codec": "mp4"}),
    ("scheduling_priority", "schedulingPriority", 7),
    ("platform_capabilities", "platformCapabilities", "EC2"),
    ("propagate_tags", "propagateTags", True),
    ("tags", "tags", {"team": "orders"}),
    ("job_queue", "jobQueue", "etl"),
    ("share_identifier", "shareIdentifier", "orders"),
    ("region", "region", "eu-central-1"),
    ("role", "role", "arn:aws:iam::111122223333:role/flyte-batch"),
    ("job_role", "jobRole", "arn:aws:iam::111122223333:role/etl-orders"),
]
CONFIG = AwsBatchConfig(**{field: value for field, _, value in FIELDS})


async def orders(day: str) -> int:
    return len(day)


def task() -> Any:
    pytest.importorskip("flyte.connectors", reason="flyte[connector] is not installed")
    import flyte

    import aws_batch_task.flyte  # noqa: F401 (registers the task)

    image = flyte.Image.from_base(IMAGE)
    resources = flyte.Resources(cpu=2, memory="4Gi")
    environment = flyte.TaskEnvironment("etl", plugin_config=CONFIG, image=image, resources=resources)
    return environment.task(orders)


def test_template_has_what_the_service_reads() -> None:
    one = task()
    # Flyte 2 has no public way to see it.
    from flyte._internal.runtime.task_serde import get_proto_task
    from flyte.models import SerializationContext

    template = get_proto_task(
        one, SerializationContext(project="project", domain="domain", version="1", root_dir=Path(__file__).parent)
    )
    assert (template.type, template.task_type_version) == ("aws-batch", 0)
    assert MessageToDict(template.custom) == {key: value for _, key, value in FIELDS}
    container = template.container
    assert container.image == IMAGE and next(iter(container.args)) == "a0"
    assert {entry.value for entry in container.resources.requests} == {"2", "4Gi"}


def test_fields_that_are_not_set_are_the_services() -> None:
    assert AwsBatchConfig().custom() == {}


def test_other_task_types_are_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-type' is not one of"):
        version_of("no-such-type")


def test_overrides_keep_the_task() -> None:
    one = task()
    copy = one.override(retries=2)
    assert (type(copy), copy.plugin_config, copy.task_type) == (type(one), CONFIG, "aws-batch")
