"""``attune-ray schema``: what editors complete and check workflow files by."""

import json

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of workflow files, for editors."""
    from attune_ray.model.editor import workflow_schema  # noqa: PLC0415  its tables have no other use

    typer.echo(json.dumps(workflow_schema(), indent=2, ensure_ascii=False))
