"""Record batches that outlive the object store: small ones in this process's heap, many in a file that is mapped."""

import io
import itertools
import mmap
import tempfile
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["shelved"]

_HEAP_BYTES = 16 * 1024 * 1024
"""Above this they go into a file: the results of a fan-out may be larger than the memory."""


def shelved(batches: Iterable["pa.RecordBatch"]) -> list["pa.RecordBatch"]:
    """The same batches, one after the other copied out of where they are.

    The file has no name: it ends with this process, or with the last batch.

    Raises:
        OSError: there is no room for it.
    """
    found = iter(batches)
    if (first := next(found, None)) is None:
        return []
    import pyarrow as pa  # noqa: PLC0415  heavy: a run without Ray has no batches

    sink: IO[bytes] = io.BytesIO()
    ends = [0]
    for batch in itertools.chain([first], found):
        if isinstance(sink, io.BytesIO) and ends[-1] + batch.nbytes > _HEAP_BYTES:
            sink = _in_file(sink)
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), batch.schema) as writer:
            writer.write_batch(batch)
        ends.append(sink.tell())
    held = pa.py_buffer(_content(sink))
    return [
        pa.ipc.open_stream(held.slice(start, stop - start)).read_next_batch()
        for start, stop in itertools.pairwise(ends)
    ]


def _in_file(sink: io.BytesIO) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  its map outlives it
    file.write(sink.getbuffer())
    return file


def _content(sink: IO[bytes]) -> "bytes | mmap.mmap":
    if isinstance(sink, io.BytesIO):
        return sink.getvalue()
    with sink:
        sink.flush()
        return mmap.mmap(sink.fileno(), 0, access=mmap.ACCESS_READ)
