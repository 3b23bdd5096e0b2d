"""Ends what this program has started when this program itself is killed, which no handler of its own can do."""

from __future__ import annotations

import asyncio

from .errors import Failure

# Reads until its input ends: nobody but this program holds the other end. A line of input dismisses it. ``$1`` is the
# process group, ``$2`` how many seconds it may take to end.
SCRIPT = """
read -r dismissed && exit
kill -s TERM -- "-$1" || exit
left=$2
while [ "$left" -gt 0 ] && kill -s 0 -- "-$1"; do sleep 1; left=$((left - 1)); done
kill -s KILL -- "-$1"
"""
# As long as the bridge lets a call take, and a little more, in seconds.
PATIENCE = 35


class Guard:
    """Watches over one process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def of(cls, group: int) -> Guard:
        """Starts it. Raises Failure if it cannot be run."""
        null = asyncio.subprocess.DEVNULL
        command = ("sh", "-c", SCRIPT, "guard", str(group), str(PATIENCE))
        try:
            # In a session of its own, as a terminal's signals must not end it before it has done its work.
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=null, stderr=null, start_new_session=True
            )
        except OSError as error:
            raise Failure(f"sh cannot be started: {error.strerror}") from None
        return cls(process)

    async def dismiss(self) -> None:
        """Ends it without harm to the group. May be called again."""
        if self.process.returncode is None:
            await self.process.communicate(b"dismissed\n")
