"""An app of a plugin that answers within the call, as its author writes it."""

from datetime import datetime, timezone

from outrigger_plugin import Failed, RetryableFailed, Succeeded, SyncPlugin, serve


class Measure(SyncPlugin):
    task_type = "measure"

    async def execute(self, task):
        text = task.inputs["text"]
        if text == "unknown":
            return Failed("no such text")
        if text == "busy":
            return RetryableFailed("too many texts")
        measured = Succeeded(letters=len(text), words=text.split(), at=datetime(2026, 3, 1, tzinfo=timezone.utc))
        return measured.with_message("measured").with_link("Log", "https://log.example.com/1")


app = serve(Measure())
