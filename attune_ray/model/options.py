"""The small values of a task: ``retry``, ``tolerate``, ``rate_limit``, ``cache``, ``resources``, files of items."""

import re

from attune_ray.model.fields import Field, Fields
from attune_ray.model.outline import Moment, Outline, Owner
from attune_ray.model.references import Kind
from attune_ray.model.source import Scalar, Sequence
from attune_ray.model.workflow import Backoff, Cache, RateLimit, Resources, Retry, Tolerate
from attune_ray.values.item_source import Compression, FileFormat, ItemSource

__all__ = ["read_cache", "read_rate_limit", "read_resources", "read_retry", "read_source", "read_tolerate"]

_MAX_RETRIES = 100
_LEAST_SHARE = 0.0001
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*/\s*([smh])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)", re.IGNORECASE)


def read_retry(field: Field, outline: Outline, owner: Owner) -> Retry | None:
    """``retry: {count, delay, backoff, max_delay, on_error}``."""
    fields = field.fields("retry", hint="write `retry: {count: 3, delay: 1}`")
    if fields is None:
        return None
    count = fields.need("count", hint="say how many extra attempts there are, 1 to 100")
    delay = fields.take("delay")
    backoff = fields.take("backoff")
    on_error = _condition(fields, "on_error", outline, owner)
    delay_s = (delay and delay.number()) or 0.0
    max_delay_s = _max_delay(fields, delay_s)
    fields.close()
    n_attempts = count and count.integer(least=1, most=_MAX_RETRIES)
    return Retry(
        count=n_attempts or 1,  # an error is recorded where it is none
        delay_s=delay_s,
        backoff=(backoff and backoff.choice(Backoff)) or Backoff.CONSTANT,
        max_delay_s=max_delay_s,
        on_error=on_error,
    )


def _condition(fields: Fields, name: str, outline: Outline, owner: Owner) -> str | None:
    field = fields.take(name)
    text = field and field.text(empty=False)
    if field is None or text is None:
        return None
    outline.template(field, Kind.CONDITION, Moment.END, owner)
    return text


def _max_delay(fields: Fields, delay_s: float) -> float | None:
    field = fields.take("max_delay")
    most = field and field.number()
    if field is None or most is None:
        return None
    if most < delay_s:
        field.error(f"max_delay ({most:g} s) is below delay ({delay_s:g} s)", hint="raise max_delay or lower delay")
    return most


def read_tolerate(field: Field) -> Tolerate | None:
    """``tolerate: 5`` or ``tolerate: 10%``."""
    if isinstance(field.node, Scalar) and isinstance(field.node.value, str):
        share = _PERCENT.fullmatch(field.node.text.strip())
        if share and float(share[1]) <= 100:
            return Tolerate(share=float(share[1]) / 100)
        field.error("must be a number of items or a share from 0% to 100%", hint="write `5` or `10%`")
        return None
    items = field.integer(least=0)
    return None if items is None else Tolerate(items=items)


def read_rate_limit(field: Field) -> RateLimit | None:
    """``rate_limit: 50/s``; also per ``m`` and per ``h``."""
    text = field.node.text.strip() if isinstance(field.node, Scalar) else ""
    rate = _RATE.fullmatch(text)
    if rate is None or float(rate[1]) == 0:
        field.error("must be a number of starts above 0 per s, m or h", hint="write `50/s`, `100/m` or `1000/h`")
        return None
    return RateLimit(float(rate[1]) / _UNITS_S[rate[2]])


def read_cache(field: Field, outline: Outline, owner: Owner) -> Cache | None:
    """``cache: {ttl, key}``."""
    fields = field.fields("cache", hint="write `cache: {ttl: 3600}`")
    if fields is None:
        return None
    ttl = fields.need("ttl", hint="say for how many seconds a result is reused")
    key = fields.take("key")
    text = key and key.text(empty=False)
    if key is not None and text is not None:
        outline.template(key, Kind.TEXT, Moment.START, owner)
    fields.close()
    ttl_s = ttl and ttl.number(above=True)
    return None if ttl_s is None else Cache(ttl_s=ttl_s, key=text)


def read_resources(field: Field) -> Resources | None:
    """``resources: {num_cpus, num_gpus, memory}``."""
    fields = field.fields("resources", hint="write `resources: {num_cpus: 1, memory: 512MiB}`")
    if fields is None:
        return None
    cpus, gpus, memory = fields.take("num_cpus"), fields.take("num_gpus"), fields.take("memory")
    fields.close()
    return Resources(
        num_cpus=cpus and _amount(cpus),
        num_gpus=gpus and _amount(gpus),
        memory_bytes=memory and _memory_bytes(memory),
    )


def _amount(field: Field) -> float | None:
    """A number of CPUs or GPUs: a whole one, or a share of one."""
    amount = field.number()
    if amount is not None and amount > 1 and not amount.is_integer():
        field.error(f"must be a whole number, or a share below 1; it is {amount:g}", hint="Ray gives no other amounts")
        return None
    if amount is not None and 0 < amount < _LEAST_SHARE:
        field.error(f"must be 0, or at least {_LEAST_SHARE:g}; it is {amount:g}", hint="Ray knows no smaller share")
        return None
    return amount


def read_source(field: Field, outline: Outline, owner: Owner) -> ItemSource | None:
    """``with_items: {source, format, columns, compression}``."""
    fields = field.fields("with_items", hint="write `with_items: {source: logs/*.ndjson}`")
    if fields is None:
        return None
    hint = "name files, as `{source: logs/*.ndjson}`; to go over the entries of an object: `{{ keys(…) }}`"
    source = fields.need("source", hint=hint)
    kind, columns, compression = fields.take("format"), fields.take("columns"), fields.take("compression")
    fields.close()
    names = source.texts() if source is not None else ()
    if source is None or not names:
        if source is not None and isinstance(source.node, Sequence) and not source.node.items:
            source.error("`source` is empty", hint=hint)
        return None
    outline.template(source, Kind.VALUE, Moment.START, owner)
    return ItemSource(
        source=names if isinstance(source.node, Sequence) else names[0],
        format=kind and kind.choice(FileFormat),
        columns=columns.texts() if columns is not None else (),
        compression=compression and compression.choice(Compression),
    )


def _memory_bytes(field: Field) -> int | None:
    """Bytes as an integer, or text with a unit: MB is 1000², MiB (and Mi) is 1024²."""
    if not isinstance(field.node, Scalar) or not isinstance(field.node.value, str):
        return field.integer(least=1)
    size = _MEMORY.fullmatch(field.node.text.strip())
    if size is None:
        field.error(f"`{field.node.text}` is no amount of memory", hint="write bytes, or a size as `512MiB` or `2GB`")
        return None
    power = "kmgt".index(size[2].lower()) + 1 if size[2] else 0
    return int(float(size[1]) * (1024 if size[3] else 1000) ** power)
