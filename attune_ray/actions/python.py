"""Python actions: the decorator, and binding an input to a function's parameters."""

import enum
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from attune_ray.actions.execution import CURRENT, Execution
from attune_ray.errors import PermanentError, UsageError

__all__ = ["Action", "Kind", "Nature", "action", "from_function"]

_MARK = "__attune_action__"
_Function = TypeVar("_Function", bound=Callable[..., Any])
Nature = Literal["work", "wait", "run"]
"""What an action does while it runs: ``work``, which ends by itself and is worth its end; ``wait``, for time to pass or
for a person; ``run``: a run of its own, which is told of every pause and cancellation itself."""


class Kind(enum.Enum):
    """How a function wants to be called."""

    SYNC = "sync"
    BLOCKING = "blocking"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class _Mark:
    ref: str
    blocking: bool
    inline: bool
    batch: Literal["arrow"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something a task can run.

    Attributes:
        ref: ``pack.name``.
        inline: it runs in the coordinator's own process and loop: for actions that take well below a millisecond
            or only wait.
        names: parameters it takes by name; None: any (``**kwargs``).
        required: those without a default.
        parameters: their JSON Schema object, where it is known.
        origin: the file that defines it, where that is not the function's own.
        width: items at once per slot at the most; None: as many as its kind may.
        batch: how it takes an item of several rows: as a list (None), or as an Arrow record batch.
        takes_native: it is a Python function, which takes tables and arrays as they are; others take JSON.
        nature: what a cancellation that lets running work finish finds it doing.
        execution: the parameter that takes the ``Execution``; None: it does not ask for it.
    """

    ref: str
    function: Callable[..., Any]
    kind: Kind
    inline: bool
    names: frozenset[str] | None
    required: frozenset[str]
    signature: str
    parameters: Mapping[str, Any] | None = None
    origin: str = ""
    width: int | None = None
    batch: Literal["arrow"] | None = None
    takes_native: bool = False
    nature: Nature = "work"
    execution: str | None = None

    def informed(self) -> "Action":
        """Itself, or one whose function gets the current ``Execution``, where it asks for it."""
        name, function = self.execution, self.function
        if name is None:
            return self

        def call(**values: Any) -> Any:
            return function(**values, **{name: CURRENT.get()})

        return replace(self, function=call)

    def select(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the run's parameters that the function takes: the input of a task that names none."""
        if self.names is None:
            return dict(parameters)
        return {name: value for name, value in parameters.items() if name in self.names}

    def check(self, given: Collection[str]) -> None:
        """Raise PermanentError, naming the function's parameters, unless an input of these names can be bound."""
        unknown = [] if self.names is None else sorted(set(given) - self.names)
        missing = sorted(self.required - set(given))
        if not unknown and not missing:
            return
        faults = [f"it does not take {', '.join(map(repr, unknown))}"] if unknown else []
        faults += [f"it needs {', '.join(map(repr, missing))}"] if missing else []
        raise PermanentError(f"{self.ref}: {' and '.join(faults)}; its parameters are {self.signature}")


def action(
    ref: str, *, blocking: bool = False, inline: bool = False, batch: Literal["arrow"] | None = None
) -> Callable[[_Function], _Function]:
    """Make a function an action of workflows; the function itself stays as it is.

    Args:
        ref: ``pack.name``, as tasks name it.
        blocking: it waits for something (a socket, a process) and may run in threads, many at once per worker.
        inline: it takes well below a millisecond, or only awaits, and runs in the coordinator instead of a worker.
        batch: ``"arrow"``: what ``{{ item }}`` gives it is a ``pyarrow.RecordBatch`` of ``batch_size`` rows.

    >>> @action("text.shout")
    ... def shout(text: str) -> str:
    ...     return text.upper()
    >>> shout("hello")
    'HELLO'
    """
    pack, dot, name = ref.rpartition(".")
    if not (pack and dot and name):
        raise UsageError(f"action {ref!r}: a reference is 'pack.name'")

    if batch not in {None, "arrow"}:
        raise UsageError(f"action {ref!r}: batch is 'arrow', or left out; it is {batch!r}")

    def mark(function: _Function) -> _Function:
        if blocking and inspect.iscoroutinefunction(function):
            raise UsageError(f"action {ref!r}: an async function is never blocking")
        if inline and not inspect.iscoroutinefunction(function) and blocking:
            raise UsageError(f"action {ref!r}: a blocking function would stop the coordinator, so it cannot be inline")
        setattr(function, _MARK, _Mark(ref, blocking, inline, batch))
        return function

    return mark


def from_function(function: Callable[..., Any], *, ref: str | None = None, inline: bool = False) -> Action | None:
    """The action that a decorated function is (or, with ``ref``, that any function becomes); None for others."""
    mark = getattr(function, _MARK, None) if ref is None else _Mark(ref, blocking=False, inline=inline)
    if not isinstance(mark, _Mark):
        return None
    signature = inspect.signature(function)
    taken = [p for p in signature.parameters.values() if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    asking = next((p.name for p in taken if _is_execution(p.annotation, function)), None)
    named = [p for p in taken if p.name != asking]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    return Action(
        ref=mark.ref,
        function=function,
        kind=_kind(function, mark),
        inline=mark.inline,
        names=None if takes_any else frozenset(p.name for p in named),
        required=frozenset(p.name for p in named if p.default is p.empty),
        signature=_readable(named, takes_any=takes_any),
        batch=mark.batch,
        takes_native=ref is None,
        execution=asking,
    )


def _is_execution(annotation: Any, function: Callable[..., Any]) -> bool:
    """Whether a parameter is annotated as ``attune_ray.Execution``, also where annotations are texts."""
    if isinstance(annotation, str):
        name, _, attribute = annotation.partition(".")
        found = getattr(function, "__globals__", {}).get(name)
        annotation = getattr(found, attribute, None) if attribute else found
    return annotation is Execution


def _kind(function: Callable[..., Any], mark: _Mark) -> Kind:
    if inspect.iscoroutinefunction(function):
        return Kind.ASYNC
    return Kind.BLOCKING if mark.blocking else Kind.SYNC


def _readable(named: list[inspect.Parameter], *, takes_any: bool) -> str:
    names = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in named]
    return f"({', '.join([*names, '**any'] if takes_any else names)})"
