"""Items from real files: what a run reads of them, and what it says of bad ones."""

import gzip
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attune_ray import Engine, RunResult
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.source_files import SourceFile
from attune_ray.dispatch.worker.sources import FileItems, open_source
from attune_ray.errors import ActionError
from attune_ray.values.item_source import Compression, FileFormat, ItemSource

HOST = socket.gethostname()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read(folder: Path, make_engine: Callable[..., Engine]) -> Callable[..., RunResult]:  # noqa: ARG001
    """Runs one task over the items of a source, as written in YAML, and gives back each with its index."""

    def read(source: str, more: str = "") -> RunResult:
        return make_engine().run(f"""
tasks:
  - name: read
    action: core.echo
    with_items: {{{source}}}
    input: {{message: "{{{{ index }}}} {{{{ item }}}}"}}
    {more}
""")

    return read


def told(result: RunResult) -> list[str]:
    """Index and item of each."""
    assert result.task("read").error is None, result.task("read").error
    return list(result.task("read").results)


def open_here(path: Path | str, **options: Any) -> FileItems:
    """The items of a source, without a run."""
    return open_source(ItemSource(source=str(path), base=str(Path.cwd()), **options), str(path), None)


def test_files_of_a_pattern_are_read_in_the_order_of_their_paths(folder: Path, read: Callable[..., RunResult]) -> None:
    """The index counts on over all of them; hidden files, folders and other names are none of them."""
    (folder / "logs" / "old.log").mkdir(parents=True)
    for name, text in {"b.log": "3\n", "a.log": "1\n2", ".c.log": "no", "d.txt": "no", "old.log/e.log": "no"}.items():
        (folder / "logs" / name).write_text(text)

    assert told(read("source: logs/*.log")) == ["0 1", "1 2", "2 3"]
    assert told(read("source: [logs/b.log, 'logs/*.log']")) == ["0 3", "1 1", "2 2"]
    assert told(read("source: 'logs/[!b].log'")) == ["0 1", "1 2"]
    assert told(read(f"source: 'file://{folder}/**/*.log'")) == ["0 1", "1 2", "2 3", "3 no"]


def test_a_file_is_read_once_by_whatever_links_and_paths(folder: Path, read: Callable[..., RunResult]) -> None:
    """Loops of links end; of many paths it has the first."""
    (folder / "d" / "x").mkdir(parents=True)
    (folder / "d" / "x" / "f.log").write_text("1\n")
    (folder / "d" / "b.log").write_text("2\n")
    (folder / "d" / "l").symlink_to(".")
    (folder / "d" / "self").symlink_to("self")
    (folder / "d" / "same.log").symlink_to("x/f.log")
    (folder / "d" / "lost.log").symlink_to("nowhere")
    (folder / "d" / "y").symlink_to("x")
    (folder / "other").symlink_to("d/x")

    assert told(read("source: 'd/**/*.log'")) == ["0 2", "1 1"]
    assert told(read("source: 'd/*/*.log'")) == ["0 2", "1 1"]
    assert told(read("source: 'd/**'")) == ["0 2", "1 1"]
    assert told(read("source: '**/f.log'")) == ["0 1"]
    assert told(read("source: 'o*/*.log'")) == ["0 1"]
    assert told(read(f"source: [d/x/f.log, ./d//x/f.log, d/x/../b.log, other/f.log, 'file://{folder}/d/b.log']")) == [
        *("0 1", "1 2")
    ]


def test_a_link_that_leads_nowhere_is_no_match(folder: Path, read: Callable[..., RunResult]) -> None:
    """As a path of its own it is no file either."""
    (folder / "lost.log").symlink_to("nowhere")

    for pattern in ("*.log", "lost.log"):
        assert (read(f"source: '{pattern}'").task("read").error or "").startswith("with_items: no file matches")


def test_a_name_that_is_not_utf_8_harms_only_where_it_matches(folder: Path, read: Callable[..., RunResult]) -> None:
    """Then it is told with its folder."""
    (folder / "d" / "x").mkdir(parents=True)
    (folder / "d" / "utf.log").write_text("1\n")
    Path(os.fsdecode(bytes(folder) + b"/d/not\xff.log")).write_text("2\n")
    strange = Path(os.fsdecode(bytes(folder) + b"/d/x/\xfe"))
    strange.mkdir()
    (strange / "a.txt").write_text("3\n")

    assert told(read("source: 'd/u*.log'")) == ["0 1"]
    assert told(read("source: 'd/**/u*.log'")) == ["0 1"]
    rest = "is not UTF-8; rename it, or narrow the pattern"
    where = rf"with_items: the name of 'not\xff.log' in the folder '{folder}/d' {rest}"
    assert read("source: 'd/*.log'").task("read").error == where
    inside = rf"with_items: the name of '\xfe' in the folder '{folder}/d/x' {rest}"
    assert read("source: 'd/**/*.txt'").task("read").error == inside


@pytest.mark.parametrize("name", ["a\\0b.log", "a\\0*.log", f"{'x' * 5_000}.log"])
def test_a_name_that_no_file_can_have_is_told(folder: Path, read: Callable[..., RunResult], name: str) -> None:  # noqa: ARG001
    """Not with a traceback."""
    assert "with_items: " in (read(f'source: "{name}"').task("read").error or "")


def test_a_path_with_signs_of_a_pattern_is_taken_as_it_is_where_it_exists(
    folder: Path, read: Callable[..., RunResult]
) -> None:
    """What the data names is not read as a pattern of something else."""
    (folder / "a[1].txt").write_text("this")
    (folder / "a1.txt").write_text("that")

    assert told(read("source: 'a[1].txt'")) == ["0 this"]


def test_the_name_tells_format_and_compression_unless_the_task_does(
    folder: Path, read: Callable[..., RunResult]
) -> None:
    """Upper case too."""
    (folder / "x.NDJSON.GZ").write_bytes(gzip.compress(b'{"a": 1}\n'))
    (folder / "y.bin").write_bytes(gzip.compress(b"a,b\n1,2\n"))

    assert told(read("source: '*.GZ'")) == ['0 {"a":1}']
    assert told(read("source: y.bin, format: csv, compression: gzip, columns: b")) == ['0 {"b":"2"}']


def test_a_source_may_be_what_another_task_found(folder: Path, make_engine: Callable[..., Engine]) -> None:
    """A template in it makes its task wait; a template in a file is data."""
    (folder / "a.txt").write_text("{{ 1 + 1 }}\n")
    result = make_engine().run("""
tasks:
  - {name: read, action: core.echo, with_items: {source: "{{ task.find.stdout }}"}, input: {message: "{{ item }}"}}
  - {name: find, action: core.echo, input: {message: a.txt}}
""")

    assert list(result.task("read").results) == ["{{ 1 + 1 }}"]


def test_rows_of_parquet_are_json_values(folder: Path, read: Callable[..., RunResult]) -> None:
    """Moments are texts, decimals too, NaN is null."""
    moment = pa.array([1_600_000_000_123_456_789], pa.timestamp("ns", "UTC"))
    columns = {"at": moment, "price": pa.array(["1.10"]).cast(pa.decimal128(5, 2)), "x": [float("nan")]}
    pq.write_table(pa.table(columns), folder / "a.parquet")

    expected = '0 {"at":"2020-09-13T12:26:40.123456+00:00","price":"1.10","x":null}'
    assert told(read("source: a.parquet")) == [expected]
    assert told(read("source: a.parquet, columns: [x]")) == ['0 {"x":null}']


def test_no_rows_are_no_items(folder: Path, read: Callable[..., RunResult]) -> None:
    """An empty file, one of blank lines, a header alone, a table without rows."""
    (folder / "a.ndjson").write_text("")
    (folder / "b.ndjson").write_text("\n \n\r\n")
    (folder / "c.csv").write_text("a,b\n")
    (folder / "d.json").write_text("[]")
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), folder / "e.parquet")

    result = read("source: '*'")

    assert result.status == "completed"
    assert result.task("read").stats.n_items == 0


def test_a_row_that_cannot_be_decoded_fails_alone(folder: Path, read: Callable[..., RunResult]) -> None:
    """With the name of its file and its line; it is final, and null among the failed items."""
    (folder / "a.ndjson").write_bytes(b'{"a":1}\n\n{"a":\n7 8\n"\xff"\n[1,2]\n')
    (folder / "b.csv").write_text('x,y\n1,"2\n2"\n3\n"4"4,4\n5,6\n')
    (folder / "c.log").write_bytes(b"one\n\xfftwo\n")

    result = read("source: ['*']", "retry: {count: 2}")

    assert result.task("read").results[0] == '0 {"a":1}'
    assert [error["error"].partition(": ")[0] for error in result.task("read").failed_items] == [
        *("a.ndjson:3", "a.ndjson:4", "a.ndjson:5", "b.csv:4", "b.csv:5", "c.log:2")
    ]
    assert {error["item"] for error in result.task("read").failed_items} == {None}
    assert "the line is not valid JSON" in result.task("read").failed_items[0]["error"]
    assert result.task("read").results[4] == "4 [1,2]"
    assert result.task("read").stats.n_chunks == 1


def test_failed_items_are_read_again_from_their_file(folder: Path, make_engine: Callable[..., Engine]) -> None:
    """And are null when the file is gone."""
    (folder / "a.ndjson").write_text('{"code": 1}\n{"code": 0}\n')
    (folder / "b.ndjson").write_text('{"code": 2}\n')
    engine = make_engine()
    text = (
        """tasks: [{name: read, action: core.noop, with_items: {source: '*'}, input: {exit_code: "{{ item.code }}"}}]"""
    )
    first, second = engine.run(text), engine.run(text)

    assert [failed["item"] for failed in first.task("read").failed_items] == [{"code": 1}, {"code": 2}]
    (folder / "a.ndjson").unlink()
    assert [failed["item"] for failed in second.task("read").failed_items][1:] == [{"code": 2}]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("source: nothing/*.log", f"with_items: no file matches 'nothing/*.log' in {{folder}} on {HOST}"),
        ("source: /nothing.log", f"with_items: no file matches '/nothing.log' on {HOST}"),
        ("source: .", "with_items: '.' is a folder; name its files, as './*.ndjson'"),
        ("source: pipe.log", "with_items: 'pipe.log' is no regular file (a device, a pipe or a socket)"),
        ("source: 'p*.log'", "with_items: 'pipe.log' is no regular file (a device, a pipe or a socket)"),
        ("source: /dev/zero, format: text", "with_items: '/dev/zero' is no regular file"),
        ("source: x.dat", "with_items: the name of 'x.dat' tells no format; add `format:`, one of ndjson"),
        ("source: x.csv, columns: nam", "with_items: x.csv has no column 'nam' (did you mean `name`?)"),
        ("source: twice.csv", "twice.csv: the header names the column 'a' twice"),
        ("source: x.csv, format: parquet", f"x.csv: is not valid parquet on {HOST}: Parquet magic bytes not found"),
        ("source: x.csv, format: arrow", f"x.csv: is not valid arrow on {HOST}: "),
        ("source: x.csv, format: json", "x.csv:1:1: it is not valid JSON"),
        ("source: x.csv, format: text, compression: gzip", f"x.csv: cannot be read on {HOST}: zlib inflate failed"),
        ("source: cut.log.gz", f"cut.log.gz: cannot be read on {HOST}: "),
        ("source: object.json", "object.json: it holds one value that is no list; its items are the elements"),
        ("source: x.csv, format: text, columns: a", "with_items: x.csv: text has no columns to choose"),
        ("source: a.parquet, compression: gzip", "with_items: 'a.parquet': parquet files compress themselves"),
        ("source: 'nofs://user:word@host/x.log'", "with_items: 'nofs://host/x.log' cannot be looked at: "),
        ("source: '{{ 7 }}'", "with_items.source must give a path or a list of paths"),
        ("source: '{{ [] }}'", "with_items.source must give a path or a list of paths"),
    ],
)
def test_what_cannot_be_a_source_fails_its_task(
    folder: Path, read: Callable[..., RunResult], source: str, error: str
) -> None:
    """At once, saying what is wrong and where; nothing waits for a pipe, and no password is shown."""
    os.mkfifo(folder / "pipe.log")
    (folder / "x.dat").write_text("x")
    (folder / "x.csv").write_text("name,b\n1,2\n")
    (folder / "twice.csv").write_text("a,a\n1,2\n")
    (folder / "object.json").write_text('{"a": 1}')
    (folder / "cut.log.gz").write_bytes(gzip.compress(os.urandom(100))[:-20])
    pq.write_table(pa.table({"x": [1]}), folder / "a.parquet")

    result = read(source)

    assert result.status == "failed"
    assert (result.task("read").error or "").startswith(error.replace("{folder}", str(folder)))
    assert "word" not in (result.task("read").error or "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "1: the file is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + "a,b\n".encode("utf-16-be"), "1: the file is UTF-16; save it as UTF-8"),
        (
            "\r\nGröße,b\n1,2\n".encode("latin-1"),
            "2: byte 3 of the header is not valid UTF-8; save the file as UTF-8",
        ),
        (
            b'"a"x,b\n1,2\n',
            "1: the header is not valid csv: ',' expected after '\"'; a name that holds a quote is quoted",
        ),
        (
            b"a,b\r1,2\r3,4\r",
            r"1: lines end with \r alone, so all is one row; save the file with \n or \r\n at the ends",
        ),
        (b"a\r1", r"1: lines end with \r alone, so all is one row"),
        (b'"a","b"\r"1",2\r', r"1: lines end with \r alone, so all is one row"),
        (b'"a,b\n' + b"1,2\n" * 2_000, "1: a quote in the header is never closed; a name that holds a quote is quoted"),
    ],
)
def test_a_header_that_is_no_row_of_names_is_told(
    folder: Path, read: Callable[..., RunResult], content: bytes, told: str
) -> None:
    """With its file and line, and what to do."""
    (folder / "a.csv").write_bytes(content)

    result = read("source: a.csv")

    assert result.status == "failed"
    assert (result.task("read").error or "").startswith(f"a.csv:{told}")


def test_a_file_that_may_not_be_read_is_told() -> None:
    """With the reason of the system; root, whom nothing is forbidden, is somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a.log").write_text("x")
        (folder / "a.log").chmod(0)
        before = os.geteuid()
        try:
            if before == 0:
                os.seteuid(65_534)
            with pytest.raises(ActionError, match=rf"a.log: cannot be read on {HOST}: .*Permission denied"):
                open_here(folder / "a.log")
        finally:
            os.seteuid(before)


@pytest.mark.parametrize("ending", ["log", "parquet"])
def test_a_file_that_has_changed_gives_errors_and_no_wrong_items(folder: Path, ending: str) -> None:
    """Its items were counted, then it grew, or went away."""
    path = folder / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"x": [1, 2]}), path)
    else:
        path.write_text("1\n2")
    items, later = open_here(path), open_here(path)
    with path.open("ab") as file:
        file.write(b"\nmore")

    faults = [str(item.error) for item in items.take(range(2))]
    path.unlink()

    assert "a." in faults[0]
    assert len(set(faults)) == 1
    if ending == "log":
        assert faults[0] == "a.log: the file has changed since its items were counted; run the workflow again"
    assert f"there is no such file on {HOST} ({path})" in str(next(later.take((1,))).error)


@pytest.mark.parametrize("ending", ["log", "csv", "log.gz", "parquet"])
@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_put_in_the_place_of_a_file_is_not_waited_for(
    folder: Path, ending: str, put: Callable[[Path], None]
) -> None:
    """Between counting and reading: a pipe, a folder, a device."""
    path = folder / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"x": [1, 2]}), path)
    else:
        path.write_bytes(gzip.compress(b"1\n2\n") if ending == "log.gz" else b"1\n2\n3\n")
    items = open_here(path)
    path.unlink()
    put(path)

    faults = {str(item.error) for item in items.take(range(2))}

    [fault] = faults
    assert fault.startswith(f"a.{ending}: it is no regular file any more (but a folder, a device, a pipe or a socket)")


def test_a_damaged_row_group_fails_its_own_rows(folder: Path) -> None:
    """The others are read."""
    path = folder / "a.parquet"
    table = pa.table({"x": np.arange(2_000)})
    pq.write_table(table, path, row_group_size=1_000, compression="none", use_dictionary=False, write_statistics=False)
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    items = list(open_here(path).take(range(2_000)))

    assert "a.parquet: " in str(items[0].error)
    assert "a.parquet: " in str(items[999].error)
    assert items[1_000:] == [{"x": number} for number in range(1_000, 2_000)]


def test_an_item_may_be_50_mb(folder: Path, make_engine: Callable[..., Engine]) -> None:
    """Between two small ones; the index knows it by two numbers."""
    (folder / "a.ndjson").write_bytes(b'"small"\n"' + b"x" * 50_000_000 + b'"\n"last"')
    result = make_engine().run(
        "tasks: [{name: read, action: core.echo, with_items: {source: a.ndjson}, "
        'input: {message: "{{ length(item) }}"}}]'
    )

    assert list(result.task("read").results) == ["5", "50000000", "4"]


def test_ranges_beyond_two_to_the_31_are_read(folder: Path) -> None:
    """Of a file, and of items in memory: a sparse file of 2 GiB and three lines."""
    path, offset = folder / "a.ndjson", 2**31 + 5
    with path.open("wb") as file:
        file.seek(offset)
        file.write(b'"a",\n"b",')
    text = np.memmap(path, dtype=np.uint8, mode="r")
    items = EncodedItems(text, np.asarray([offset, offset + 4, offset + 9], dtype=np.int64))
    stat = path.stat()
    told = SourceFile(
        root="",
        path=str(path),
        shown="a",
        n_bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        format=FileFormat.TEXT,
        compression=Compression.NONE,
    )
    lines = FileItems(
        files=EncodedItems.of([told.to_json()]),
        segments=np.asarray([[0, offset, offset + 9, 7]]),
        firsts=np.asarray([0, 2]),
    )

    assert [*items.take((0,)), *items.take((1,))] == ["a", "b"]
    assert list(lines.take(range(2))) == ['"a",', '"b",']


def test_the_index_is_as_large_as_the_ranges_not_as_the_items(folder: Path) -> None:
    """A million lines of 10 MB are three ranges."""
    (folder / "a.log").write_bytes(b"123456789\n" * 1_000_000)

    items = open_here(folder / "a.log")

    assert len(items) == 1_000_000
    assert items.segments.shape == (3, 4)
    assert next(items.take((999_999,))) == "123456789"
