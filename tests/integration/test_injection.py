"""Hostile texts as data: they arrive as they are wherever data goes, and are harmless wherever they are shown."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_driver import CommandLine
from rich.console import Console

from attune_ray import Engine, action
from attune_ray.actions.core.http_request import close_clients
from attune_ray.cli.live import LiveView
from attune_ray.cli.report import failures, summary, to_json

HOSTILE = [
    "{{ 7*7 }}",
    "{% for x in [1] %}{{ x }}{% endfor %}",
    "{# gone? #}",
    "{{ keystore }}{{ ''.__class__.__mro__ }}",
    "$(touch hacked) `touch hacked`; touch hacked | touch hacked && touch hacked > hacked",
    "-rf --help /etc/passwd ../../etc/passwd",
    "'single' \"double\" \\back\\slash\\n",
    "line one\nline two\r\n\ttabbed",
    "NUL \x00 inside",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202egnp.exe\u2066",
    "é😀\u2028\ufeff",
    "__class__",
    "<script>alert(1)</script>&amp;",
    "[bold red]markup[/bold red] [link=http://x]x[/link]",
    "%s %n %(x)s {0} {x!r}",
    "",
    " ",
    "null",
    "true",
    "=1+1",
]
NESTED = {"__class__": HOSTILE[0], "{{ 1 }}": {"a.b": [HOSTILE[1], {"\x1b[31m": None}]}, "": ""}
FLOW = """
parameters: {data: {type: array}, nested: {type: object}}
tasks:
- {name: plain, action: t.same, input: {value: "{{ parameters.data }}", nested: "{{ parameters.nested }}"},
   next: [{publish: [{kept: "{{ result().data.value }}"}], do: each}]}
- {name: each, action: t.same, with_items: "{{ kept }}", input: {value: "{{ item }}", nested: "<{{ item }}>"},
   next: [{do: again}]}
- {name: again, action: t.same, with_items: "{{ task.each.results }}",
   input: {value: "{{ item.value }}", nested: {"{{ key }}": "{{ item.nested }}"}}}
output_map: {each: "{{ task.each.results }}", again: "{{ task.again.results }}", plain: "{{ task.plain.nested }}"}
"""
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\ufeff]")


@action("t.same")
def same(value: Any, nested: Any) -> Any:
    """What it was given."""
    return {"value": value, "nested": nested}


@action("t.same", inline=True)
async def same_inline(value: Any, nested: Any) -> Any:
    """The same in the coordinator's own loop."""
    return {"value": value, "nested": nested}


def check_arrived(engine: Engine) -> None:
    """Through parameters, a variable, items, results, a mixed text and an output."""
    output = engine.run(FLOW, {"data": HOSTILE, "nested": NESTED}).output

    assert output["plain"] == NESTED
    assert output["each"] == [{"value": text, "nested": f"<{text}>"} for text in HOSTILE]
    assert output["again"] == [{"value": text, "nested": {"{{ key }}": f"<{text}>"}} for text in HOSTILE]


def test_hostile_data_arrives_in_inline_actions(make_engine: Callable[..., Engine]) -> None:
    """No part of it is a template."""
    check_arrived(make_engine(same_inline))


@pytest.mark.ray
def test_hostile_data_arrives_in_actions_on_workers(make_ray_engine: Callable[..., Engine]) -> None:
    """Also after it was encoded, put, and decoded."""
    check_arrived(make_ray_engine(same))


@pytest.mark.ray
@pytest.mark.parametrize("delivery", ["stdin", "file"])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_hostile_data_arrives_in_scripts(
    make_ray_engine: Callable[..., Engine], tmp_path: Path, delivery: str, form: str
) -> None:
    """In a reader that is not ours; no shell has run any of it. YAML has no NUL, so there it is left out."""
    folder = tmp_path / "p"
    (folder / "actions").mkdir(parents=True)
    (folder / "pack.yaml").write_text("ref: p\n")
    declared = f"parameter_delivery: {delivery}\nparameter_format: {form}\noutput_format: json\n"
    (folder / "actions" / "back.yaml").write_text(f"runner_type: python\nentry_point: back.py\n{declared}")
    (folder / "actions" / "back.py").write_text(
        "import json, os, sys, yaml\n"
        "path = os.environ.get('ATTUNE_PARAMETER_FILE')\n"
        "text = (open(path, 'rb') if path else sys.stdin.buffer).read().decode()\n"
        "print(json.dumps((json.loads if os.environ['ATTUNE_PARAMETER_FORMAT'] == 'json' else yaml.safe_load)(text)))\n"
    )
    engine = make_ray_engine(packs=[folder])

    result = engine.run(
        "tasks: [{name: a, action: p.back, input: {data: '{{ parameters.data }}', nested: '{{ parameters.nested }}'}}]",
        {"data": HOSTILE, "nested": NESTED},
    )

    assert result.task("a").error is None
    assert result.task("a").result is not None
    assert result.task("a").result["data"] == {"data": HOSTILE, "nested": NESTED}  # type: ignore[index]  # seen above
    assert list(tmp_path.rglob("hacked")) == []
    assert not Path("hacked").exists()


async def test_hostile_data_arrives_in_http_requests() -> None:
    """As JSON, as a body, in the query; in a header, where a line end could begin another one, it is refused."""
    bodies: list[bytes] = []
    targets: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        bodies.append(await reader.readexactly(int(found[1]) if found else 0))
        targets.append(head.split(" ")[1])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    workflow = f"""
    tasks:
    - {{name: json, action: core.http_request, with_items: "{{{{ parameters.data }}}}", concurrency: 1,
       input: {{url: "{url}", method: POST, json_body: {{value: "{{{{ item }}}}"}},
         query_params: {{q: "{{{{ item }}}}"}}}}}}
    - {{name: header, action: core.http_request, with_items: ["a\\r\\nX-Evil: 1", "a\\nb", "a\\0b"],
       input: {{url: "{url}", headers: {{X-Key: "{{{{ item }}}}"}}}}}}
    """
    async with server:
        engine = await asyncio.to_thread(Engine)
        try:
            result = await engine.arun(workflow, {"data": HOSTILE})
            await close_clients()
        finally:
            await asyncio.to_thread(engine.close)

    assert [json.loads(body)["value"] for body in bodies] == HOSTILE
    assert all(re.fullmatch(r"/\?q=[!-~]*", target) for target in targets)
    errors = [one["error"] for one in result.task("header").failed_items]
    assert errors == ["core.http_request: headers may not hold line ends"] * 3


ACTS = """
import attune_ray
@attune_ray.action("t.raises", inline=True)
def raises(text):
    raise ValueError(text)
"""


@pytest.mark.parametrize("text", [text for text in HOSTILE if _CONTROL.search(text) or "[" in text])
def test_what_is_shown_is_harmless(tmp_path: Path, text: str) -> None:
    """Lines, report, output, questions, warnings and problems: no character of it does anything to a terminal."""
    (tmp_path / "acts.py").write_text(ACTS)
    tasks = [
        {"name": "fails", "action": "t.raises", "input": {"text": "{{ parameters.text }}"}},
        {
            "name": "each",
            "action": "t.raises",
            "with_items": ["{{ parameters.text }}"],
            "input": {"text": "{{ item }}"},
        },
        {"name": "asks", "action": "core.ask", "timeout": 0.01, "input": {"prompt": "{{ parameters.text }}"}},
    ]
    flow = {"label": text[:200] or "x", "tasks": tasks}
    good = {"label": "x", "tasks": [{"name": "a", "action": "core.noop"}], "output_map": {"out": "{{ parameters }}"}}
    (tmp_path / "flow.yaml").write_text(yaml.safe_dump(flow))
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(good))
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"tasks": [{"name": text, "action": text, text: text}]}))
    parameters = json.dumps({"text": text, text: [text]})

    _, out, err = CommandLine(
        ("run", "flow.yaml", "--actions", "acts.py", "--parameters", "-"), tmp_path, stdin=parameters
    ).end()
    _, good_out, good_err = CommandLine(("run", "good.yaml", "--parameters", "-"), tmp_path, stdin=parameters).end()
    _, bad_out, bad_err = CommandLine(("validate", "bad.yaml"), tmp_path).end()

    assert "asks:" in err
    assert _CONTROL.findall(out + err + good_out + good_err + bad_out + bad_err) == []
    assert json.loads(good_out.partition("\n{\n")[1] + good_out.partition("\n{\n")[2])["out"]["text"] == text


@pytest.mark.parametrize("text", HOSTILE)
async def test_the_live_view_shows_it_harmless(text: str) -> None:
    """Neither as markup nor as control sequences; a label, a question, and what the report says afterwards."""
    terminal = io.StringIO()
    view = LiveView(text, Console(file=terminal, force_terminal=True, width=300, markup=False))
    workflow = """
    tasks: [{name: asks, action: core.ask, timeout: 0.3, input: {prompt: "{{ parameters.text }}"}}]
    """
    engine = await asyncio.to_thread(Engine, observers=[view])
    try:
        result = await engine.arun(workflow, {"text": text})
    finally:
        await asyncio.to_thread(engine.close)
    report = "\n".join([summary(result), *failures(result), to_json({"x": text, text: 1})])

    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", terminal.getvalue())  # rich's own colours and moves
    assert "asks" in shown
    assert _CONTROL.findall(shown + report) == []
    assert "\x1b[31mred" not in terminal.getvalue()
    if "markup" in text:
        assert text in shown
