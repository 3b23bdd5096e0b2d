"""Prints the endpoint of a Spark task that is not a Databricks task."""

from flytekit import FlyteContextManager, task
from flytekitplugins.spark import Spark
from outrigger_flytekit import flyte1


@task(task_config=Spark())
def plain() -> int:
    return 1


print(flyte1._endpoint(plain, FlyteContextManager.current_context()))
