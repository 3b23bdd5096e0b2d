"""Plugins that cannot be served are refused when their module is imported."""

import pytest

from outrigger_plugin import Plugin, Running, SyncPlugin, serve


class Jobs(Plugin):
    task_type = "jobs"

    def create(self, task):
        return None

    def poll(self, job):
        return Running()

    def delete(self, job):
        return None


class Other(Jobs):
    pass


class Answers(SyncPlugin):
    task_type = "jobs"

    def execute(self, task):
        raise NotImplementedError


def a(**attributes):
    plugin = Jobs()
    vars(plugin).update(attributes)
    return plugin


@pytest.mark.parametrize(
    "plugins, kind, expected",
    [
        ([], ValueError, "no plugin: serve(MyPlugin())"),
        ([Jobs], TypeError, "Jobs is a class: pass an instance, Jobs()"),
        ([object()], TypeError, "object is no plugin: derive it from Plugin or SyncPlugin"),
        ([a(task_type="")], ValueError, 'Jobs has no task type: write task_type = "…" in the class'),
        ([a(task_type="a b")], ValueError, "Jobs.task_type is 'a b': use letters, digits and . _ - /"),
        ([a(version=-1)], ValueError, "Jobs.version is -1: expected an integer from 0"),
        ([a(version="1")], ValueError, "Jobs.version is '1': expected an integer from 0"),
        ([Jobs(), Other()], ValueError, "Jobs and Other have the same task type 'jobs', version 0"),
        ([Jobs(), Answers()], ValueError, "Jobs and Answers have the same task type 'jobs', version 0"),
        ([Jobs(), a(version=1)], ValueError, "the task type 'jobs' has the versions 0 and 1: serve one of them"),
    ],
)
def test_what_cannot_be_served_is_refused(plugins, kind, expected):
    with pytest.raises(kind) as error:
        serve(*plugins)
    assert str(error.value) == expected


def test_method_that_is_missing_is_named():
    class Half(Plugin):
        task_type = "half"

    with pytest.raises(TypeError, match=r"Half.*abstract.*create.*delete.*poll"):
        Half()
