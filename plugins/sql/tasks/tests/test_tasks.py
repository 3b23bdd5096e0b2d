"""What Flyte is sent for a task."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from sql_task.config import SqlConfig
from sql_task.task_types import TASK_TYPES, version_of

CUSTOM: dict[str, Any] = {"connection": "shop"}
CONFIG = SqlConfig(**CUSTOM)
STATEMENT = "SELECT count(*) FROM orders WHERE name = {{ .inputs.text }}"
TASK: dict[str, Any] = {"name": "try", "statement": STATEMENT, "inputs": {"text": str}, "outputs": {"rows": int}}
# As Flyte's SimpleType numbers them.
INTEGER, STRING = 1, 3


def flytekit_template(task_type: str) -> Any:
    pytest.importorskip("flytekit", reason="flytekit is not installed")
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable

    from sql_task.flytekit import SqlTask

    task = SqlTask(task_config=CONFIG, task_type=task_type, **TASK)
    settings = SerializationSettings(ImageConfig(), project="project", domain="domain", version="1")
    spec: Any = get_serializable(OrderedDict(), settings, task)
    return spec.template.to_flyte_idl()


def types_of(variables: Any) -> dict[str, int]:
    """The types by name. Flyte 1 has a map, Flyte 2 a list of entries."""
    entries = variables.items() if hasattr(variables, "items") else [(each.key, each.value) for each in variables]
    return {name: variable.type.simple for name, variable in entries}


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("template_of", [flytekit_template])
def test_template_has_what_the_service_reads(template_of: Any, task_type: str) -> None:
    template = template_of(task_type)
    assert (template.type, template.task_type_version) == (task_type, TASK_TYPES[task_type])
    assert MessageToDict(template.custom) == CUSTOM
    assert template.sql.statement == STATEMENT
    assert types_of(template.interface.inputs.variables) == {"text": STRING}
    assert types_of(template.interface.outputs.variables) == {"rows": INTEGER}
    # Flyte 2 sends an empty container.
    assert not template.container.image and not template.container.args


def test_other_task_types_are_refused() -> None:
    with pytest.raises(ValueError, match="'no-such-type' is not one of"):
        version_of("no-such-type")


def test_flyte_2_has_no_such_task() -> None:
    with pytest.raises(ImportError, match="Flyte 2"):
        from sql_task import flyte  # noqa: F401
