"""What follows a task: ``next``, and the older fields that say the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from attune_ray.model.fields import Field, Fields, is_variable_name
from attune_ray.model.outline import Moment, Outline, Owner, Target
from attune_ray.model.references import Kind
from attune_ray.model.source import Map, Scalar, Sequence
from attune_ray.model.workflow import Transition

__all__ = ["TransitionReader"]

_SUCCEEDED = "{{ succeeded() }}"
_OUTCOMES = {
    "on_success": _SUCCEEDED,
    "on_failure": "{{ failed() }}",
    "on_complete": None,
    "on_timeout": "{{ timed_out() }}",
}
_Publish = tuple[Mapping[str, Any] | str, ...]


@dataclass(frozen=True, slots=True)
class TransitionReader:
    """Reads what follows one task; ``group`` is the path of the list of tasks that it may name."""

    outline: Outline
    owner: Owner
    group: str

    def read(self, fields: Fields) -> tuple[Transition, ...]:
        """The transitions of a task: those of ``next``, else those that the older fields stand for."""
        field = fields.take("next")
        transitions = self._next(field) if field is not None else ()
        has_next = field is not None and not (isinstance(field.node, Sequence) and not field.node.items)
        legacy = {name: fields.take(name) for name in (*_OUTCOMES, "decision", "publish")}
        if not has_next:
            return self._legacy(legacy)
        for name, ignored in legacy.items():
            if ignored is not None:
                ignored.warning(f"`{name}` has no effect beside `next`", hint="say it in `next`")
        return transitions

    def _next(self, field: Field) -> tuple[Transition, ...]:
        if not isinstance(field.node, Sequence):
            field.error("`next` is a list of transitions", hint="write `next: [{when: …, do: [task]}]`")
            return ()
        read = [self._transition(item) for item in field.items()]
        return tuple(transition for transition in read if transition is not None)

    def _transition(self, field: Field) -> Transition | None:
        fields = field.fields("a transition", hint="write `{when: …, publish: […], do: [task]}`")
        if fields is None:
            return None
        when, publish, do = self._when(fields), fields.take("publish"), fields.take("do")
        fields.close()
        return Transition(
            when=when,
            publish=self._publish(publish) if publish is not None else (),
            do=self._do(do) if do is not None else (),
            location=field.location,
        )

    def _when(self, fields: Fields) -> str | None:
        field = fields.take("when")
        text = field and field.text(empty=False)
        if field is None or text is None:
            return None
        self.outline.template(field, Kind.CONDITION, Moment.END, self.owner)
        return text

    def _do(self, field: Field) -> tuple[str, ...]:
        names = field.texts()
        places = field.items() if isinstance(field.node, Sequence) else (field,)
        for place in places:
            if isinstance(place.node, Scalar) and place.node.text.strip():
                self.outline.targets.append(Target(place.node.text, place, self.group))
        return names

    def _publish(self, field: Field) -> _Publish:
        if isinstance(field.node, Map):
            entry = self._published_map(field)
            return (entry,) if entry else ()
        if not isinstance(field.node, Sequence):
            field.error("`publish` is a list of `name: value` and of bare names", hint="write `publish: [{name: …}]`")
            return ()
        entries: list[Mapping[str, Any] | str] = []
        for item in field.items():
            if isinstance(item.node, Map):
                entries.append(self._published_map(item))
            elif isinstance(item.node, Scalar) and isinstance(item.node.value, str):
                self._name(item, item.node.text)
                entries.append(item.node.text)
            else:
                item.error("must be `name: value`, or a bare name that takes result()")
        return tuple(entries)

    def _published_map(self, field: Field) -> dict[str, Any]:
        for key, value in field.entries():
            self._name(value, key.text)
            self.outline.template(value, Kind.VALUE, Moment.END, self.owner)
        return field.mapping()

    def _name(self, field: Field, name: str) -> None:
        self.outline.published.add(name)
        if not is_variable_name(name):
            field.error(f"`{name}` is no name of a variable", hint="use letters, digits, _ and -")

    def _legacy(self, legacy: Mapping[str, Field | None]) -> tuple[Transition, ...]:
        transitions: list[Transition] = []
        for name, when in _OUTCOMES.items():
            field = legacy[name]
            do = self._do(field) if field is not None else ()
            if field is not None and do:
                transitions.append(Transition(when=when, do=do, location=field.location))
        if decision := legacy["decision"]:
            read = [self._branch(item) for item in decision.items()]
            transitions += [branch for branch in read if branch is not None]
        publish = legacy["publish"]
        if publish is not None and (published := self._publish(publish)):
            return _with_publish(transitions, Transition(when=_SUCCEEDED, publish=published, location=publish.location))
        return tuple(transitions)

    def _branch(self, field: Field) -> Transition | None:
        """``{when, next}``, ``{default: true, next}`` or ``{default: task}``."""
        fields = field.fields("a decision branch", hint="write `{when: …, next: task}` or `{default: task}`")
        if fields is None:
            return None
        when, default, target = self._when(fields), fields.take("default"), fields.take("next")
        fields.close()
        is_default = default is not None and default.json() is not False
        if target is None and default is not None and not isinstance(default.json(), bool):
            target = default
        elif default is not None and not isinstance(default.json(), bool):
            default.error("must be true or false beside `next`", hint="write `{default: task}`")
        if target is None:
            field.error("the branch names no task", hint="write `{when: …, next: task}` or `{default: task}`")
            return None
        do = self._do(target)
        return Transition(when=when, do=do, default=is_default, decision=True, location=field.location)


def _with_publish(transitions: list[Transition], published: Transition) -> tuple[Transition, ...]:
    """The transitions with a task-level ``publish`` on the first for success, else the first, else a new one."""
    if not transitions:
        return (published,)
    of_success = (i for i, transition in enumerate(transitions) if "succeeded()" in (transition.when or ""))
    chosen = next(of_success, 0)
    transitions[chosen] = replace(transitions[chosen], publish=published.publish)
    return tuple(transitions)
