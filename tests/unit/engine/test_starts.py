"""Who starts when: entry tasks, transitions, joins and data edges, in workflows without cycles."""

from engine_driver import Driver

DIAMOND = """
tasks:
  - {name: left, action: t.x, next: [{do: both}]}
  - {name: right, action: t.x, next: [{do: both}]}
  - {name: both, action: t.x, join: all}
"""


def test_tasks_that_no_transition_names_start_at_once() -> None:
    """In file order, and nobody else."""
    run = Driver("""
tasks:
  - {name: b, action: t.x, next: [{do: c}]}
  - {name: a, action: t.x}
  - {name: c, action: t.x}
""")

    assert run.starts(run.began) == ["b", "a"]


def test_all_transitions_that_fire_start_their_tasks() -> None:
    """Not only the first; those that do not fire start nothing."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: b}, {do: c}, {do: [d, e]}]}
  - {name: b, action: t.x}
  - {name: c, action: t.x}
  - {name: d, action: t.x}
  - {name: e, action: t.x}
""")

    assert run.starts(run.run_plain("a", 0, 2)) == ["b", "d", "e"]


def test_a_target_named_twice_starts_once() -> None:
    """By two transitions, or twice by one."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{do: [b, b]}, {do: b}]}, {name: b, action: t.x}]")

    assert run.starts(run.run_plain("a", 0, 1)) == ["b"]


def test_without_join_the_first_arrival_wins() -> None:
    """A second one does not start the task again, whether it runs or has ended."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: z}]}
  - {name: b, action: t.x, next: [{do: z}]}
  - {name: c, action: t.x, next: [{do: z}]}
  - {name: z, action: t.x}
""")

    assert run.starts(run.run_plain("b", 0)) == ["z"]
    assert run.starts(run.run_plain("a", 0)) == []
    run.run_plain("z")
    assert run.starts(run.run_plain("c", 0)) == []
    assert (run.status, run.n_runs("z")) == ("completed", 1)


def test_join_all_waits_for_every_inbound_task() -> None:
    """And starts with the last of them."""
    run = Driver(DIAMOND)

    assert run.starts(run.run_plain("right", 0)) == []
    assert run.starts(run.run_plain("left", 0)) == ["both"]
    run.run_plain("both")
    assert run.status == "completed"


def test_join_of_a_number_starts_with_that_many_distinct_tasks() -> None:
    """The third arrival of a join of two is late."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: [z, z]}, {do: z}]}
  - {name: b, action: t.x, next: [{do: z}]}
  - {name: c, action: t.x, next: [{do: z}]}
  - {name: z, action: t.x, join: 2}
""")

    assert run.starts(run.run_plain("a", 0, 1)) == [], "one task counts once, however often it arrives"
    assert run.starts(run.run_plain("c", 0)) == ["z"]
    assert run.starts(run.run_plain("b", 0)) == []
    run.run_plain("z")
    assert run.n_runs("z") == 1


def test_join_starts_once_when_the_last_report_comes_twice() -> None:
    """A repeated report of an ended task is no arrival."""
    run = Driver(DIAMOND)
    run.run_plain("left", 0)
    run.prepare("right")
    run.chunk_done("right")
    report = run.take_end("right", 0)

    assert run.starts(run.tell(report)) == ["both"]
    assert run.tell(report) == []
    assert run.n_runs("both") == 1


def test_a_failed_task_counts_at_a_join_that_it_points_to() -> None:
    """Its failure is handled by that."""
    run = Driver(DIAMOND)
    run.run_plain("left", 0, fails=True)
    run.run_plain("right", 0)
    run.run_plain("both")

    assert run.status == "completed"


def test_an_unmet_join_fails_the_run_and_is_named_with_its_count() -> None:
    """Each join that somebody reached; one that nobody reached is no fault."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: [y, z]}, {do: x}]}
  - {name: b, action: t.x, next: [{do: z}, {do: [x, y]}]}
  - {name: c, action: t.x, next: [{do: [y, z]}]}
  - {name: x, action: t.x, join: 2}
  - {name: y, action: t.x, join: 2}
  - {name: z, action: t.x, join: all}
""")
    run.run_plain("a", 0)
    run.run_plain("b", 0)
    run.run_plain("c")

    assert run.finished is not None
    assert run.finished.error == "Workflow failed: join never met: y (1 of 2), z (2 of 3)"
    assert run.status == "failed"


def test_data_edges_hold_an_entry_task_back_until_all_its_sources_have_ended() -> None:
    """A file without any transition runs in the order of its data."""
    run = Driver("""
tasks:
  - {name: last, action: t.x, input: {a: "{{ task.one.x }}", b: "{{ task.two.x }}"}}
  - {name: one, action: t.x}
  - {name: two, action: t.x}
""")

    assert run.starts(run.began) == ["one", "two"]
    assert run.starts(run.run_plain("two")) == []
    assert run.starts(run.run_plain("one")) == ["last"]


def test_who_waits_for_data_does_not_run_when_its_source_failed_unhandled() -> None:
    """The run fails by the source alone."""
    run = Driver("""
tasks:
  - {name: a, action: t.x}
  - {name: b, action: t.x, input: {a: "{{ task.a.x }}"}}
""")

    assert run.starts(run.run_plain("a", fails=True)) == []
    assert run.finished is not None
    assert run.finished.error == "Workflow failed: 1 task(s) failed: a"
    assert run.status_of("b") == "not_run"


def test_who_waits_for_data_runs_when_the_failure_of_its_source_is_handled() -> None:
    """What was started by the failure comes first."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: mend}]}
  - {name: mend, action: t.x}
  - {name: b, action: t.x, input: {a: "{{ task.a.succeeded }}"}}
""")

    assert run.starts(run.run_plain("a", 0, fails=True)) == ["mend", "b"]


def test_who_waits_for_data_does_not_run_when_its_source_is_skipped() -> None:
    """Nothing follows a skipped task, and it fails nothing."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, when: "false", next: [{do: c}]}
  - {name: b, action: t.x, input: {a: "{{ task.a.x }}"}}
  - {name: c, action: t.x}
""")
    run.skip("a")

    assert run.status == "completed"
    assert [run.status_of(name) for name in "abc"] == ["skipped", "not_run", "not_run"]


def test_a_delayed_task_is_prepared_when_its_delay_is_over() -> None:
    """Not before: its conditions are looked at when it starts."""
    run = Driver("tasks: [{name: a, action: t.x, delay: 30}]")

    assert run.starts(run.began) == []
    assert run.starts(run.fire("a")) == ["a"]
    run.run_plain("a")
    assert run.status == "completed"


def test_the_delay_comes_after_the_arrival() -> None:
    """It counts from the moment at which the task would have started."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x, delay: 1.5}]")
    run.run_plain("a", 0)

    assert [(order.run.task, order.delay_s) for order in run.open] == [("b", 1.5)]


def test_a_pure_cycle_completes_at_once() -> None:
    """No task is an entry, so nothing runs."""
    run = Driver("""
tasks:
  - {name: a, action: t.x, next: [{do: b}]}
  - {name: b, action: t.x, next: [{do: a}]}
""")

    assert (run.status, run.began) == ("completed", [run.finished])
