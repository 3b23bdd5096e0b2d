"""A task in a flytekit that maps tasks in another way."""

import sys


class OtherRelease:
    """Changes flytekit before the client is loaded."""

    def find_spec(self, name, *_):
        if name == "outrigger_flytekit.flyte1":
            del sys.modules["flytekit.core.array_node_map_task"].ArrayNodeMapTask._raw_execute


sys.meta_path.insert(0, OtherRelease())

from flytekit import task  # noqa: E402

print("imported")


@task
def here() -> str:
    return "ran"


print(here())
