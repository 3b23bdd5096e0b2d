"""SQL: Runs statements of PostgreSQL and MySQL."""

from outrigger_plugin import Refused, Succeeded, SyncPlugin, Task, serve

# The types of Flyte's tasks that this plugin runs, each with its version.
# plugin.toml names them, too; outrigger sync changes only what is generated: keep both in step.
TASK_TYPES = {
    "sql": 0,
}


class Example(SyncPlugin):
    """Shouts a text."""

    def __init__(self, task_type: str, version: int) -> None:
        self.task_type, self.version = task_type, version

    # A blocking call (`requests`, `time.sleep`) in an `async def` stops all jobs: write `def`, and it runs in a thread.
    async def execute(self, task: Task) -> Succeeded:
        """Runs a task before task.deadline. Flyte may repeat it, with the same task.key."""
        text = task.inputs.get("text")
        if not isinstance(text, str):
            raise Refused("inputs.text: expected a string")
        return Succeeded(o0=text.upper())


app = serve(*(Example(name, version) for name, version in TASK_TYPES.items()))
