"""Items from S3: a real client against a server on loopback."""

import gzip
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from heads import free_port
from s3 import KEY, S3, SECRET, running_s3

from attune_ray import Engine, RunResult, action
from attune_ray.dispatch.worker.sources import FileItems, open_source
from attune_ray.values.item_source import ItemSource


@action("s3.whence")
def whence(row: dict[str, int]) -> list[int]:
    """The number of a row, and the process that read it."""
    return [row["n"], os.getpid()]


@action("s3.count", batch="arrow")
def count(rows: pa.RecordBatch) -> int:
    """Of a batch."""
    return int(rows.num_rows)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A service with one bucket of logs."""
    with running_s3() as found:
        table = io.BytesIO()
        pq.write_table(pa.table({"n": range(5), "s": list("abcde")}), table, row_group_size=2)
        objects = {
            "logs/a.ndjson": b'{"n": 1}\n{"n": 2}\n',
            "logs/b.ndjson": b'{"n": 3}\nbroken\n',
            "logs/.hidden.ndjson": b'{"n": 0}\n',
            "logs/day=1/c.ndjson": b'{"n": 4}\n',
            "logs/d.ndjson.gz": gzip.compress(b'{"n": 5}\n{"n": 6}\n'),
            "logs/cut.log.gz": gzip.compress(os.urandom(1_000))[:-500],
            "logs/odd [1] ü.txt": b"odd\n",
            "tables/t.parquet": table.getvalue(),
            "empty.log": b"",
        }
        found.make_bucket("bucket", objects)
        yield found


@pytest.fixture
def read(make_engine: Callable[..., Engine]) -> Callable[..., RunResult]:
    """Runs one task over the items of a source and gives back each with its index."""

    def read(source: str | list[str]) -> RunResult:
        values = {"message": "{{ index }} {{ item }}"}
        task = {"name": "read", "action": "core.echo", "with_items": {"source": source}, "input": values}
        return make_engine().run(json.dumps({"tasks": [task]}))

    return read


def opened(uri: str) -> FileItems:
    """The items of a URI, without a run."""
    return open_source(ItemSource(source=uri, base="/nowhere"), uri, None)


def told(result: RunResult) -> str:
    """What a run says of its one task, which has failed."""
    assert result.status == "failed"
    return result.task("read").error or ""


def hides_secrets(text: str) -> bool:
    """Whether no part of the secret, nor the key, is in a text."""
    return not any(part in text for part in (KEY, *SECRET.split("/"), quote(SECRET, safe="")))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("bucket/logs/a.ndjson", ['0 {"n":1}', '1 {"n":2}']),
        ("bucket/logs/[a-b]*.ndjson", ['0 {"n":1}', '1 {"n":2}', '2 {"n":3}', None]),
        ("bucket/**/c.ndjson", ['0 {"n":4}']),
        ("bucket/logs/day=*/*.ndjson", ['0 {"n":4}']),
        ("b*/logs/*.gz", None),
        ("bucket/logs/d*.gz", ['0 {"n":5}', '1 {"n":6}']),
        ("bucket/logs/odd%20[1]%20%C3%BC.txt", ["0 odd"]),
        ("bucket/tables/*", [f'{n} {{"n":{n},"s":"{s}"}}' for n, s in enumerate("abcde")]),
        ("bucket/empty.log", []),
    ],
)
def test_objects_are_read_as_files_are(
    s3: S3, read: Callable[..., RunResult], path: str, expected: list[str | None] | None
) -> None:
    """One, or those of a pattern in the order of their keys; compressed, in parts, of odd names, empty."""
    result = read(s3.uri(path))

    if expected is None:
        assert re.match(r"s3://bucket/logs/cut.log.gz: cannot be read on \S+: ", told(result))
    else:
        assert list(result.task("read").results) == expected


def test_a_row_that_cannot_be_decoded_names_its_object_and_line(s3: S3, read: Callable[..., RunResult]) -> None:
    """Without the user and the options of the URI."""
    [failed] = read(s3.uri("bucket/logs/b.ndjson")).task("read").failed_items

    assert failed["index"] == 1
    assert failed["error"].startswith("s3://bucket/logs/b.ndjson:2: the line is not valid JSON: ")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("bucket/logs/none.ndjson", r"with_items: no file matches 's3://bucket/logs/none\.ndjson' on \S+"),
        ("bucket/none/*.ndjson", r"with_items: no file matches 's3://bucket/none/\*\.ndjson' on \S+"),
        ("nobucket/a.log", r"with_items: no file matches 's3://nobucket/a.log' on \S+: there is no bucket 'nobucket'"),
        ("nobucket/*.log", r"with_items: no file matches 's3://nobucket/\*.log' on \S+: there is no bucket 'nobucket'"),
        ("nob*/*.log", r"with_items: no file matches 's3://nob\*/\*.log' on \S+"),
        ("bucket", r"with_items: 's3://bucket' is a folder; name its files, as 's3://bucket/\*.ndjson'"),
        ("bucket/logs", r"with_items: 's3://bucket/logs' is a folder; name its files, as 's3://bucket/logs/\*.ndjson'"),
    ],
)
def test_what_is_not_there_is_told(s3: S3, read: Callable[..., RunResult], path: str, error: str) -> None:
    """A missing object, a missing bucket, a folder."""
    found = told(read(s3.uri(path)))

    assert re.fullmatch(error, found), found


def test_a_service_that_refuses_us_is_told(s3: S3, read: Callable[..., RunResult]) -> None:
    """In its own words."""
    with s3.closed_to_strangers():
        found = told(read(s3.uri("bucket/logs/*.ndjson")))

    assert found.startswith("with_items: 's3://bucket/logs/*.ndjson' cannot be looked at: ")
    assert "ACCESS_DENIED" in found
    assert hides_secrets(found)


def test_a_service_that_is_not_there_is_told(read: Callable[..., RunResult]) -> None:
    """After the client's own few tries."""
    found = told(read(S3(f"127.0.0.1:{free_port()}").uri("bucket/logs/*.ndjson")))

    assert found.startswith("with_items: 's3://bucket/logs/*.ndjson' cannot be looked at: ")
    assert "Could not connect to server" in found
    assert hides_secrets(found)


@pytest.mark.parametrize(
    "user",
    [
        f"{KEY}:{SECRET}@",
        f"{KEY}:{SECRET.replace('/', '?')}@",
        f"{KEY}:{SECRET.replace('/', '@')}@",
        f"{KEY}:{SECRET.replace('/', ' ')}@",
        f"{KEY}:{SECRET.replace('/', '%')}@",
        f"{KEY}:{SECRET.replace('/', '#')}@",
        f"{KEY}:1/{SECRET}@",
    ],
)
@pytest.mark.parametrize("path", ["bucket/logs/*.ndjson", "bucket/logs/a.ndjson"])
def test_a_secret_that_is_not_encoded_is_not_shown_either(
    s3: S3, read: Callable[..., RunResult], user: str, path: str
) -> None:
    """What a URI's own signs make of it is no URI; the error says how it is written."""
    found = told(read(s3.uri(path, user=user)))

    assert "cannot be looked at: it is no valid URI (in a user or password, write / as %2F and @ as %40)" in found
    assert hides_secrets(found), found


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"secret_key": SECRET}, "Unexpected query parameter in S3 URI: 'secret_key'"),
        ({"scheme": "gopher"}, "Invalid S3 connection scheme 'gopher'"),
    ],
)
def test_options_that_are_none_are_told(
    s3: S3, read: Callable[..., RunResult], options: dict[str, str], error: str
) -> None:
    """By their names."""
    found = told(read(s3.uri("bucket/logs/a.ndjson", **options)))

    assert found == f"with_items: 's3://bucket/logs/a.ndjson' cannot be looked at: {error}"


def test_an_object_that_has_changed_or_gone_gives_errors_and_no_wrong_items(s3: S3) -> None:
    """Its items were counted; what is read later is not what was."""
    s3.make_bucket("other", {"a.log": b"one\ntwo\n", "b.log": b"one\n"})
    changed, gone = opened(s3.uri("other/a.log")), opened(s3.uri("other/b.log"))
    s3.put("other/a.log", b"one\ntwo\nthree\n")
    s3.remove("other/b.log")

    assert [str(item.error) for item in changed.take(range(2))] == [
        "s3://other/a.log: the file has changed since its items were counted; run the workflow again"
    ] * 2
    assert [str(item.error) for item in gone.take(range(1))] == ["s3://other/b.log: there is no such file any more"]


@pytest.mark.ray
def test_workers_read_objects_by_themselves(s3: S3, make_ray_engine: Callable[..., Engine]) -> None:
    """Rows of a compressed object and batches of a table: they get the URI, and nobody else reads for them."""
    rows = [{"n": n} for n in range(3_000)]
    s3.make_bucket("more", {"rows.ndjson.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode())})
    source = {"source": "{{ parameters.rows }}"}
    text = json.dumps(
        {
            "parameters": {"rows": {"type": "string", "secret": True}, "table": {"type": "string"}},
            "tasks": [
                {"name": "rows", "action": "s3.whence", "with_items": source, "input": {"row": "{{ item }}"}},
                {
                    "name": "batches",
                    "action": "s3.count",
                    "with_items": {"source": "{{ parameters.table }}"},
                    "batch_size": 3,
                    "input": {"rows": "{{ item }}"},
                },
            ],
        }
    )
    given = {"rows": s3.uri("more/*.gz"), "table": s3.uri("bucket/tables/t.parquet")}

    result = make_ray_engine(whence, count).run(text, given)

    assert [n for n, _ in result.task("rows").results] == list(range(3_000))
    assert os.getpid() not in {pid for _, pid in result.task("rows").results}
    assert list(result.task("batches").results) == [3, 2]
