"""The task types of plugin.toml, with their versions."""

TASK_TYPES = {
    "sagemaker-training-job": 0,
    "sagemaker-processing-job": 0,
    "sagemaker-transform-job": 0,
    "sagemaker-hyperparameter-tuning-job": 0,
    "sagemaker-inference-recommender-job": 0,
    "sagemaker-endpoint": 0,
    "sagemaker-training-task": 0,
    "sagemaker-processing-task": 0,
}


def version_of(task_type: str) -> int:
    """The version of a task type: Flyte finds the service by both."""
    if task_type not in TASK_TYPES:
        raise ValueError(f"task_type={task_type!r} is not one of the service's: {', '.join(TASK_TYPES)}")
    return TASK_TYPES[task_type]
