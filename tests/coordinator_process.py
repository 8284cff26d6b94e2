"""A coordinator in a process of its own, for tests: ``python coordinator_process.py URL SILENCE_S``.

It begins run r1, says ``ready``, and beats. Of each line on its input it writes a fact and says what came of it.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from records_made import begun, fact

from attune_ray.errors import StateError
from attune_ray.store.sql_journal import SqlJournal

__all__ = ["coordinator_process"]


async def _live(url: str, silence_s: float) -> None:
    journal = SqlJournal(url, silence_s=silence_s)
    await journal.write([begun(), fact()])
    beating = asyncio.create_task(_beat(journal, silence_s))
    print("ready", flush=True)  # noqa: T201 - its parent reads it
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        try:
            await journal.write([fact()])
            print("kept", flush=True)  # noqa: T201
        except StateError as error:
            print(type(error).__name__, flush=True)  # noqa: T201
    beating.cancel()


async def _beat(journal: SqlJournal, silence_s: float) -> None:
    while True:
        await journal.beat()
        await asyncio.sleep(silence_s / 10)


@contextlib.contextmanager
def coordinator_process(url: str, silence_s: float) -> Iterator["subprocess.Popen[str]"]:
    """Such a process, when it is ready."""
    command = [sys.executable, __file__, url, str(silence_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1], float(sys.argv[2])))
