"""What the plugin does; that the bridge can call it is the package's business."""

import asyncio

import pytest
from outrigger_plugin import Refused, Succeeded, Task

import plugin

NAME, VERSION = next(iter(plugin.TASK_TYPES.items()))
EXAMPLE = plugin.Example(NAME, VERSION)


def test_a_text_is_shouted() -> None:
    assert asyncio.run(EXAMPLE.execute(Task(NAME, inputs={"text": "hi"}))) == Succeeded(o0="HI")


@pytest.mark.parametrize("inputs", [{}, {"text": 3}])
def test_a_task_without_a_text_is_refused(inputs: dict[str, object]) -> None:
    with pytest.raises(Refused, match="inputs.text: expected a string"):
        asyncio.run(EXAMPLE.execute(Task(NAME, inputs=inputs)))
