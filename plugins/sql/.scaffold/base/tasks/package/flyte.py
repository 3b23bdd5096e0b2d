"""Flyte 2 has no task for this service: it calls connectors for jobs only."""

raise ImportError(
    "Flyte 2 does not call services that answer at once: use flytekit, or call the service's REST API from a task"
)
