"""Actions that do what no action should: only their own item fails, and the run always ends."""

import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import signal
import sys
import threading
from collections import Counter, namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine, Settings, action
from attune_ray.settings import FanOutSettings, LimitSettings

Point = namedtuple("Point", "x y")  # noqa: PYI024  an untyped one is what users have


class UnprintableError(Exception):
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("no text")


class UnpicklableError(Exception):
    """It cannot leave its process."""

    def __init__(self, what: str, more: int) -> None:
        super().__init__(what)
        self.lock = threading.Lock()
        self.more = more


def cycle() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


def endless() -> int:
    """A recursion without end."""
    return endless() + 1


def raise_(error: BaseException) -> None:
    """Raise in an expression."""
    raise error


DEEDS: dict[str, tuple[Callable[[], Any], str]] = {
    "an error without a text": (lambda: raise_(UnprintableError()), "UnprintableError: (its text cannot be read)"),
    "an error that cannot be pickled": (lambda: raise_(UnpicklableError("odd", 2)), "UnpicklableError: odd"),
    "a huge error": (lambda: raise_(ValueError("x" * 5_000_000)), "ValueError: xxx"),
    "an error with half a character": (lambda: raise_(ValueError("\ud800")), "ValueError: ?"),
    "a group of errors": (lambda: raise_(ExceptionGroup("g", [ValueError("a")])), "ExceptionGroup: g"),
    "exit": (lambda: sys.exit(3), "SystemExit: 3"),
    "cancelled": (lambda: raise_(asyncio.CancelledError()), "CancelledError"),
    "stop iteration": (lambda: raise_(StopIteration("v")), "StopIteration"),
    "a bare BaseException": (lambda: raise_(BaseException("base")), "BaseException: base"),
    "endless recursion": (endless, "RecursionError: "),
    "no memory": (lambda: raise_(MemoryError()), "MemoryError"),
    "a generator": (lambda: (x for x in [1]), "result: a value of type generator cannot be stored"),
    "a set": (lambda: {"a": [{1}]}, "result.a[0]: a value of type set cannot be stored"),
    "a named tuple": (lambda: {"p": Point(1, 2)}, ".p: a value of type "),
    "half a character": (lambda: {"a": ["\ud800"]}, "result.a[0]: a value of type str cannot be stored; it is no"),
    "itself": (cycle, "nested deeper than 200 levels"),
    "a large integer": (lambda: [2**64], "result[0]: an integer beyond 64 bits; return it as text"),
    "a key that is no text": (lambda: {1: 2}, "result: the key 1 is of type int, JSON keys are text"),
}


@action("hostile.sync")
def hostile(deed: str) -> Any:
    """Do what it is told by name; else give the name back."""
    return DEEDS[deed][0]() if deed in DEEDS else deed


@action("hostile.async")
async def hostile_async(deed: str) -> Any:
    """The same in an event loop."""
    await asyncio.sleep(0)
    return hostile(deed)


@action("hostile.blocking", blocking=True)
def hostile_blocking(deed: str) -> Any:
    """The same in a thread."""
    return hostile(deed)


@action("hostile.inline", inline=True)
def hostile_inline(deed: str) -> Any:
    """The same in the coordinator."""
    return hostile(deed)


@action("hostile.inline_async", inline=True)
async def hostile_inline_async(deed: str) -> Any:
    """The same in the coordinator's event loop."""
    return await hostile_async(deed)


@action("hostile.interrupt")
def interrupt() -> None:
    """What Ctrl-C raises, by itself."""
    raise KeyboardInterrupt


@action("hostile.interrupt_async")
async def interrupt_async() -> None:
    """The same in an event loop."""
    raise KeyboardInterrupt


@action("hostile.cancel_itself")
async def cancel_itself(x: int) -> int:
    """One item cancels the task that it runs in."""
    lane = asyncio.current_task()
    if x == 1 and lane is not None:
        lane.cancel()
    await asyncio.sleep(0)
    return x


@action("hostile.die")
def die(x: int, how: str) -> int:
    """One item ends its process."""
    if x == 5 and how == "exit":
        os._exit(3)
    if x == 5 and how in {"kill", "term"}:
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGTERM)
    if x == 5 and how == "segfault":
        ctypes.string_at(0)
    return x


@action("hostile.note")
def note(x: int, path: str, how: str) -> int:
    """Notes that it ran; one item then does not end, or ends its process."""
    with Path(path).open("a", encoding="ascii") as file:
        file.write(f"{x}\n")
    if x == 700 and how == "endless":
        ctypes.CDLL(None).sleep(3600)  # deaf to signals: C calls it again
        endless_in_c()
    return die(5 if x == 700 else 0, how) and x


@action("hostile.note_async")
async def note_async(x: int, path: str, how: str) -> int:
    """The same with others at once, who take their time."""
    await asyncio.sleep(0.001 * (x % 3))
    return note(x, path, how)


def endless_in_c() -> None:
    """Sleep on whenever a signal has ended a sleep, as a library of a foreign language would."""
    while True:
        try:
            ctypes.CDLL(None).sleep(3600)
        except BaseException:  # noqa: BLE001, S112  what makes it hostile
            continue


@action("hostile.call_c")
def call_c(x: int, path: str, how: str) -> int:
    """Notes that it ran; one item then is in a C call that does not end, with the interpreter's lock or without it."""
    note(x, path, "")
    if x == 5 and how == "holds the lock":
        sum(range(10**13))
    if x == 5 and how == "lets go of it":
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2**31 - 1)
    return x


@action("hostile.call_c_blocking", blocking=True)
def call_c_blocking(x: int, path: str, how: str) -> int:
    """The same in a thread."""
    return call_c(x, path, how)


@action("hostile.call_c_async")
async def call_c_async(x: int, path: str, how: str) -> int:
    """The same in an event loop."""
    await asyncio.sleep(0)
    return call_c(x, path, how)


@action("hostile.deaf")
async def deaf(x: int, path: str, how: str) -> int:
    """Notes that it has ended; two items do not let themselves be cancelled, those after them take their time."""
    while x in {5, 6}:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(1_000)
    await asyncio.sleep(0.8 if x > 6 else 0)
    note(x, path, how)
    return x


@action("hostile.print")
def noisy() -> int:
    """Writes where results might be expected."""
    sys.stdout.write("NOISE\n")
    sys.stderr.write("NOISE\n")
    return 1


ALL = [value for value in list(globals().values()) if hasattr(value, "__attune_action__")]
INLINE = ["hostile.inline", "hostile.inline_async"]


def fan_out(ref: str, items: list[Any], name: str = "deed", **task: Any) -> str:
    """A workflow of one fan-out, ``f``."""
    return json.dumps(
        {"tasks": [{"name": "f", "action": ref, "with_items": items, "input": {name: "{{ item }}"}, **task}]}
    )


@pytest.mark.ray
@pytest.mark.parametrize("ref", ["hostile.sync", "hostile.async", "hostile.blocking"])
def test_whatever_an_action_does_is_its_item_s_outcome_on_ray(make_ray_engine: Callable[..., Engine], ref: str) -> None:
    """All deeds at once, among items that are well."""
    check_deeds(make_ray_engine(*ALL), ref)


@pytest.mark.parametrize("ref", INLINE)
def test_whatever_an_action_does_is_its_item_s_outcome_inline(make_engine: Callable[..., Engine], ref: str) -> None:
    """The coordinator itself goes on."""
    check_deeds(make_engine(*ALL), ref)


def check_deeds(engine: Engine, ref: str) -> None:
    """Run all deeds as the items of one task, and each alone as a plain task."""
    items = [part for deed in DEEDS for part in ("before", deed, "after")]

    task = engine.run(fan_out(ref, items)).task("f")

    assert list(task.results) == [part if part in {"before", "after"} else None for part in items]
    errors = {failed["item"]: failed["error"] for failed in task.failed_items}
    assert errors.keys() == DEEDS.keys()
    for deed, (_, told) in DEEDS.items():
        assert told in errors[deed]
        assert len(errors[deed]) <= 2_000
        plain = engine.run(json.dumps({"tasks": [{"name": "t", "action": ref, "input": {"deed": deed}}]}))
        assert (plain.status.value, told in (plain.task("t").error or "")) == ("failed", True)


@pytest.mark.ray
@pytest.mark.parametrize("ref", ["hostile.interrupt", "hostile.interrupt_async"])
def test_an_interrupt_raised_by_an_action_is_its_own(make_ray_engine: Callable[..., Engine], ref: str) -> None:
    """It is not taken for the user's, and the worker goes on."""
    engine = make_ray_engine(*ALL)

    run = engine.run(f"tasks: [{{name: t, action: {ref}}}]")

    assert (run.status.value, run.task("t").error) == ("failed", "KeyboardInterrupt: ")


@pytest.mark.ray
def test_an_item_that_cancels_its_own_task_fails_alone(make_ray_engine: Callable[..., Engine]) -> None:
    """The others keep their results and their places."""
    task = make_ray_engine(*ALL).run(fan_out("hostile.cancel_itself", [0, 1, 2, 3], "x", concurrency=1)).task("f")

    assert list(task.results) == [0, None, 2, 3]
    assert [failed["index"] for failed in task.failed_items] == [1]


@pytest.mark.ray
@pytest.mark.parametrize("how", ["exit", "kill", "term", "segfault"])
def test_an_item_that_ends_its_process_fails_as_crashed(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, how: str
) -> None:
    """Its neighbours in the chunk run again elsewhere, and the run ends."""
    settings = replace(ray_settings, fan_out=FanOutSettings(max_crashes=1))
    task = json.loads(fan_out("hostile.die", list(range(8)), "x"))
    task["tasks"][0]["input"]["how"] = how

    run = make_ray_engine(*ALL, settings=settings).run(json.dumps(task))

    assert run.status.value == "failed"
    assert list(run.task("f").results) == [0, 1, 2, 3, 4, None, 6, 7]
    (failed,) = run.task("f").failed_items
    assert (failed["index"], failed["item"]) == (5, 5)
    assert failed["error"] == "its worker process died (a crash, an exit, or a kill)"


@pytest.mark.ray
@pytest.mark.parametrize("how", ["segfault", "exit", "kill"])
def test_one_crasher_of_ten_thousand_fails_alone_and_nothing_finished_runs_again(
    make_ray_engine: Callable[..., Engine], tmp_path: Path, how: str
) -> None:
    """What had ended when its worker died was in a file that outlived it."""
    ran = tmp_path / "ran"
    task = json.loads(fan_out("hostile.note", list(range(10_000)), "x"))
    task["tasks"][0]["input"] |= {"path": str(ran), "how": how}

    run = make_ray_engine(*ALL).run(json.dumps(task)).task("f")

    assert [(failed["index"], failed["error"]) for failed in run.failed_items] == [
        (700, "its worker process died (a crash, an exit, or a kill)")
    ]
    times = Counter(map(int, ran.read_text().split()))
    assert times.keys() == set(range(10_000))
    assert {index: n for index, n in times.items() if n > 1} == {700: 3}, "it has as many tries as a crash may have"


@pytest.mark.ray
def test_an_item_that_never_ends_is_timed_out_and_nothing_else_runs_again(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path
) -> None:
    """Its worker is killed in the end; its overrun is its own failure, not a crash."""
    ran = tmp_path / "ran"
    task = json.loads(fan_out("hostile.note", list(range(1_000)), "x", timeout=1))
    task["tasks"][0]["input"] |= {"path": str(ran), "how": "endless"}
    settings = replace(ray_settings, limits=LimitSettings(timeout_grace_s=0.2))

    run = make_ray_engine(*ALL, settings=settings).run(json.dumps(task)).task("f")

    assert [(failed["index"], failed["error"]) for failed in run.failed_items] == [
        (700, "Execution timed out after 1 seconds")
    ]
    assert sorted(map(int, ran.read_text().split())) == list(range(1_000))


def short_of_time(settings: Settings) -> Settings:
    """Little grace, and one death of a worker is enough to fail its item."""
    limits = LimitSettings(timeout_grace_s=0.2)
    return replace(settings, fan_out=FanOutSettings(max_crashes=1), limits=limits)


def noting(ref: str, path: Path, how: str = "", **task: Any) -> str:
    """A workflow of 20 items that note in a file that they ran."""
    told = json.loads(fan_out(ref, list(range(20)), "x", **{"timeout": 1, **task}))
    told["tasks"][0]["input"] |= {"path": str(path), "how": how}
    return json.dumps(told)


@pytest.mark.ray
@pytest.mark.parametrize("ref", ["hostile.call_c", "hostile.call_c_async"])
def test_an_item_in_a_c_call_without_end_is_timed_out(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path, ref: str
) -> None:
    """No handler of a signal runs meanwhile; nothing else fails, or runs again."""
    engine = make_ray_engine(*ALL, settings=short_of_time(ray_settings))

    run = engine.run(noting(ref, tmp_path / "ran", "lets go of it", concurrency=1)).task("f")

    assert [(failed["index"], failed["error"]) for failed in run.failed_items] == [
        (5, "Execution timed out after 1 seconds")
    ]
    assert list(run.results) == [None if x == 5 else x for x in range(20)]
    assert sorted(map(int, (tmp_path / "ran").read_text().split())) == list(range(20))


@pytest.mark.ray
@pytest.mark.parametrize("ref", ["hostile.call_c", "hostile.call_c_async", "hostile.call_c_blocking"])
def test_an_item_that_holds_the_interpreter_s_lock_fails_as_crashed(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path, ref: str
) -> None:
    """No thread of Python runs meanwhile: the kernel ends the worker, which then cannot tell of a timeout."""
    engine = make_ray_engine(*ALL, settings=short_of_time(ray_settings))

    run = engine.run(noting(ref, tmp_path / "ran", "holds the lock", concurrency=1)).task("f")

    assert [(failed["index"], failed["error"]) for failed in run.failed_items] == [
        (5, "its worker process died (a crash, an exit, or a kill)")
    ]
    assert list(run.results) == [None if x == 5 else x for x in range(20)]
    assert sorted(map(int, (tmp_path / "ran").read_text().split())) == list(range(20))


@pytest.mark.ray
def test_items_that_are_deaf_to_their_cancellation_are_timed_out(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path
) -> None:
    """Their worker is killed; those under way beside them run again, and none that had ended."""
    engine = make_ray_engine(*ALL, settings=short_of_time(ray_settings))

    run = engine.run(noting("hostile.deaf", tmp_path / "ran", concurrency=6, timeout=2)).task("f")

    assert {failed["index"]: failed["error"] for failed in run.failed_items} == dict.fromkeys(
        [5, 6], "Execution timed out after 2 seconds"
    )
    assert list(run.results) == [None if x in {5, 6} else x for x in range(20)]
    assert sorted(map(int, (tmp_path / "ran").read_text().split())) == [x for x in range(20) if x not in {5, 6}]


@pytest.mark.ray
def test_an_item_in_a_thread_without_end_is_timed_out_at_once(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path
) -> None:
    """Nobody waits for its thread, and no worker has to die for it."""
    engine = make_ray_engine(*ALL, settings=short_of_time(ray_settings))

    run = engine.run(noting("hostile.call_c_blocking", tmp_path / "ran", "lets go of it")).task("f")

    assert [(failed["index"], failed["error"]) for failed in run.failed_items] == [
        (5, "Execution timed out after 1 seconds")
    ]
    assert sorted(map(int, (tmp_path / "ran").read_text().split())) == list(range(20))


@pytest.mark.ray
@pytest.mark.parametrize("how", ["kill", "term"])
def test_of_items_that_run_at_once_only_those_under_way_run_again(
    make_ray_engine: Callable[..., Engine], tmp_path: Path, how: str
) -> None:
    """One of them kills the worker; those that had ended keep their results."""
    ran = tmp_path / "ran"
    task = json.loads(fan_out("hostile.note_async", list(range(1_000)), "x", concurrency=8))
    task["tasks"][0]["input"] |= {"path": str(ran), "how": how}

    run = make_ray_engine(*ALL).run(json.dumps(task)).task("f")

    assert [failed["index"] for failed in run.failed_items] == [700]
    again = [index for index, n in Counter(map(int, ran.read_text().split())).items() if n > 1 and index != 700]
    assert len(again) <= 8 * 4, "at most those beside it, each time that its worker died"


@pytest.mark.ray
def test_what_an_action_prints_on_a_worker_stays_there(
    make_ray_engine: Callable[..., Engine], capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it reaches the coordinator's streams, where a result may be expected."""
    run = make_ray_engine(*ALL).run("tasks: [{name: t, action: hostile.print}]")

    assert run.status.value == "completed"
    assert "NOISE" not in "".join(capfd.readouterr())


@pytest.mark.ray
def test_a_file_that_loads_only_here_fails_its_items_and_no_more(
    make_ray_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    """The error of the import is the items' error: a worker's machine may lack what this one has."""
    file = tmp_path / "only_here.py"
    file.write_text(
        f"import os\nfrom attune_ray import action\n"
        f"if os.getpid() != {os.getpid()}:\n    raise ImportError('no such library on this machine')\n"
        f"@action('here.only')\ndef only(x): return x\n"
    )

    run = make_ray_engine(file).run(fan_out("here.only", [1, 2], "x"))

    assert [failed["error"] for failed in run.task("f").failed_items] == [
        f"cannot load the actions of {file}: ImportError: no such library on this machine"
    ] * 2


@pytest.mark.ray
def test_a_function_that_cannot_be_sent_is_a_usage_error(make_ray_engine: Callable[..., Engine]) -> None:
    """It says what to name instead."""
    lock = threading.Lock()

    @action("hostile.locked")
    def locked() -> bool:
        return lock.locked()

    run = make_ray_engine(locked).run("tasks: [{name: t, action: hostile.locked}]")

    assert run.status.value == "failed"
    assert "cannot be sent to workers" in (run.task("t").error or "")
    assert "name its module or file instead" in (run.task("t").error or "")


class OnlyHere:
    """A value that can be sent, but not made again."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return __import__, ("no_such_module_there",)


@pytest.mark.ray
def test_a_function_that_cannot_be_loaded_on_a_worker_fails_its_items(make_ray_engine: Callable[..., Engine]) -> None:
    """The run ends, and tells why."""
    value = OnlyHere()

    @action("hostile.absent")
    def absent(x: int) -> bool:
        return value is x

    run = make_ray_engine(absent).run(fan_out("hostile.absent", [1], "x"))

    assert run.status.value == "failed"
    error = run.task("f").failed_items[0]["error"]
    assert error.startswith("an action function cannot be loaded on a worker: ")
    assert "no_such_module_there" in error


@pytest.mark.ray
def test_a_function_of_no_module_can_be_sent(make_ray_engine: Callable[..., Engine]) -> None:
    """One that was made from text, as notebooks and shells do."""
    names: dict[str, Any] = {"action": action, "__name__": "nowhere_to_be_found"}
    exec("@action('hostile.textual')\ndef textual(x):\n    return x + 1\n", names)  # noqa: S102

    run = make_ray_engine(names["textual"]).run(fan_out("hostile.textual", [1], "x"))

    assert list(run.task("f").results) == [2]
