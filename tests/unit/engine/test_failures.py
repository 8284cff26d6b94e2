"""What a failed task does to its run, and what it does not."""

from engine_driver import Driver

from attune_ray.engine import EvaluateTransitions


def test_an_unhandled_failure_fails_the_run_after_everything_else_has_ended() -> None:
    """Other branches go on; the failed tasks are told in file order."""
    run = Driver("""
tasks:
  - {name: a, action: t.x}
  - {name: b, action: t.x, next: [{do: c}]}
  - {name: c, action: t.x}
""")
    run.run_plain("b", 0)
    run.run_plain("c", fails=True)
    run.run_plain("a", fails=True)

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: 2 task(s) failed: a, c"
    assert [run.status_of(name) for name in "abc"] == ["failed", "completed", "failed"]


def test_a_failure_whose_end_starts_a_task_is_handled() -> None:
    """The task itself stays failed."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x}]")
    run.run_plain("a", 0, fails=True)
    run.run_plain("b")

    assert (run.status, run.status_of("a")) == ("completed", "failed")


def test_a_transition_that_only_publishes_handles_nothing() -> None:
    """It fires, but starts no task."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{publish: [{x: 1}]}]}]")
    run.run_plain("a", 0, fails=True)

    assert run.status == "failed"


def test_a_failure_that_arrives_late_is_not_handled() -> None:
    """What it points to was started by another one."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: z}]}
  - {name: b, action: t.x, next: [{do: z}]}
  - {name: z, action: t.x}
""")
    run.run_plain("a", 0)
    run.run_plain("z")
    run.run_plain("b", 0, fails=True)

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: 1 task(s) failed: b"


def test_a_task_that_fails_and_succeeds_in_a_later_turn_fails_nothing() -> None:
    """Its latest run counts."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [head, a]}]}
  - {name: a, action: t.x}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    run.run_plain("a", fails=True)
    run.run_plain("head", 0)
    run.run_plain("a")
    run.run_plain("head")

    assert run.status == "completed"


def test_a_failure_that_is_handled_in_a_later_turn_does_not_remain() -> None:
    """The latest run of a task decides whether its failure is handled."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: head}]}
  - {name: head, action: t.x, next: [{do: [head, a]}]}
  - {name: a, action: t.x, next: [{do: mend}]}
  - {name: mend, action: t.x}
""")
    run.run_plain("begin", 0)
    run.run_plain("head", 0)
    run.run_plain("a", fails=True)
    run.run_plain("head", 0)
    run.run_plain("a", 0, fails=True)
    run.run_plain("mend")
    run.run_plain("head")

    assert run.status == "completed"


def test_a_task_that_tries_itself_again_is_handled_while_it_goes_on() -> None:
    """Its last failure, which leads nowhere, is not."""
    run = Driver("""
tasks:
  - {name: begin, action: t.x, next: [{do: a}]}
  - {name: a, action: t.x, next: [{do: a}]}
""")
    run.run_plain("begin", 0)
    run.run_plain("a", 0, fails=True)
    assert run.state.unhandled == set()
    run.run_plain("a", fails=True)

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: 1 task(s) failed: a"


def test_a_task_that_cannot_be_prepared_fails_and_its_transitions_apply() -> None:
    """The error goes to the shell, which stores it as the task's result."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x}]")

    assert run.refuse("a", "unknown action 't.x'") == [
        EvaluateTransitions(run.run_of("a"), "failed", "unknown action 't.x'")
    ]
    run.end("a", 0)
    run.run_plain("b")
    assert (run.status, run.status_of("a")) == ("completed", "failed")


def test_nothing_follows_a_skipped_task() -> None:
    """And the run is not failed by it."""
    run = Driver("tasks: [{name: a, action: t.x, when: 'false', next: [{do: b}]}, {name: b, action: t.x}]")

    assert run.skip("a") == [run.finished]
    assert (run.status, run.status_of("a"), run.status_of("b")) == ("completed", "skipped", "not_run")


def test_a_question_that_times_out_fails_the_run_unless_it_is_handled() -> None:
    """Its task ends as timeout."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.prepare("a")
    report = run.done(run.take_chunk("a"), failed=1)
    commands = run.tell(type(report)(report.run, report.chunk, n_succeeded=0, n_failed=1, timed_out=True))

    assert commands == [EvaluateTransitions(run.run_of("a"), "timed_out", None)]
    run.end("a")
    assert (run.status, run.status_of("a")) == ("failed", "timeout")


def test_failures_and_unmet_joins_are_told_together() -> None:
    """Every reason that there is."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: both}]}
  - {name: b, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all}
""")
    run.run_plain("a", 0)
    run.run_plain("b", fails=True)

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: 1 task(s) failed: b; join never met: both (1 of 2)"
