"""Timeouts of actions: only in the main thread, only during an attempt."""

import contextlib
import itertools
import signal
import threading
import time

import pytest

from attune_ray.dispatch.worker import watch as watched
from attune_ray.dispatch.worker.lookout import Lookout
from attune_ray.dispatch.worker.watch import Overrun, Watch, watching


def test_an_attempt_that_overruns_is_ended() -> None:
    """From outside, wherever it is."""
    with watching(0.02, 10) as watch:
        assert watch is not None
        watch.begin()
        with pytest.raises(Overrun):
            for _ in itertools.count():
                pass
        watch.end()


def test_an_attempt_in_time_is_left_alone_and_the_next_has_its_full_time() -> None:
    """One timer serves them all; it goes on for what is left."""
    rung = []
    with watching(0.02, 10) as watch:
        assert watch is not None
        watch.ring(signal.SIGALRM, None)
        watch.begin()
        watch.ring(signal.SIGALRM, None)
        rung.append(signal.getitimer(signal.ITIMER_REAL)[0])
        watch.end()

    assert 0 < rung[0] <= 0.02


def test_between_attempts_nothing_is_raised() -> None:
    """The timer rings for nobody."""
    with watching(0.001, 10) as watch:
        assert watch is not None
        signal.sigtimedwait([], 0.01)  # returns early at a signal; what matters is that none raises


def test_afterwards_everything_is_as_before() -> None:
    """The handler and the timer, also when the chunk raised."""
    before = signal.getsignal(signal.SIGALRM)

    with contextlib.suppress(KeyError), watching(5, 10):
        raise KeyError

    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_without_a_timeout_there_is_no_watch() -> None:
    """And nobody listens to the signal."""
    before = signal.getsignal(signal.SIGALRM)

    with watching(None, 10) as watch:
        assert watch is None
        assert signal.getsignal(signal.SIGALRM) is before


def test_in_another_thread_there_is_no_watch() -> None:
    """A signal reaches the main thread alone."""
    found: list[object] = []

    def run() -> None:
        with watching(5, 10) as watch:
            found.append(watch)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert found == [None]


def test_an_attempt_that_does_not_end_is_killed_after_its_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that swallows what is raised in it takes its process along."""
    died = threading.Event()
    monkeypatch.setattr(watched, "_die", died.set)

    with watching(0.01, 0.01) as watch:
        assert watch is not None
        watch.begin()
        while not died.is_set():
            with contextlib.suppress(Overrun):
                died.wait(5)
        watch.end()


def test_an_attempt_that_ends_within_its_grace_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the one after it: its grace is its own."""
    died = threading.Event()
    monkeypatch.setattr(watched, "_die", died.set)

    with watching(0.01, 60) as watch:
        assert watch is not None
        for _ in range(3):
            watch.begin()
            with pytest.raises(Overrun):
                for _ in itertools.count():
                    pass
            watch.end()

    assert not died.is_set()


def test_an_attempt_in_a_c_call_is_killed_without_the_signal_s_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler waits for the end of the call; what had to be told of the attempt is told before."""
    told: list[str] = []
    watch = Watch(0.01, 0.01)
    watch.dying = lambda: told.append("dying")
    died = threading.Event()
    monkeypatch.setattr(watched, "_die", lambda: (told.append("dead"), died.set()))
    watch.begin()

    with Lookout().over(watch):
        assert died.wait(5)

    assert told[:2] == ["dying", "dead"]


def test_a_process_that_was_held_up_has_its_grace_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its attempt had no time to end when its overrun was due."""
    monkeypatch.setattr(watched, "_die", lambda: pytest.fail("it has its grace"))
    watch = Watch(1, 10)
    watch.began_ns = time.perf_counter_ns() - int(3_600e9)

    assert 9 < watch.look() <= 10
    assert 9 < watch.look() <= 10


def test_a_signal_that_comes_when_all_is_over_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would ring for whoever comes after."""
    monkeypatch.setattr(signal, "setitimer", lambda *_: pytest.fail("it is set"))
    watch = Watch(5, 1)
    watch.leave()

    watch.ring(signal.SIGALRM, None)
