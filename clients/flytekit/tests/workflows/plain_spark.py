"""Prints where a Spark task goes that is none of Databricks'."""

from flytekit import FlyteContextManager, task
from flytekitplugins.spark import Spark
from outrigger_flytekit import flyte1


@task(task_config=Spark())
def plain() -> int:
    return 1


print(flyte1._endpoint(plain, FlyteContextManager.current_context()))
