"""Link-local addresses and metadata services are refused however they are spelled; all else passes."""

from ipaddress import ip_address

import pytest

from attune_ray.actions.core.http_guard import guard_of
from attune_ray.errors import PermanentError

REFUSED = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xA9FEA9FE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.169.254.",
    "fe80::1",
    "[fe80::1]",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
    "METADATA.Google.Internal.",
]
FINE = [
    "127.0.0.1",
    "::1",
    "localhost",
    "10.0.0.1",
    "192.168.1.1",
    "100.100.100.201",
    "169.253.1.1",
    "8.8.8.8",
    "a.b",
    "",
]


@pytest.mark.parametrize("host", REFUSED)
def test_a_dangerous_host_is_refused(host: str) -> None:
    """With what to do about it."""
    with pytest.raises(PermanentError, match=r"is refused: .* \(allow it in LimitSettings\.link_local_hosts\)"):
        guard_of(()).check_host(host)


@pytest.mark.parametrize("host", FINE)
def test_other_hosts_pass(host: str) -> None:
    """Loopback and private networks are the author's affair."""
    guard_of(()).check_host(host)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("169.254.169.254", "169.254.169.254"),
        ("169.254.0.0/16", "2852039166"),
        ("169.254.0.0/16", "::ffff:169.254.169.254"),
        ("fe80::/10", "fe80::1%eth0"),
        ("Metadata.Google.Internal", "metadata.google.internal"),
    ],
)
def test_what_is_allowed_passes(allowed: str, host: str) -> None:
    """Addresses, networks and names."""
    guard_of((allowed,)).check_host(host)


def test_an_allowed_name_may_have_any_address() -> None:
    """And no other name may."""
    guard = guard_of(("keys.example",))

    guard.check_address("keys.example", ip_address("169.254.169.254"))
    with pytest.raises(PermanentError, match=r"other\.example is refused: 169\.254\.169\.254 is link-local"):
        guard.check_address("other.example", ip_address("169.254.169.254"))


def test_an_allowed_network_lets_no_other_pass() -> None:
    """Each is named for itself."""
    with pytest.raises(PermanentError):
        guard_of(("169.254.1.0/24",)).check_host("169.254.169.254")
