"""Pages of memray: drawn by its own command, in processes of their own, as drawing takes much memory."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["draw"]

_LIMIT_S = 600
"""Seconds for all pages of a report: one of a recording of hours would take hours."""


def draw(recordings: Iterable[Path]) -> dict[str, str]:
    """Draw the page of each recording beside it, unless it is there; as many at once as there are cores.

    Returns:
        The stem of a recording whose page could not be drawn, and why.
    """
    deadline_s = time.monotonic() + _LIMIT_S
    with ThreadPoolExecutor(os.cpu_count() or 1, "attune-flamegraph") as pool:
        drawn = {path.stem: pool.submit(_draw, path, deadline_s) for path in recordings}
    return {stem: error for stem, future in drawn.items() if (error := future.result())}


def _draw(recording: Path, deadline_s: float) -> str:
    """Why there is no page; "" when there is."""
    page = recording.with_suffix(".html")
    if page.exists():
        return ""
    draft = page.with_suffix(".html.part")  # a page that is there is whole, also after Ctrl-C
    command = [sys.executable, "-m", "memray", "flamegraph", "--force", "--output", str(draft), str(recording)]
    left_s = max(0.0, deadline_s - time.monotonic())
    try:
        done = subprocess.run(  # noqa: S603  our own arguments
            command, capture_output=True, text=True, timeout=left_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        draft.replace(page)
        return ""
    told = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
    return told[-1]
