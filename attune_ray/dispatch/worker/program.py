"""What a worker is told of a task, and the same compiled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attune_ray.actions.python import Action
from attune_ray.dispatch.worker.binding import Bound, bind
from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.dispatch.worker.items import EncodedItems, Items, as_items
from attune_ray.dispatch.worker.known import Reuse
from attune_ray.dispatch.worker.native import Columns
from attune_ray.dispatch.worker.result_items import ResultItems
from attune_ray.dispatch.worker.results import ResultList
from attune_ray.dispatch.worker.source_lines import Unreadable
from attune_ray.dispatch.worker.sources import FileItems, open_source
from attune_ray.dispatch.worker.table_items import ItemBatches, TableItems
from attune_ray.errors import AttuneError, PermanentError
from attune_ray.expression import (
    ItemContext,
    References,
    Template,
    WorkflowContext,
    compile_condition,
    compile_items,
    compile_text,
    compile_value,
)
from attune_ray.values.item_source import ItemSource
from attune_ray.values.secrets import NO_SECRETS, Secrets, secret_defaults, secret_parts

__all__ = ["OpenContext", "Program", "Work", "encode_items", "open_work"]

OpenContext = Callable[[References], WorkflowContext]
"""Opens the context of a task run, decoding no more than the references need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One task run, as it travels to a worker.

    Attributes:
        input: name → JSON with templates; rendered per item.
        given: the run's own parameters, which are the input where the task names none; else None.
        with_items: a template, a literal list (a tuple), files, or None for a plain task.
        on_error: a condition that a failed attempt must meet to be tried again; None: any.
        retries: extra attempts of an item.
        timeout_s: seconds for one attempt; None: no limit.
        grace_s: seconds that an overrun attempt has to end before its worker is killed.
        stops_on_error: the first item that fails for good ends its chunk.
        permission_set_refs: as the task names them, for the action.
        cache_ttl_s: seconds for which the result of an earlier call may stand for one; None: never.
        cache_key: a template of what identifies a call besides its action; None: its input does.
        now: what ``now()`` gives.
        seed: what ``uuid()`` and the idempotency keys are derived from: run, task and its number.
        secrets: of what it may read; error texts are masked by them.
        allowed_hosts: link-local ones that HTTP requests may reach.
    """

    task: str
    action: str
    input: Mapping[str, Any] = field(repr=False)
    given: Mapping[str, Any] | None = field(repr=False)
    with_items: str | tuple[Any, ...] | ItemSource | None = field(repr=False)
    batch_size: int | None
    on_error: str | None
    retries: int
    timeout_s: float | None
    grace_s: float
    stops_on_error: bool
    now: str
    seed: str
    secrets: Secrets = NO_SECRETS
    permission_set_refs: tuple[str, ...] = ()
    cache_ttl_s: float | None = None
    cache_key: str | None = None
    allowed_hosts: tuple[str, ...] = ()

    @property
    def is_fan_out(self) -> bool:
        """Whether it runs once per item."""
        return self.with_items is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A task run opened in this process: all that its chunks share.

    Attributes:
        input_of: gives the rendered input of an item; raises EvaluationError where a template has no value, and
            ActionError where its item cannot be read.
        reuse: where results of earlier calls are found; None: every call is made.
        key: what identifies a call besides its action; None: its input does.
        takes_secrets: the action's schema marks parameters as secret.
    """

    program: Program
    action: Action
    input_of: Callable[[ItemContext], dict[str, Any]]
    on_error: Template | None
    context: WorkflowContext
    items: Items | None
    reuse: Reuse | None = None
    key: Template | None = None
    takes_secrets: bool = False

    def scopes(self, indexes: Sequence[int]) -> Iterator[tuple[int | None, ItemContext]]:
        """Index and context of each item; a plain task has one, without an index."""
        if self.items is None:
            yield None, self.context.for_task()
            return
        for index, item in zip(indexes, self.items.take(indexes), strict=True):
            yield index, self.context.for_item(item, index)

    def secrets_of(self, scope: ItemContext) -> Secrets:
        """What the action takes as secrets, for an item that has run: evaluated anew, which gives the same.

        The program's own secrets are not among them.
        """
        if not self.takes_secrets:
            return NO_SECRETS
        schema = self.action.parameters
        defaults = secret_defaults(schema)
        try:
            values = self.input_of(scope)
        except AttuneError:  # that is what has failed
            values = {}
        return Secrets.of([*defaults, *secret_parts(schema, values)])


def open_work(
    program: Program,
    action: Action,
    items: Items | None,
    open_context: OpenContext,
    *,
    copies_input: bool = False,
    reuse: Reuse | None = None,
) -> Work:
    """Compile a program's templates and open the context that they read.

    Raises:
        ExpressionError: a template cannot be compiled.
        PermanentError: the action does not take an input of these names.
    """
    whole = compile_value(dict(program.input), path="input")
    on_error = compile_condition(program.on_error, path="retry.on_error") if program.on_error is not None else None
    key = compile_text(program.cache_key, path="cache.key") if program.cache_key is not None else None
    names = program.input if program.given is None else action.select(program.given)
    action.check(names.keys())
    references = whole.references
    for template in (on_error, key):
        references |= template.references if template is not None else References()
    context = open_context(references)
    bound = bind(program.input, action, context)
    return Work(
        program=program,
        action=action.informed(),
        input_of=_input_of(program, action, items, whole, bound=bound, copies=copies_input),
        on_error=on_error,
        context=context,
        items=ItemBatches(items) if action.batch is not None and items is not None else items,
        reuse=reuse,
        key=key,
        takes_secrets=any(True for _ in secret_defaults(action.parameters)),
    )


def _input_of(
    program: Program, action: Action, items: Items | None, whole: Template, *, bound: Bound | None, copies: bool
) -> Callable[[ItemContext], dict[str, Any]]:
    """How the input of an item is made: mostly by the compiled template alone, and nothing around it.

    Args:
        bound: what is not rendered: tables, arrays and batches; None: all is.
        copies: every attempt gets an input of its own, because the context is the coordinator's.
    """
    unbound = {name: value for name, value in program.input.items() if bound is None or name not in bound}
    render = whole.render if bound is None else compile_value(unbound, path="input").render
    given, may_be_unreadable = program.given, isinstance(items, FileItems | TableItems)
    if given is None and bound is None and not (copies or may_be_unreadable):
        return render

    def input_of(scope: ItemContext) -> dict[str, Any]:
        if may_be_unreadable and isinstance(scope.item, Unreadable):
            raise scope.item.error
        values: dict[str, Any] = render(scope) if given is None else action.select(given)
        values = decode(encode(values)) if copies else values
        return values if bound is None else {**values, **_bound_values(bound, items, scope)}

    return input_of


def _bound_values(bound: Bound, items: Items | None, scope: ItemContext) -> dict[str, Any]:
    try:
        return bound.values(getattr(scope, "item", None))
    except PermanentError as error:
        if not isinstance(items, FileItems):
            raise
        raise PermanentError(f"{items.place_of(scope.index)}: {error}") from error


def encode_items(program: Program, open_context: OpenContext) -> Items:
    """Evaluate ``with_items`` where its data is.

    Raises:
        EvaluationError: it has no value.
        UnstorableResultError: an item is no JSON value.
        UsageError, ActionError: they are in files that cannot be read.
    """
    source = program.with_items if isinstance(program.with_items, ItemSource) else None
    written = program.with_items if source is None else source.source
    listed = list(written) if isinstance(written, tuple) else written
    template = compile_items(listed, path="with_items" if source is None else "with_items.source")
    value = template.render(open_context(template.references).for_task())
    if source is not None:
        return open_source(source, value, program.batch_size)
    if isinstance(value, Columns):
        return TableItems(value.table, program.batch_size)
    if isinstance(value, ResultList) and program.batch_size is None:
        return ResultItems(value.parts, len(value))
    return EncodedItems.of(as_items(value, program.batch_size))
