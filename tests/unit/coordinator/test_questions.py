"""``core.ask``: runs that wait for an answer."""

import asyncio

import pytest

from attune_ray import Engine
from attune_ray.errors import InvalidParametersError, UsageError
from attune_ray.testing import simulate

ASK = """
tasks:
  - name: gate
    action: core.ask
    input: {prompt: "Deploy {{ parameters.what }}?", response_schema: {approved: {type: boolean, required: true}}}
    next:
      - {when: "{{ result().response.approved }}", do: [deploy]}
  - {name: deploy, action: core.echo, input: {message: deployed}}
"""


class Asked:
    """An observer that waits for a question."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def started(self, view: object) -> None:
        """Nothing."""

    def saw(self, run_id: str, event: object) -> None:
        """Nothing."""

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:  # noqa: ARG002  as the port has it
        """Tell."""
        self.event.set()

    def ended(self, run_id: str, status: str) -> None:
        """Nothing."""


async def test_a_run_goes_on_when_its_question_is_answered() -> None:
    """The answer is checked against the schema; a wrong one leaves the question open."""
    asked = Asked()
    engine = Engine(observers=[asked])
    run = asyncio.create_task(engine.arun(ASK, {"what": "site"}, run_id="r1"))
    await asked.event.wait()

    question = engine.questions[0]
    assert (question.run_id, question.task, question.prompt) == ("r1", "gate", "Deploy site?")
    with pytest.raises(InvalidParametersError, match="approved"):
        engine.answer("r1", "gate", {"approved": "perhaps"})
    with pytest.raises(UsageError, match="open questions: r1 gate"):
        engine.answer("r2", "gate", {"approved": True})
    engine.answer("r1", "gate", {"approved": True})
    result = await run

    assert result.task("deploy").status.value == "completed"
    assert engine.questions == []


async def test_cancelling_the_running_withdraws_the_question() -> None:
    """Nobody can answer a run that is gone."""
    asked = Asked()
    engine = Engine(observers=[asked])
    run = asyncio.create_task(engine.arun(ASK, {"what": "site"}, run_id="r1"))
    await asked.event.wait()
    engine.cancel(running=True)

    assert (await run).status.value == "cancelled"
    assert engine.questions == []


def test_an_unanswered_question_ends_as_timed_out() -> None:
    """``timed_out()`` holds and ``failed()`` does not; there is no timeout unless the task names one."""
    text = ASK.replace("    input:", "    timeout: 3600\n    input:").replace(
        "    next:\n",
        "    next:\n      - {when: '{{ timed_out() }}', do: [late]}\n      - {when: '{{ failed() }}', do: [bad]}\n",
    )
    text += "  - {name: late, action: core.noop}\n  - {name: bad, action: core.noop}\n"
    run = simulate(text, parameters={"what": "x"}, actions={"core.ask": {"no_answer": True}})

    assert run.executions[0].ended_s == 3600.0
    assert run.run.task("gate").status.value == "timeout"
    assert run.run.task("late").status.value == "completed"
    assert run.run.task("bad").status.value == "not_run"
