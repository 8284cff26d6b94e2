"""Which addresses ``core.http_request`` connects to: not those where a machine tells its credentials to whoever asks.

A workflow's URL may come from anybody's data, and a metadata service gives a cloud role's keys to any request from the
machine. Checked are the host of each request, redirects included, and the address that a connection really has: between
a lookup and a connection a name may have moved.
"""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from attune_ray.errors import PermanentError

if TYPE_CHECKING:  # see http_request
    import httpcore
    import httpx

__all__ = ["Guard", "guard_of", "guarded"]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

_REFUSED: Final = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local: AWS, Azure, Google, Oracle, DigitalOcean, …
            "fe80::/10",
            "fd00:ec2::/32",  # AWS
            "fd20:ce::254/128",  # Google
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
        ),
    )
)
_REFUSED_NAMES: Final = frozenset(
    {
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "instance-data",
        "instance-data.ec2.internal",
    }
)
_NAT64: Final = ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ip_network("::/96")


@dataclass(frozen=True, slots=True)
class Guard:
    """Tells whether a host or an address may be reached.

    Attributes:
        networks, names: what may be although it is link-local or serves metadata.
    """

    networks: tuple[_Network, ...] = ()
    names: frozenset[str] = frozenset()

    def check_host(self, host: str) -> None:
        """Refuse a host by its name, or by the address that it spells.

        Raises:
            PermanentError: it is refused.
        """
        name = _plain(host)
        if name in self.names:
            return
        if name in _REFUSED_NAMES:
            raise _refusal(host, "it serves a cloud's metadata")
        if (address := _spelled(name)) is not None:
            self.check_address(host, address)

    def check_address(self, host: str, address: _Address) -> None:
        """Refuse an address that a host has.

        Raises:
            PermanentError: it is refused.
        """
        if _plain(host) in self.names:
            return
        for one in _meant(address):
            refused = any(one in network for network in _REFUSED)
            if refused and not any(one in network for network in self.networks):
                raise _refusal(host, f"{address} is link-local or serves a cloud's metadata")


@lru_cache(maxsize=64)
def guard_of(allowed: tuple[str, ...]) -> Guard:
    """The guard that lets addresses, networks and names pass besides what is harmless."""
    networks: list[_Network] = []
    names: set[str] = set()
    for entry in allowed:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            names.add(_plain(entry))
    return Guard(tuple(networks), frozenset(names))


def guarded(client: "httpx.AsyncClient", guard: Guard) -> "httpx.AsyncClient":
    """The client with the guard before each request and behind each connection that it makes itself.

    What a proxy connects to is the proxy's affair: there the host of the request alone is checked.
    """

    async def check(request: "httpx.Request") -> None:
        guard.check_host(request.url.host)

    client.event_hooks = {"request": [check]}
    pool: Any = client._transport._pool  # type: ignore[attr-defined]  # noqa: SLF001  httpx has no argument for it
    if not hasattr(pool, "_network_backend"):
        raise AssertionError("httpcore keeps its backend elsewhere: the guard must be put there")
    pool._network_backend = _backend(guard, pool._network_backend)  # noqa: SLF001
    return client


def _backend(guard: Guard, inner: "httpcore.AsyncNetworkBackend") -> "httpcore.AsyncNetworkBackend":
    import httpcore  # noqa: PLC0415  comes with httpx

    class Guarded(httpcore.AsyncNetworkBackend):
        """Looks a name up before it connects, and at the peer when it has: before anything is sent."""

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109  as httpcore calls it
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            for address in await _addresses(host, port):
                guard.check_address(host, address)
            stream = await inner.connect_tcp(host, port, timeout, local_address, socket_options)
            try:
                guard.check_address(host, _address(stream.get_extra_info("server_addr")[0]))
            except PermanentError:
                await stream.aclose()
                raise
            return stream

        async def sleep(self, seconds: float) -> None:
            await inner.sleep(seconds)

    return Guarded()


async def _addresses(host: str, port: int) -> Iterable[_Address]:
    """Those that a name has now; none where it cannot be looked up, which the connection will tell."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return {_address(str(place[0])) for *_, place in found}


def _address(text: str) -> _Address:
    return ip_address(text.partition("%")[0])


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _spelled(host: str) -> _Address | None:
    """The address that a host is: also in one number, in octal or in hex, as the C library reads it."""
    try:
        return _address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):  # a name
        return None


def _meant(address: _Address) -> Iterable[_Address]:
    """The address, and the IPv4 addresses that it carries."""
    yield address
    if isinstance(address, IPv6Address):
        if address in _NAT64 or address in _COMPATIBLE:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo or ()
        yield from (one for one in (address.ipv4_mapped, address.sixtofour, *teredo) if one is not None)


def _refusal(host: str, reason: str) -> PermanentError:
    return PermanentError(
        f"core.http_request: {host} is refused: {reason} (allow it in LimitSettings.link_local_hosts)"
    )
