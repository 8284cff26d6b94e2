"""What a pack says of a script action: values alone, so that nothing is imported that runs scripts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from attune_ray.values.formats import Delivery, OutputFormat, ParameterFormat, Runner

__all__ = ["ScriptSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSpec:
    """A script action, as it travels to workers; where its pack's files are is told when it runs.

    Attributes:
        ref: ``pack.name``.
        entry_point: the path of the script below the pack's folder.
        interpreter: of a shell script: ``sh``, ``bash``, or "" where it does not say.
        options: of the interpreter, before the script.
        env: variables in addition.
    """

    ref: str
    pack_ref: str
    runner: Runner
    entry_point: str
    interpreter: str = ""
    options: tuple[str, ...] = ()
    parameter_delivery: Delivery = Delivery.STDIN
    parameter_format: ParameterFormat = ParameterFormat.JSON
    output_format: OutputFormat = OutputFormat.TEXT
    env: Mapping[str, str] = field(default_factory=dict)
