"""The words in which a pack tells how its scripts are run: what ``model`` reads and ``actions`` obeys."""

import enum

__all__ = ["Delivery", "OutputFormat", "ParameterFormat", "Runner"]


class Runner(enum.Enum):
    """What runs a script."""

    SHELL = "shell"
    PYTHON = "python"
    NODEJS = "nodejs"
    NATIVE = "native"


class Delivery(enum.Enum):
    """Where a script finds its parameters."""

    STDIN = "stdin"
    FILE = "file"


class ParameterFormat(enum.Enum):
    """How its parameters are written."""

    JSON = "json"
    DOTENV = "dotenv"
    YAML = "yaml"


class OutputFormat(enum.Enum):
    """How its standard output is read."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"
