"""Prints the endpoint of a task that flytekit runs in a pod."""

from flyte1 import orders
from flytekit import FlyteContextManager
from flytekit.core.context_manager import ExecutionState
from outrigger_flytekit import flyte1

context = FlyteContextManager.current_context()
in_a_pod = context.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
print(flyte1._endpoint(orders, context.with_execution_state(in_a_pod).build()))
