"""The actions of workflows/actions/smtp_sink.py and notifications.py, over real SMTP and without an engine."""

import importlib.util
import os
import select
import smtplib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from attune_ray.actions.sources import actions_of, sources_of
from attune_ray.errors import PermanentError

ACTIONS = Path(__file__).parents[2] / "workflows" / "actions"


def load(path: Path) -> dict[str, Callable[..., Any]]:
    """The actions of a file, loaded as a worker loads them."""
    return {action.ref: action.function for source in sources_of(path) for action in actions_of(source)}


SINK = load(ACTIONS / "smtp_sink.py")
NOTIFICATIONS = load(ACTIONS / "notifications.py")


def ends(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], within_s)[0])
    finally:
        os.close(process)


@pytest.fixture
def start() -> Iterator[Callable[..., dict[str, Any]]]:
    """Starts sinks that are stopped after the test, and closes what is connected to them."""
    with ExitStack() as stack:

        def started(**parameters: Any) -> dict[str, Any]:
            sink: dict[str, Any] = SINK["smtp_sink.start"](**parameters)
            stack.callback(SINK["smtp_sink.stop"], sink=sink)
            return sink

        yield started
    kept = NOTIFICATIONS["notifications.send"].__globals__["_IDLE"]
    for connections in kept.values():
        for connection in connections:
            connection.close()
    kept.clear()


def compose(count: int) -> list[dict[str, str]]:
    """So many messages."""
    written = NOTIFICATIONS["notifications.compose"](count=count, subject="Über", body="Hello {name}", batch="run-1")
    messages: list[dict[str, str]] = written["messages"]
    return messages


def send(sink: dict[str, Any], message: dict[str, str]) -> dict[str, Any]:
    """One message."""
    sent: dict[str, Any] = NOTIFICATIONS["notifications.send"](message=message, host=sink["host"], port=sink["port"])
    return sent


def test_all_messages_that_were_sent_have_arrived(start: Callable[..., Any]) -> None:
    """From many threads at once, over one connection for each."""
    sink = start()
    messages = compose(300)

    with ThreadPoolExecutor(8) as threads:
        sent = list(threads.map(lambda message: send(sink, message), messages))

    assert [one["message_id"] for one in sent] == [message["message_id"] for message in messages]
    assert SINK["smtp_sink.count"](sink=sink) == {"received": 300, "deliveries": 300}
    kept = NOTIFICATIONS["notifications.send"].__globals__["_IDLE"]
    assert 1 <= sum(map(len, kept.values())) <= 8


def test_a_message_that_is_sent_twice_is_received_once(start: Callable[..., Any]) -> None:
    """A retry keeps the message's id."""
    sink, message = start(), compose(1)[0]

    send(sink, message)
    send(sink, message)

    assert SINK["smtp_sink.count"](sink=sink) == {"received": 1, "deliveries": 2}


def test_a_connection_that_the_server_has_closed_is_replaced(start: Callable[..., Any]) -> None:
    """The next message goes over a new one."""
    sink = start()
    first, second = compose(2)
    send(sink, first)
    (connection,) = NOTIFICATIONS["notifications.send"].__globals__["_IDLE"][sink["host"], sink["port"]]
    connection.putcmd("quit")
    assert connection.sock.recv(1, socket.MSG_PEEK)  # its last word

    send(sink, second)

    assert SINK["smtp_sink.count"](sink=sink)["received"] == 2


def test_a_header_cannot_be_smuggled_in(start: Callable[..., Any]) -> None:
    """The recipient's address is data from outside."""
    message = compose(1)[0] | {"subject": "Hi\nBcc: someone@example.com"}

    with pytest.raises(Exception, match="embedded header"):
        send(start(), message)


def test_no_process_remains_after_the_sink_is_stopped(start: Callable[..., Any]) -> None:
    """Stopping twice does no harm."""
    sink = start()

    assert SINK["smtp_sink.stop"](sink=sink) == {"stopped": True}

    assert ends(sink["pid"])
    assert SINK["smtp_sink.stop"](sink=sink) == {"stopped": True}


def test_the_sink_ends_by_itself_when_nobody_says_anything(start: Callable[..., Any]) -> None:
    """A run that breaks off leaves nothing behind."""
    assert ends(start(idle_s=0.3)["pid"])


def test_only_its_token_opens_and_ends_the_sink(start: Callable[..., Any]) -> None:
    """Anyone on the machine may reach its port."""
    sink = start()

    with smtplib.SMTP(sink["host"], sink["port"], local_hostname="localhost") as connection:
        assert connection.docmd("XCOUNT", "guess")[0] == 550
        assert connection.docmd("XSTOP")[0] == 550
    assert SINK["smtp_sink.count"](sink=sink)["received"] == 0


def test_a_mail_server_given_by_its_address_is_neither_counted_nor_stopped() -> None:
    """It is used as it is."""
    sink = SINK["smtp_sink.start"](smtp_host="mail.example.com", smtp_port=587)

    assert sink == {"host": "mail.example.com", "port": 587}
    assert SINK["smtp_sink.count"](sink=sink) == {"received": None, "deliveries": None}
    assert SINK["smtp_sink.stop"](sink=sink) == {"stopped": False}


def test_without_aiosmtpd_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed only by this example."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(PermanentError, match="pip install aiosmtpd"):
        SINK["smtp_sink.start"]()
