"""Secrets on real Ray: neither what the command line prints nor any file of Ray's session holds one."""

import base64
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cli_driver import CommandLine

pytestmark = pytest.mark.ray

KEY, TOKEN, ITEM, WRITTEN = "Kq-keystore/value+9", "Tq-para'meter value9", "Iq-item-value-99", "Wq-written-value9"
ACTIONS = """
import os
import attune_ray

@attune_ray.action("t.raises")
def raises(value):
    raise ValueError({"got": [value]})

@attune_ray.action("t.slow")
def slow(value):
    import time
    time.sleep(30)

@attune_ray.action("t.dies")
def dies(value):
    os._exit(3)

@attune_ray.action("t.waits")
async def waits(value):
    raise KeyError(value)
"""
WORKFLOW = f"""
parameters:
  token: {{type: string, secret: true}}
tasks:
- {{name: key, action: t.raises, input: {{value: "{{{{ keystore.api_key }}}}"}}}}
- {{name: token, action: t.waits, input: {{value: "{{{{ parameters.token }}}}"}}}}
- {{name: slow, action: t.slow, timeout: 0.2, input: {{value: "{{{{ keystore.api_key }}}}"}}}}
- {{name: dies, action: t.dies, input: {{value: "{{{{ parameters.token }}}}"}}}}
- name: each
  action: p.fails
  with_items: [{{t: {ITEM}}}, {{t: {ITEM}-2}}]
  input: {{token: "{{{{ item.t }}}}", mode: fail}}
- {{name: written, action: p.fails, input: {{token: {WRITTEN}, mode: print}}}}
- {{name: misfits, action: p.fails, input: {{token: "{{{{ keystore.api_key }}}}", mode: "{{{{ parameters.token }}}}"}}}}
- {{name: shows, action: core.echo, input: {{message: "{{{{ task.written.stdout }}}}"}}}}
- {{name: passes, action: p.fails, input: {{token: "{{{{ keystore.api_key }}}}", mode: print}}, next: [{{do: reads}}]}}
- {{name: reads, action: t.raises, input: {{value: "{{{{ task.passes.stdout }}}}"}}}}
- {{name: end, action: core.noop}}
output_map: {{all: "{{{{ keystore.api_key }}}} {{{{ parameters.token }}}} {{{{ task.written.stdout }}}}"}}
"""
PRINTS = """
tasks:
- name: prints
  action: p.fails
  with_items: [{t: Pq-printed-1}, {t: Pq-printed-1}, {t: Pq-printed-2}]
  input: {token: "{{ item.t }}", mode: print}
  cache: {ttl: 60}
- {name: again, action: p.fails, with_items: [{t: Pq-printed-3}], input: {token: "{{ item.t }}", mode: print}}
- {name: plain, action: p.fails, input: {token: "{{ task.again.failed_count }}-Pq-printed-4", mode: print}}
output_map: {items: "{{ task.prints.results + task.again.results }}", plain: "{{ task.plain.stdout }}"}
"""
SCRIPT = """
read -r parameters
echo "$parameters"
case "$parameters" in *fail*) echo "cannot use $parameters" >&2; exit 7;; esac
"""
ACTION = """
runner_type: shell
entry_point: fails.sh
parameters:
  token: {type: string, secret: true}
  mode: {type: string, enum: [fail, print]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Actions, a pack and a workflow."""
    (tmp_path / "acts.py").write_text(ACTIONS)
    (tmp_path / "flow.yaml").write_text(WORKFLOW)
    (tmp_path / "p" / "actions").mkdir(parents=True)
    (tmp_path / "p" / "pack.yaml").write_text("ref: p\n")
    (tmp_path / "p" / "actions" / "fails.yaml").write_text(ACTION)
    (tmp_path / "p" / "actions" / "fails.sh").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its session; its sockets allow no long path."""
    path = Path(tempfile.mkdtemp(prefix="ray-"))
    yield path
    shutil.rmtree(path)


def traces(secret: str, content: bytes) -> bool:
    """Whether a file or a text holds a secret in some form."""
    raw = secret.encode()
    forms = {raw, quote(secret, safe="").encode(), base64.b64encode(raw).rstrip(b"=")[:-1], raw.replace(b"'", b"\\'")}
    return any(form in content for form in forms)


def test_no_secret_is_printed_or_logged(folder: Path, ray_folder: Path) -> None:
    """Of a keystore, of parameters on the command line, of pack actions: by item, written, and handed on."""
    arguments = ("run", "flow.yaml", "--actions", "acts.py", "--pack", "p", "-p", f"token={TOKEN}", "--num-cpus", "1")
    arguments += ("--memray", "memory")
    environment = {"ATTUNE_KEYSTORE_API_KEY": KEY, "RAY_TMPDIR": str(ray_folder)}

    code, out, err = CommandLine(arguments, folder, environment).end()

    assert code == 1
    shown = (out + err).encode()
    assert b"cannot use" in shown
    assert b"***" in shown
    files = [path for path in [*ray_folder.rglob("*"), *(folder / "memory").rglob("*")] if path.is_file()]
    assert any("worker" in path.name for path in files)
    assert any(path.name == "coordinator.bin" for path in files)
    found = [(secret, "output") for secret in (KEY, TOKEN, ITEM, WRITTEN) if traces(secret, shown)]
    found += [
        (secret, str(path))
        for path in files
        for secret in (KEY, TOKEN, ITEM, WRITTEN)
        if traces(secret, path.read_bytes())
    ]
    assert found == []


def test_what_an_action_took_as_a_secret_is_not_printed_when_it_succeeds(folder: Path) -> None:
    """A value that comes with an item is known to the action's schema alone, on the worker."""
    (folder / "prints.yaml").write_text(PRINTS)

    code, out, err = CommandLine(("run", "prints.yaml", "--pack", "p", "--num-cpus", "1"), folder).end()

    assert code == 0
    assert out.count("***") == 5
    assert "Pq-printed" not in out + err
