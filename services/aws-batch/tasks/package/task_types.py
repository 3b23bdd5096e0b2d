"""The task types of plugin.toml, with their versions."""

TASK_TYPES = {
    "aws-batch": 0,
}


def version_of(task_type: str) -> int:
    """The version of a task type: Flyte finds the service by both."""
    if task_type not in TASK_TYPES:
        raise ValueError(f"task_type={task_type!r} is not one of the service's: {', '.join(TASK_TYPES)}")
    return TASK_TYPES[task_type]
