"""Workflows with tasks that a service answers within the call."""

from datetime import datetime

from flytekit import eager, kwtypes, task, workflow
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import SyncConnectorExecutorMixin


class AtOnce(SyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name, outputs, task_type=None, inputs=None, **custom):
        super().__init__(task_type or name, name, interface=Interface(inputs, outputs))
        self._custom = custom

    def get_custom(self, settings):
        return self._custom


echo = AtOnce("echo", kwtypes(text=str), text="good night")
refused = AtOnce("refused", kwtypes(text=str), "echo", text="", refuse="not today")
unanswered = AtOnce("unanswered", kwtypes(text=str, rows=int), "echo", text="good night")
elsewhere = AtOnce("elsewhere", kwtypes(text=str))
measure = AtOnce("measure", kwtypes(letters=int, words=list[str], at=datetime), inputs=kwtypes(text=str))


@task
def summary(letters: int, words: list[str], at: datetime) -> str:
    """Runs here, on what the service answered."""
    return f"{letters + 1} letters, {words[0]} first, in {at.year}"


@workflow
def report(text: str) -> str:
    letters, words, at = measure(text=text)
    return summary(letters=letters, words=words, at=at)


@eager
async def later() -> str:
    return echo()
