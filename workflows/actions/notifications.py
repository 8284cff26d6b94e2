"""Notifications by mail.

Actions:
    notifications.compose   writes the messages.
    notifications.send      sends one of them over SMTP.
"""

import select
import smtplib
from email.mime.text import MIMEText
from email.policy import compat32
from typing import Any

import attune_ray

TIMEOUT_S = 30.0
WIRE = compat32.clone(linesep="\r\n")  # the classic policy: it writes a message in a third of the new one's time

# Open connections that nobody uses now, by host and port; a list's pop and append are safe among threads.
_IDLE: dict[tuple[str, int], list[smtplib.SMTP]] = {}


@attune_ray.action("notifications.compose")
def compose(*, count: int, subject: str, body: str, batch: str) -> dict[str, Any]:
    """Write one message for each of so many recipients.

    Args:
        count: recipients.
        subject: of all messages.
        body: of all messages; ``{name}`` becomes the recipient's.
        batch: part of the message ids, which stay the same however often a message is sent.

    Returns:
        ``messages``, a list of ``{message_id, to, subject, body}``.
    """
    messages = []
    for number in range(count):
        name = f"user-{number:05}"
        messages.append(
            {
                "message_id": f"<{batch}.{number}@notifications.example.com>",
                "to": f"{name}@example.com",
                "subject": subject,
                "body": body.replace("{name}", name),
            }
        )
    return {"messages": messages}


@attune_ray.action("notifications.send", blocking=True)
def send(*, message: dict[str, str], host: str, port: int, sender: str = "noreply@example.com") -> dict[str, Any]:
    """Send one message over a connection that is kept for the next ones.

    Args:
        message: as ``notifications.compose`` wrote it.
        host: of the mail server.
        port: of the mail server.
        sender: address that the message comes from.

    Returns:
        ``{message_id, to}``.
    """
    mail = MIMEText(message["body"], "plain", "utf-8")
    mail["From"], mail["To"] = sender, message["to"]
    mail["Subject"], mail["Message-ID"] = message["subject"], message["message_id"]
    idle = _IDLE.setdefault((host, port), [])
    connection = idle.pop() if idle else None
    if connection is None or _has_ended(connection):
        connection = smtplib.SMTP(host, port, local_hostname="localhost", timeout=TIMEOUT_S)
    try:
        connection.sendmail(sender, [message["to"]], mail.as_bytes(policy=WIRE))
    except BaseException:
        connection.close()  # who knows where the dialogue stands
        raise
    idle.append(connection)
    return {"message_id": message["message_id"], "to": message["to"]}


def _has_ended(connection: smtplib.SMTP) -> bool:
    """Whether the server has closed an idle connection: there is something to read, an end or a last word."""
    ended = connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])
    if ended:
        connection.close()
    return ended
