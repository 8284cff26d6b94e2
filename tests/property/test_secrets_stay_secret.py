"""Whatever a workflow does with its secrets, nothing that is written or printed holds one."""

import asyncio
import base64
import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from attune_ray import Engine, load
from attune_ray.cli.launch import Launch
from attune_ray.cli.live import LiveView
from attune_ray.cli.printing import Printer
from attune_ray.cli.session import Session
from attune_ray.errors import AttuneError
from attune_ray.observe.text import harmless

ACTIONS = """
import json
import attune_ray
from attune_ray.errors import PermanentError, TransientError


@attune_ray.action("t.raises", inline=True)
def raises(how, value):
    text = value if isinstance(value, str) else json.dumps(value)
    match how:
        case "key": raise KeyError(value if isinstance(value, str) else text)
        case "json": raise ValueError(json.dumps({"got": text}))
        case "repr": raise TypeError(f"bad value {[text]!r}")
        case "permanent": raise PermanentError(text)
        case "transient": raise TransientError(f"{text} again", delay_s=0)
        case "cause": raise RuntimeError(text) from ValueError(text)
        case "return": return {"data": {(text,): 1}}
        case "unstorable": return {text: object()}
        case "long": raise ValueError("x" * 1_995 + text)


@attune_ray.action("t.same", inline=True)
def same(value):
    return value
"""

# Each use of a secret is the tasks that make it; ``E`` stands for an expression that has the secret as its value.
RAISES = [
    {"name": how, "action": "t.raises", "input": {"how": how, "value": "{{ E }}"}}
    for how in ("key", "json", "repr", "permanent", "transient", "cause", "return", "unstorable", "long")
]
FAILS = [
    {"name": "adds", "action": "t.same", "input": {"value": "{{ E + [1] }}"}},
    {"name": "misses", "action": "t.same", "input": {"value": "{{ parameters[string(E)] }}"}},
    {"name": "converts", "action": "t.same", "input": {"value": "{{ number(E ~ 'x') }}"}},
    {"name": "matches", "action": "t.same", "input": {"value": "{{ match('(' ~ E, 'x') }}"}},
    {"name": "when", "action": "t.same", "when": "E + [1]", "input": {"value": 1}},
    {"name": "wide", "action": "t.same", "concurrency": "{{ E }}", "with_items": [1], "input": {"value": 1}},
    {"name": "sleeps", "action": "core.sleep", "input": {"seconds": "{{ E }}"}},
    {"name": "exits", "action": "core.noop", "input": {"message": "{{ E }}", "exit_code": 3}},
    {"name": "exit_code", "action": "core.noop", "input": {"exit_code": "{{ E }}"}},
    {"name": "asks", "action": "core.ask", "timeout": 0.01, "input": {"prompt": "Is it {{ E }}?"}},
    {"name": "schema", "action": "core.ask", "timeout": 0.01, "input": {"prompt": "x", "response_schema": "{{ E }}"}},
]
HTTP = [
    {"name": name, "action": "core.http_request", "input": {"url": "http://127.0.0.1:1", "timeout": 5, **given}}
    for name, given in {
        "path": {"url": "http://127.0.0.1:1/{{ E }}"},
        "query": {"url": "http://127.0.0.1:1/?q={{ E }}"},
        "user": {"url": "http://me:{{ E }}@127.0.0.1:1/"},
        "host": {"url": "http://[{{ E }}]/"},
        "headers": {"headers": {"X-Key": "{{ E }}"}},
        "basic": {"auth_type": "basic", "auth_username": "me", "auth_password": "{{ E }}"},
        "bearer": {"auth_type": "bearer", "auth_token": "{{ E }}"},
        "body": {"body": "{{ E }}", "method": "POST"},
        "method": {"method": "{{ E }}"},
        "auth": {"auth_type": "{{ E }}"},
    }.items()
]
ITEMS = [
    {"name": "each", "action": "t.raises", "with_items": "{{ [E, [E], {'k': E}] }}",
     "input": {"how": "repr", "value": "{{ item }}"}},
    {"name": "retried", "action": "t.raises", "with_items": ["{{ E }}"], "retry": {"count": 1, "on_error": "E + [1]"},
     "input": {"how": "key", "value": "{{ item }}"}},
    {"name": "passes", "action": "t.same", "input": {"value": "{{ E }}"}, "next": [
        {"when": "result().nothing[E]", "publish": [{"kept": "{{ result().data }}"}, {"lost": "{{ E + [1] }}"}],
         "do": "later"}]},
    {"name": "later", "action": "t.raises", "input": {"how": "json", "value": "{{ kept }}"}},
    {"name": "group", "type": "parallel", "tasks": [
        {"name": "inner", "action": "t.raises", "input": {"how": "repr", "value": "{{ E }}"}}]},
    {"name": "child", "action": "sub.workflow", "input": {"plain": "{{ E }}"}},
]  # fmt: skip
CHILD = """
tasks:
- {name: fails, action: t.raises, input: {how: repr, value: "{{ parameters.plain }}"}}
- {name: warns, action: t.same, input: {value: 1}, next: [{publish: [{x: "{{ parameters.plain + [1] }}"}]}]}
output_map: {x: "{{ parameters.plain }}"}
"""
TASKS = {"raises": RAISES, "fails": FAILS, "http": HTTP, "items": ITEMS}
PLACES = {
    "parameters.token": ({"token": {"type": "string", "secret": True}}, "parameters"),
    "parameters.login.password": (
        {"login": {"type": "object", "properties": {"password": {"type": "string", "secret": True}}}},
        "parameters",
    ),
    "parameters.keys[0]": ({"keys": {"type": "array", "items": {"type": "string", "secret": True}}}, "parameters"),
    "parameters.whole.part": ({"whole": {"type": "object", "secret": True}}, "parameters"),
    "parameters.standing": ({"standing": {"type": "string", "secret": True, "default": "S"}}, "default"),
    "keystore.token": ({}, "keystore"),
    "keystore.deep.list[0]": ({}, "keystore"),
    "keystore.env_token": ({}, "environment"),
}
SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=30).map(lambda t: f"Zq{t}9X")
ODD = ["Zq'\"\\%&+ {{ 7*7 }}\x1b[31m\n9X", "Zqhunter2hunter29X", "Zq" + "k" * 200 + "9X", "Zq{% x %}<script>é😀9X"]


def placed(path: str, secret: str) -> dict[str, Any]:
    """``{"a": {"b": [secret]}}`` for ``root.a.b[0]``."""
    value: Any = secret
    for step in reversed(path.partition(".")[2].replace("[0]", ".0").split(".")):
        value = [value] if step == "0" else {step: value}
    found: dict[str, Any] = value
    return found


def forms(secret: str) -> set[str]:
    """What must not be found, written down without a look at how it is masked."""
    raw = secret.encode()
    encoded = {
        base64.b64encode(raw).decode().rstrip("=")[:-1],
        base64.b64encode(b"me:" + raw).decode().rstrip("=")[4:-1],
    }
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {secret, harmless(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], *encoded, *quoted}


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """All that is printed or logged."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logs = [logging.getLogger(), logging.getLogger("attune_ray")]
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        for log in logs:
            log.addHandler(handler)
        try:
            yield heard
        finally:
            for log in logs:
                log.removeHandler(handler)


def workflow_of(tasks: list[dict[str, Any]], place: str, secret: str) -> str:
    """A workflow whose tasks use the secret that is in that place, and which hands it out as well."""
    schema, where = PLACES[place]
    text = yaml.safe_dump(
        {
            "parameters": {"whole": {"type": "object"}, **schema},
            "tasks": tasks,
            "output_map": {"secret": "{{ E }}", "in_text": "<{{ E }}>", "of_none": "{{ E + [1] }}"},
        },
        allow_unicode=True,
        sort_keys=False,
    )
    text = text.replace("E + [1]", f"{place} + [1]").replace("(E", f"({place}").replace("[E", f"[{place}")
    text = text.replace("{{ E", "{{ " + place).replace(", E]", f", {place}]").replace(": E}", f": {place}}}")
    text = text.replace("~ E", f"~ {place}")
    return (
        text.replace("default: S", "default: " + yaml.safe_dump(secret, default_style='"', width=10_000).strip())
        if where == "default"
        else text
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the actions."""
    path = tmp_path_factory.mktemp("secrets")
    (path / "acts.py").write_text(ACTIONS)
    (path / "child.yaml").write_text(CHILD)
    return path


@pytest.mark.parametrize("use", TASKS)
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS | st.sampled_from(ODD), as_json=st.booleans())
def test_nothing_printed_holds_a_secret(folder: Path, place: str, use: str, secret: str, *, as_json: bool) -> None:
    """Of the command line: standard output, standard error, logs, the report, ``--json``."""
    _, where = PLACES[place]
    keystore = folder / "keystore.yaml"
    keystore.write_text(yaml.safe_dump(placed(place, secret) if where == "keystore" else {}))
    keystore.chmod(0o600)
    parameters = placed(place, secret) if where == "parameters" else {}
    environment = {"ATTUNE_KEYSTORE_ENV_TOKEN": secret} if where == "environment" else {}
    tasks = [task for task in TASKS[use] if task.get("action") != "sub.workflow"]
    with captured() as heard, mock.patch.dict(os.environ, environment):
        launch = Launch(actions=(str(folder / "acts.py"),), keystore=str(keystore))
        session = Session(launch=launch, printer=Printer(out=sys.stdout, as_json=as_json))
        code = session.run(load(workflow_of(tasks, place, secret)), parameters)

    shown = heard.getvalue()
    assert code == 1
    assert "task " in shown
    assert "***" in shown or use == "http"  # which never tells what it was given
    assert [form for form in forms(secret) if form in shown] == []


class Listener:
    """An observer that keeps every text it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def started(self, view: Any) -> None:
        """Also what the view is."""
        self.texts.append(repr(view.run_id))

    def saw(self, run_id: str, event: Any) -> None:
        """An event as it prints."""
        self.texts.append(f"{run_id} {event!r}")

    def warned(self, run_id: str, warning: str) -> None:
        """A warning."""
        self.texts.append(f"{run_id} {warning}")

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """A question."""
        self.texts.append(f"{run_id} {task} {prompt}")

    def ended(self, run_id: str, status: str) -> None:
        """The end."""
        self.texts.append(f"{run_id} {status}")


@pytest.mark.parametrize("use", TASKS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS | st.sampled_from(ODD), place=st.sampled_from([name for name in PLACES if "env" not in name]))
def test_nothing_told_holds_a_secret(folder: Path, use: str, secret: str, place: str) -> None:
    """In Python: observers, the live view, errors and warnings of the result, and representations of everything."""
    _, where = PLACES[place]
    keystore = folder / "keystore.yaml"
    keystore.write_text(yaml.safe_dump(placed(place, secret) if where == "keystore" else {}))
    listener, terminal = Listener(), io.StringIO()
    live = LiveView("title", Console(file=terminal, force_terminal=True, width=500))
    with (
        captured() as heard,
        Engine(
            actions=[folder / "acts.py"],
            workflows={"sub.workflow": folder / "child.yaml"},
            keystore=keystore,
            observers=[listener, live],
        ) as engine,
    ):
        result = asyncio.run(
            engine.arun(workflow_of(TASKS[use], place, secret), placed(place, secret) if where == "parameters" else {})
        )

    told = [*listener.texts, terminal.getvalue(), heard.getvalue(), *result.warnings, repr(result)]
    told += [str(task.error) for task in result.tasks.values()]
    told += [str(one["error"]) for task in result.tasks.values() for one in task.failed_items]
    told.append(str(result.result.get("error")))
    assert result.status.value == "failed"
    assert any("***" in text for text in told) or use == "http"
    assert [form for form in forms(secret) if any(form in text for text in told)] == []


@settings(max_examples=30, deadline=None)
@given(secret=SECRETS, kind=st.sampled_from(["integer", "boolean", "array", "object"]), nested=st.booleans())
def test_a_secret_of_the_wrong_type_is_refused_without_its_value(secret: str, kind: str, *, nested: bool) -> None:
    """Before anything runs."""
    declared: dict[str, Any] = {"token": {"type": kind, "secret": True, "enum": [secret * 2], "pattern": "^$"}}
    given_values: dict[str, Any] = {"token": secret}
    if nested:
        declared, given_values = {"login": {"type": "object", "properties": declared}}, {"login": given_values}
    text = json.dumps({"parameters": declared, "tasks": [{"name": "a", "action": "core.noop"}]})

    with Engine() as engine, pytest.raises(AttuneError) as refused:
        engine.run(text, given_values)

    assert "token" in str(refused.value)
    assert [form for form in forms(secret) if form in str(refused.value)] == []
