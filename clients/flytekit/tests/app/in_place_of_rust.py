"""Answers the tasks of new plugins in Rust, which these tests do not compile."""

from outrigger_plugin import Failed, Plugin, Succeeded, SyncPlugin, serve

TRANSLATIONS = {("good morning", "de"): "guten Morgen"}


class Train(Plugin):
    task_type = "acme_rust_async"

    async def create(self, task):
        return {"epochs": task.custom["command"][-1]}

    async def poll(self, job):
        if job["epochs"].isdecimal():
            return Succeeded()
        return Failed(f"{job['epochs']} is not a number of epochs")

    async def delete(self, job):
        pass


class Translate(SyncPlugin):
    task_type = "acme_rust_sync"

    async def execute(self, task):
        text, language = task.custom["text"], task.custom["language"]
        if (text, language) not in TRANSLATIONS:
            return Failed(f"no translation of {text!r}")
        return Succeeded(text=TRANSLATIONS[text, language])


app = serve(Train(), Translate())
