"""The thread that looks after attempts, and lights the fuse as long as it runs."""

import threading
from dataclasses import dataclass, field

import pytest

from attune_ray.dispatch.worker import lookout as lookouts
from attune_ray.dispatch.worker.lookout import Lookout


@dataclass
class ToldFuse:
    """What the fuse is told."""

    events: list[float | None] = field(default_factory=list)

    def light(self, burns_s: float) -> None:
        """So many seconds."""
        self.events.append(burns_s)

    def put_out(self) -> None:
        """None."""
        self.events.append(None)


@dataclass
class Seen:
    """Is looked at some times, each soon after the other."""

    n_looks: int
    timeout_s: float = 0.001
    silence_s: float = 7.0
    enough: threading.Event = field(default_factory=threading.Event)

    def look(self) -> float:
        """Once more."""
        self.n_looks -= 1
        if self.n_looks <= 0:
            self.enough.set()
        return 0.001


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> ToldFuse:
    """Instead of the kernel's."""
    found = ToldFuse()
    monkeypatch.setattr(lookouts, "Fuse", lambda: found)
    return found


def test_the_fuse_is_lit_anew_at_every_look_and_is_out_afterwards(fuse: ToldFuse) -> None:
    """It burns only while there may be attempts."""
    seen = Seen(n_looks=3)

    with Lookout().over(seen):
        assert seen.enough.wait(5)

    assert fuse.events[-1] is None
    assert set(fuse.events[:-1]) == {7.0}
    assert len(fuse.events) >= 5, "at the beginning, at each look, and at the end"


def test_one_thread_looks_after_chunk_after_chunk(fuse: ToldFuse) -> None:
    """It is woken for one that begins when it would look too late."""
    n_threads = threading.active_count()
    lookout = Lookout()

    for _ in range(3):
        seen = Seen(n_looks=1)
        with lookout.over(seen):
            assert seen.enough.wait(5)

    assert threading.active_count() == n_threads + 1
    assert fuse.events.count(None) == 3


def test_the_fuse_is_put_out_also_where_the_chunk_raises(fuse: ToldFuse) -> None:
    """What follows in the process is not looked after."""
    with pytest.raises(KeyError), Lookout().over(Seen(n_looks=1)):
        raise KeyError

    assert fuse.events[-1] is None


def test_without_a_thread_nothing_burns(fuse: ToldFuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would light it anew."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with Lookout().over(Seen(n_looks=1)):
        assert fuse.events == []
