"""Text in ``{{ }}`` → compiled once → value."""

from attune_ray.expression.context import ItemContext, LazyList, Outcome, WorkflowContext
from attune_ray.expression.references import References
from attune_ray.expression.template import (
    Template,
    compile_condition,
    compile_expression,
    compile_items,
    compile_text,
    compile_value,
)
from attune_ray.expression.text import to_text, truthy

__all__ = [
    "ItemContext",
    "LazyList",
    "Outcome",
    "References",
    "Template",
    "WorkflowContext",
    "compile_condition",
    "compile_expression",
    "compile_items",
    "compile_text",
    "compile_value",
    "to_text",
    "truthy",
]
