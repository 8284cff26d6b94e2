"""Rounds: a task runs again when an arrival comes round a cycle, and only then."""

from engine_driver import Driver

TWO_LOOPS_MEET = """
tasks:
  - {name: begin, action: t.x, next: [{do: [p, q]}]}
  - {name: p, action: t.x, next: [{do: p}, {do: meet}]}
  - {name: q, action: t.x, next: [{do: q}, {do: meet}]}
  - {name: meet, action: t.x, join: all}
"""
SIDE_TASK = """
tasks:
  - {name: begin, action: t.x, next: [{do: fetch}]}
  - {name: fetch, action: t.x, next: [{do: [fetch, work]}, {do: work}]}
  - {name: work, action: t.x, next: [{do: store}]}
  - {name: store, action: t.x}
"""


def test_a_task_that_names_itself_runs_until_it_does_not() -> None:
    """Each run is a task run of its own, numbered from 1."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: a}]}
  - {name: a, action: t.x, next: [{do: a}]}
""")
    run.run_plain("begin", 0)

    assert run.starts(run.run_plain("a", 0)) == ["a#2"]
    assert run.starts(run.run_plain("a", 0)) == ["a#3"]
    run.run_plain("a")
    assert (run.status, run.n_runs("a")) == ("completed", 3)


def test_of_two_branches_of_a_loop_the_first_one_turns_it() -> None:
    """The slower branch comes to a head that has turned already, in this round and in all later ones."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [fast, slow]}]}
  - {name: fast, action: t.x, next: [{do: head}]}
  - {name: slow, action: t.x, next: [{do: head}]}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    assert run.starts(run.run_plain("fast", 0)) == ["head#2"]
    assert run.starts(run.run_plain("head", 0)) == ["fast#2", "slow#2"]
    assert run.starts(run.run_plain("fast", 0)) == ["head#3"]

    assert run.starts(run.run_plain("slow", 0)) == [], "of the first round"
    assert run.starts(run.run_plain("slow", 0)) == [], "of the second round"


def test_the_slower_branch_turns_the_loop_where_the_faster_one_does_not() -> None:
    """An overtaken branch is late; one whose round nobody has turned is not."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [fast, slow]}]}
  - {name: fast, action: t.x, next: [{do: head}]}
  - {name: slow, action: t.x, next: [{do: head}]}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    run.run_plain("fast", 0)
    run.run_plain("head", 0)
    run.run_plain("fast")

    assert run.starts(run.run_plain("slow", 0)) == [], "of the first round: fast has turned it"
    assert run.starts(run.run_plain("slow", 0)) == ["head#3"]


def test_a_join_in_the_body_of_a_loop_fires_once_a_round() -> None:
    """Arrivals of one round never count in the next."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: both}]}
  - {name: b, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all, next: [{do: head}]}
""")
    run.run_plain("begin", 0)
    for turn in (1, 2, 3):
        run.run_plain("head", 0)
        assert run.starts(run.run_plain("a", 0)) == []
        assert len(run.starts(run.run_plain("b", 0))) == 1
        run.run_plain("both", *[0] * (turn < 3))

    assert (run.status, run.n_runs("both"), run.n_runs("a")) == ("completed", 3, 3)


def test_a_join_in_a_loop_that_misses_a_branch_in_a_later_round_fails_the_run() -> None:
    """It was met in the first round; the second one stands still."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: both}]}
  - {name: b, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all, next: [{do: head}]}
""")
    run.run_plain("begin", 0)
    for fired in ((0,), ()):
        run.run_plain("head", 0)
        run.run_plain("a", 0)
        run.run_plain("b", *fired)
        if fired:
            run.run_plain("both", 0)

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: join never met: both (1 of 2)"


def test_nested_loops_turn_independently() -> None:
    """The inner one begins anew in every turn of the outer one, whether it turned there or not."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: outer}]}
  - {name: outer, action: t.x, next: [{do: inner}]}
  - {name: inner, action: t.x, next: [{do: inner}, {do: outer}]}
""")
    run.run_plain("begin", 0)
    for n_inner in (3, 1, 2):
        run.run_plain("outer", 0)
        for _ in range(n_inner - 1):
            assert len(run.starts(run.run_plain("inner", 0))) == 1
        assert len(run.starts(run.run_plain("inner", 1))) == 1
    run.run_plain("outer")

    assert (run.status, run.n_runs("outer"), run.n_runs("inner")) == ("completed", 4, 6)


def test_two_loops_that_turn_differently_often_meet_at_a_join() -> None:
    """Two things are polled until they are done; what follows waits for both."""
    run = Driver(TWO_LOOPS_MEET)
    run.run_plain("begin", 0)
    run.run_plain("p", 0)
    run.run_plain("p", 0)
    run.run_plain("p", 1)

    assert run.starts(run.run_plain("q", 1)) == ["meet"]
    run.run_plain("meet")
    assert run.status == "completed"


def test_two_loops_within_a_loop_meet_at_its_join_in_every_turn() -> None:
    """However often each has turned in this turn or in one before."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [p, q]}]}
  - {name: p, action: t.x, next: [{do: p}, {do: meet}]}
  - {name: q, action: t.x, next: [{do: q}, {do: meet}]}
  - {name: meet, action: t.x, join: all, next: [{do: head}]}
""")
    run.run_plain("begin", 0)
    for n_p, n_q in ((3, 1), (1, 4), (2, 2)):
        run.run_plain("head", 0)
        for name, turns in (("p", n_p), ("q", n_q)):
            for _ in range(turns - 1):
                run.run_plain(name, 0)
            run.run_plain(name, 1)
        run.run_plain("meet", *[0] * (n_p != 2))

    assert (run.status, run.n_runs("meet"), run.n_runs("head")) == ("completed", 3, 3)


def test_a_branch_that_is_tried_again_does_not_turn_its_loop_twice() -> None:
    """It comes to the head from the same run of the head as the other branch."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: head}]}
  - {name: b, action: t.x, next: [{do: b}, {do: head}]}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    run.run_plain("a", 0)
    run.run_plain("b", 0)
    run.run_plain("b", 0)

    assert run.starts(run.run_plain("b", 1)) == []
    assert run.n_runs("head") == 2


def test_a_task_that_a_loop_and_another_task_lead_to_runs_for_the_first_of_them() -> None:
    """However often the loop has turned until it gets there."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: poll}]}
  - {name: poll, action: t.x, next: [{do: poll}, {do: last}]}
  - {name: other, action: t.x, next: [{do: last}]}
  - {name: last, action: t.x}
""")
    run.run_plain("begin", 0)
    assert run.starts(run.run_plain("other", 0)) == ["last"]
    run.run_plain("poll", 0)

    assert run.starts(run.run_plain("poll", 1)) == []


def test_what_hangs_on_a_loop_runs_once_a_turn() -> None:
    """And what hangs on that, too."""
    run = Driver(SIDE_TASK)
    run.run_plain("begin", 0)
    for fired in (0, 0, 1):
        run.run_plain("fetch", fired)
        run.run_plain("work", 0)
        run.run_plain("store")

    assert (run.status, run.n_runs("work"), run.n_runs("store")) == ("completed", 3, 3)


def test_what_hangs_on_a_loop_loses_no_turn_when_a_later_one_overtakes() -> None:
    """The first page takes longer than the second: both are stored."""
    run = Driver(SIDE_TASK)
    run.run_plain("begin", 0)
    run.run_plain("fetch", 0)
    run.run_plain("fetch", 1)
    for _ in range(2):
        run.prepare("work")
    slow, fast = run.take_chunk("work"), run.take_chunk("work")
    run.tell(run.done(fast))
    assert run.starts(run.end("work", 0)) == ["store"]
    run.tell(run.done(slow))

    assert run.starts(run.end("work", 0)) == ["store#2"]


def test_a_join_behind_a_loop_pairs_what_belongs_to_the_same_turn() -> None:
    """Also where a later turn is complete before an earlier one."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [head, a, b]}, {do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: both}]}
  - {name: b, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    run.run_plain("head", 1)
    run.run_plain("a", 0)
    run.run_plain("a", 0)
    for _ in range(2):
        run.prepare("b")
    first, second = run.take_chunk("b"), run.take_chunk("b")
    run.tell(run.done(second))
    assert run.starts(run.end("b", 0)) == ["both"]
    run.tell(run.done(first))

    assert run.starts(run.end("b", 0)) == ["both#2"]


def test_a_join_behind_a_loop_that_is_met_in_a_later_turn_is_not_unmet() -> None:
    """One that is not met in the last turn is."""
    yaml = """
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [head, a]}, {do: [head, a, b]}, {do: a}, {do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: both}]}
  - {name: b, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all}
"""
    for places, status in (((0, 3), "completed"), ((1, 2), "failed")):
        run = Driver(yaml)
        run.run_plain("begin", 0)
        for place in places:
            run.run_plain("head", place)
            run.run_plain("a", 0)
            if place in {1, 3}:
                run.run_plain("b", 0)
                run.run_plain("both")

        assert (run.status, run.n_runs("both")) == (status, 1)


def test_branches_that_take_turns_both_lead_on() -> None:
    """In each turn of the loop another one reaches what hangs on it."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: odd}, {do: even}]}
  - {name: odd, action: t.x, next: [{do: [head, log]}]}
  - {name: even, action: t.x, next: [{do: [head, log]}]}
  - {name: log, action: t.x}
""")
    run.run_plain("begin", 0)
    for place, name in ((0, "odd"), (1, "even"), (1, "even"), (0, "odd")):
        run.run_plain("head", place)
        run.run_plain(name, 0)
        run.run_plain("log")

    assert run.n_runs("log") == 4


def test_a_join_of_a_loop_and_of_a_task_that_runs_once_fires_in_every_turn() -> None:
    """The single arrival lasts, whether it comes first, between or last."""
    yaml = """
tasks:
  - {name: begin, action: t.x, next: [{do: loop}]}
  - {name: loop, action: t.x, next: [{do: [loop, both]}, {do: both}]}
  - {name: once, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all}
"""
    for position in range(4):
        run = Driver(yaml)
        run.run_plain("begin", 0)
        for turn, fired in enumerate((0, 0, 1)):
            if turn == position:
                run.run_plain("once", 0)
            run.run_plain("loop", fired)
        if position == 3:
            assert run.starts(run.run_plain("once", 0)) == ["both", "both#2", "both#3"]
        for _ in range(3):
            run.run_plain("both")

        assert (run.status, run.n_runs("both")) == ("completed", 3), f"once came in turn {position}"


def test_a_loop_behind_a_loop_turns_for_every_arrival() -> None:
    """The second entry neither cuts the first one's turns short nor is it taken for one of them."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: fetch}]}
  - {name: fetch, action: t.x, next: [{do: [fetch, push]}, {do: push}]}
  - {name: push, action: t.x, next: [{do: push}]}
""")
    run.run_plain("begin", 0)
    run.run_plain("fetch", 0)
    run.run_plain("push", 0)
    run.run_plain("push", 0)
    run.prepare("push")

    assert run.starts(run.run_plain("fetch", 1)) == ["push#4"]
    assert run.starts([*run.chunk_done("push"), *run.end("push", 0)]) == ["push#5"], "the third turn of the first entry"
    assert run.starts(run.run_plain("push", 0)) == ["push#6"], "the second turn of the second entry"


def test_a_run_stops_at_its_limit_of_task_runs() -> None:
    """It starts nothing more, lets end what runs, and fails with the reason."""
    run = Driver(
        """
tasks:
  - {name: begin, action: t.x, next: [{do: [a, b]}]}
  - {name: a, action: t.x, next: [{do: a}]}
  - {name: b, action: t.x}
""",
        max_task_runs=4,
    )
    run.run_plain("begin", 0)
    run.run_plain("a", 0)
    assert run.starts(run.run_plain("a", 0)) == []
    assert not run.is_over
    run.run_plain("b")

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: more than 4 task runs"
    assert (run.status, run.n_runs("a")) == ("failed", 2)
