"""A nested value → what its texts hold: trees, checked, with what they read; no Python is made of them yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from attune_ray.errors import ExpressionSyntaxError
from attune_ray.expression.parse import BlockSource, Expression, has_expression, is_pure, parse_expression, split
from attune_ray.expression.references import EMPTY, References, references_of

if TYPE_CHECKING:  # few texts have `{% %}`, and running those needs all of Jinja2
    from attune_ray.expression.block import Block

__all__ = ["Fixed", "Kind", "Mixed", "Parsed", "Reader", "Word"]

Kind = Literal["value", "items", "condition", "expression"]


@final
@dataclass(frozen=True, slots=True)
class Fixed:
    """A part without any template."""

    value: Any


@final
@dataclass(frozen=True, slots=True)
class Mixed:
    """A text of literals and expressions."""

    parts: tuple[str | Expression, ...]


@final
@dataclass(frozen=True, slots=True)
class Word:
    """A longer text as a condition: true, 1, yes, or false, 0, no, nothing."""

    text: "Parsed"


Parsed: TypeAlias = "Fixed | Expression | Mixed | Word | Block | list[Parsed] | dict[str, Parsed]"


class Reader:
    """Reads one value.

    Attributes:
        references: what the expressions read so far read of their context.
    """

    def __init__(self) -> None:
        self.references: References = EMPTY

    def read(self, kind: Kind, source: Any, path: str) -> Parsed:
        """A value of the kind.

        Raises:
            ExpressionSyntaxError: an expression in it is wrong, or it is nested too deeply.
        """
        try:
            match kind:
                case "value" | "items":
                    return self._value(source, path)
                case "condition":
                    return self._condition(source, path)
                case "expression":
                    return self._noted(parse_expression(source, path=path))
        except (RecursionError, MemoryError):
            raise ExpressionSyntaxError("the value is nested too deeply", path=path) from None

    def _value(self, value: Any, path: str) -> Parsed:
        parts: dict[str, Parsed] | list[Parsed]
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, Mapping):
            parts = {key: self._value(entry, f"{path}.{key}" if path else str(key)) for key, entry in value.items()}
            return Fixed(value) if all(isinstance(part, Fixed) for part in parts.values()) else parts
        if isinstance(value, list | tuple):
            parts = [self._value(entry, f"{path}[{at}]") for at, entry in enumerate(value)]
            return Fixed(value) if all(isinstance(part, Fixed) for part in parts) else parts
        return Fixed(value)

    def _text(self, text: str, path: str) -> Parsed:
        if "{{" not in text:
            return Fixed(text)
        parts = split(text, path)
        if isinstance(parts, BlockSource):
            from attune_ray.expression.block import Block  # noqa: PLC0415  see above

            block = Block(parts.source, parts.path)
            self.references |= block.references
            return block
        if all(isinstance(part, str) for part in parts):
            return Fixed(text)
        for part in parts:
            if isinstance(part, Expression):
                self._noted(part)
        return parts[0] if len(parts) == 1 and isinstance(parts[0], Expression) else Mixed(tuple(parts))

    def _condition(self, text: str, path: str) -> Parsed:
        if not has_expression(text):
            return self._noted(parse_expression(text, path=path))
        if is_pure(text):
            start = text.index("{{") + 2
            return self._noted(parse_expression(text[start : text.rindex("}}")], path=path, offset=start))
        return Word(self._text(text, path))

    def _noted(self, expression: Expression) -> Expression:
        self.references |= references_of(expression.node, path=expression.path, offset=expression.offset)
        return expression
