"""What Flyte is sent for a task."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from aws_batch_task.config import AwsBatchConfig
from aws_batch_task.task_types import TASK_TYPES, version_of

CUSTOM: dict[str, Any] = {"command": ["train", "--epochs", "3"]}
CONFIG = AwsBatchConfig(**CUSTOM)
TASK: dict[str, Any] = {"name": "try", "inputs": {"text": str}, "outputs": {"rows": int}}
# As Flyte's SimpleType numbers them.
INTEGER, STRING = 1, 3


def flytekit_template(task_type: str) -> Any:
    pytest.importorskip("flytekit", reason="flytekit is not installed")
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable

    from aws_batch_task.flytekit import AwsBatchTask

    task = AwsBatchTask(task_config=CONFIG, task_type=task_type, **TASK)
    settings = SerializationSettings(ImageConfig(), project="project", domain="domain", version="1")
    spec: Any = get_serializable(OrderedDict(), settings, task)
    return spec.template.to_flyte_idl()


def flyte_task(task_type: str) -> Any:
    pytest.importorskip("flyte.connectors", reason="flyte[connector] is not installed")
    import flyte

    from aws_batch_task.flyte import AwsBatchTask

    task = AwsBatchTask(plugin_config=CONFIG, task_type=task_type, **TASK)
    flyte.TaskEnvironment.from_task("jobs", task)
    return task


def flyte_template(task_type: str) -> Any:
    task = flyte_task(task_type)
    # Flyte 2 has no public way to see it.
    from flyte._internal.runtime.task_serde import get_proto_task
    from flyte.models import SerializationContext

    return get_proto_task(task, SerializationContext(project="project", domain="domain", version="1"))


def types_of(variables: Any) -> dict[str, int]:
    """The types by name. Flyte 1 has a map, Flyte 2 a list of entries."""
    entries = variables.items() if hasattr(variables, "items") else [(each.key, each.value) for each in variables]
    return {name: variable.type.simple for name, variable in entries}


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("template_of", [flytekit_template, flyte_template])
def test_template_has_what_the_service_reads(template_of: Any, task_type: str) -> None:
    template = template_of(task_type)
    assert (template.type, template.task_type_version) == (task_type, TASK_TYPES[task_type])
    assert MessageToDict(template.custom) == CUSTOM
    assert types_of(template.interface.inputs.variables) == {"text": STRING}
    assert types_of(template.interface.outputs.variables) == {"rows": INTEGER}
    # Flyte 2 sends an empty container.
    assert not template.container.image and not template.container.args


def test_other_task_types_are_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-type' is not one of"):
        version_of("no-such-type")


def test_flyte_2_overrides_keep_the_task() -> None:
    task = flyte_task("aws-batch")
    copy = task.override(retries=2, cache="auto")
    assert (copy.plugin_config, copy.native_interface, copy.retries.count) == (CONFIG, task.native_interface, 2)
    # Flyte's own version of the cache would be the same for every config.
    assert copy.cache.version_override
