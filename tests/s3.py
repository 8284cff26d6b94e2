"""An S3 service on loopback: moto's server, which speaks S3 over HTTP, with buckets in memory."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

__all__ = ["KEY", "S3", "SECRET", "running_s3"]

KEY, SECRET = "AKIDTESTKEY", "s3cr3t/of+tests"
"""What every address of ours is let in with; the secret has the signs that real ones have."""


@dataclass(frozen=True)
class S3:
    """A running service.

    Attributes:
        endpoint: host and port.
    """

    endpoint: str

    def uri(self, path: str, user: str = f"{KEY}:{quote(SECRET, safe='')}@", **options: str) -> str:
        """The URI of ``bucket/key`` here, or of a pattern of such.

        Args:
            user: as it is to stand in the URI.
        """
        return f"s3://{user}{path}?{urlencode(self._options | options)}"

    def make_bucket(self, name: str, objects: Mapping[str, bytes] | None = None) -> None:
        """A bucket, and what is in it by key."""
        self._files().create_dir(name)
        for key, content in (objects or {}).items():
            self.put(f"{name}/{key}", content)

    def put(self, path: str, content: bytes) -> None:
        """Write ``bucket/key``."""
        with self._files().open_output_stream(path, compression=None) as stream:  # the key tells it nothing
            stream.write(content)

    def remove(self, path: str) -> None:
        """Remove ``bucket/key``."""
        self._files().delete_file(path)

    @contextmanager
    def closed_to_strangers(self) -> Iterator[None]:
        """Meanwhile nobody's key is known, so that every request is refused."""
        self._asks_for_keys_after("0")
        try:
            yield
        finally:
            self._asks_for_keys_after("inf")

    @property
    def _options(self) -> dict[str, str]:
        return {"endpoint_override": self.endpoint, "scheme": "http", "region": "us-east-1"}

    def _files(self) -> Any:
        from pyarrow import fs  # noqa: PLC0415  heavy

        return fs.S3FileSystem(access_key=KEY, secret_key=SECRET, allow_bucket_creation=True, **self._options)

    def _asks_for_keys_after(self, n_requests: str) -> None:
        url = f"http://{self.endpoint}/moto-api/reset-auth"
        with urlopen(Request(url, n_requests.encode(), {"Content-Type": "text/plain"})):
            pass


@contextmanager
def running_s3() -> Iterator[S3]:
    """A service at a port of its own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3(f"{host}:{port}")
    finally:
        server.stop()
