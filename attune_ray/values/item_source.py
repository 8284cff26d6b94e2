"""Files whose rows are the items of a fan-out: what the author wrote, and what a file's name says about it."""

import enum
from dataclasses import dataclass

__all__ = ["Compression", "FileFormat", "ItemSource", "kind_of_file"]


class FileFormat(enum.Enum):
    """How the items stand in a file."""

    NDJSON = "ndjson"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    TEXT = "text"
    PARQUET = "parquet"
    ARROW = "arrow"


class Compression(enum.Enum):
    """What a file is compressed with, by the names that Arrow has for it."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"
    LZ4 = "lz4"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSource:
    """``with_items: {source, format, columns, compression}``.

    Attributes:
        source: a template that gives a path, a URI, a pattern of them or a list of such; or a tuple of such templates.
        format: None: by the name of each file.
        columns: those that a row has, of formats with columns; empty: all.
        compression: None: by the name of each file.
        base: the folder that relative paths start from; known when a run is.
    """

    source: str | tuple[str, ...]
    format: FileFormat | None = None
    columns: tuple[str, ...] = ()
    compression: Compression | None = None
    base: str = ""


_FORMATS = {
    "ndjson": FileFormat.NDJSON,
    "jsonl": FileFormat.NDJSON,
    "json": FileFormat.JSON,
    "csv": FileFormat.CSV,
    "txt": FileFormat.TEXT,
    "log": FileFormat.TEXT,
    "parquet": FileFormat.PARQUET,
    "arrow": FileFormat.ARROW,
    "arrows": FileFormat.ARROW,
    "feather": FileFormat.ARROW,
}
_COMPRESSIONS = {
    "gz": Compression.GZIP,
    "zst": Compression.ZSTD,
    "bz2": Compression.BZ2,
    "lz4": Compression.LZ4,
}


def kind_of_file(path: str) -> tuple[FileFormat | None, Compression]:
    """Format and compression by the endings of a file's name; no format where the name tells none.

    >>> kind_of_file("logs/a.ndjson.gz")
    (<FileFormat.NDJSON: 'ndjson'>, <Compression.GZIP: 'gzip'>)
    """
    stem, _, ending = path.rpartition(".")
    compression = _COMPRESSIONS.get(ending.lower(), Compression.NONE)
    if compression is not Compression.NONE:
        ending = stem.rpartition(".")[2]
    return _FORMATS.get(ending.lower()), compression
