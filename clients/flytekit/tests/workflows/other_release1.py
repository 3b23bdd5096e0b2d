"""A task in a flytekit release that maps tasks differently."""

import sys


class OtherRelease:
    """Modifies flytekit before the client is loaded."""

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
