"""Any beginning of what is kept of a run, told again, and the rest of the run give what the undisturbed run gives."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from random_workflows import CHILD, come_to, require_valid, workflows

from attune_ray.coordinator import RunResult, Runs
from attune_ray.coordinator.replay import replay
from attune_ray.dispatch.keeping import Recollection
from attune_ray.plan import build
from attune_ray.store import MemoryJournal, MemoryResults
from attune_ray.testing import ScriptedExecutor, VirtualLoop, load_workflow
from attune_ray.testing.stage import Stage
from attune_ray.values.keeping import Keeping


def runs_on(journal: MemoryJournal, results: MemoryResults, scripts: dict[str, Any]) -> Runs:
    """A simulation that keeps what it runs."""
    stage = Stage(ScriptedExecutor(scripts), {"w.child": replace(load_workflow(CHILD), ref="w.child")})
    found = stage.runs(config=None, keystore=None, observers=())
    keeping = Keeping(results=results, inline_bytes=1_000_000)
    found.world = replace(found.world, journal=journal, keeping=keeping, recall=Recollection(results))
    return found


def in_virtual_time(work: Coroutine[Any, Any, RunResult]) -> RunResult:
    """Await it in a loop of its own, whose time begins anew: as after a clock that was set back."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


@settings(max_examples=120, deadline=None)
@given(workflow=workflows(), data=st.data())
def test_any_prefix_of_the_journal_leads_to_the_same_end(
    workflow: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    """Wherever it is cut, between the facts of one moment too; and cut again while it goes on."""
    text, scripts = workflow
    require_valid(text)
    plan, results, first = build(load_workflow(text)), MemoryResults(), MemoryJournal()
    undisturbed = in_virtual_time(runs_on(first, results, scripts).run(plan, {}, run_id="one"))
    whole = asyncio.run(first.read("one"))

    for _ in range(2):
        cut = whole.facts[: data.draw(st.integers(0, len(whole.facts)))]
        journal = MemoryJournal()
        asyncio.run(journal.write([whole.begun, *cut]))
        history = asyncio.run(journal.claim("one"))
        again = in_virtual_time(runs_on(journal, results, scripts).recover(plan, history))
        assert come_to(again) == come_to(undisturbed)
        whole = asyncio.run(journal.read("one"))
        assert whole.ended is not None

    async def recalled() -> RunResult:
        shell = runs_on(journal, results, scripts).recalled(plan, whole.begun)
        replay(shell, [fact for fact in whole.facts if fact.run_id == "one"])
        return shell.result

    assert come_to(in_virtual_time(recalled())) == come_to(undisturbed)
