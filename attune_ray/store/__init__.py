"""⑥ Runs → what outlives their coordinator.

What needs SQLAlchemy is not named here: ``sql_journal`` and ``archive`` are imported by whoever opens a database.
"""

from attune_ray.store.memory import DyingJournal, MemoryJournal, MemoryResults
from attune_ray.store.results import FileResults
from attune_ray.store.write_behind import WriteBehind

__all__ = ["DyingJournal", "FileResults", "MemoryJournal", "MemoryResults", "WriteBehind"]
