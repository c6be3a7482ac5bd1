"""Which machines may be asked for images. A manifest, and a store, is data: it must not make this machine read what
only this machine can reach.

Hosts at public addresses may be asked. Those at others (loopback, private networks, link-local, where clouds keep
their credentials) may be asked if a person has named them: as the source of a command, with `--allow-host`, or in
MEMAUDIT_ALLOW_HOSTS.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from memaudit.errors import UsageError

VARIABLE = "MEMAUDIT_ALLOW_HOSTS"
_NAT64 = ip_network("64:ff9b::/96")
_named: set[str] = set()


class Address(NamedTuple):
    """Where a connection goes: `family` and `place` are what a socket takes."""

    family: socket.AddressFamily
    place: tuple[str, int]


def allow_hosts(hosts: Iterable[str]) -> None:
    """Let this process ask these hosts, wherever they are: names or addresses as in URLs, or networks (10.0.0.0/8).

    Raises UsageError for what is neither.
    """
    for host in hosts:
        if not host or ("/" in host and not _is_network(host)):
            raise UsageError(f"--allow-host {host!r}: expected a host's name or address, or a network as 10.0.0.0/8")
        _named.add(host.lower().strip("[]"))


def allow_source(url: str) -> None:
    """Let this process ask the host and port of a URL that a person has named."""
    with suppress(ValueError):  # which is no URL, and cannot be read
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme.lower(), 0)
        _named.add(f"{(parts.hostname or '').lower()}:{port}")


def allowed_hosts() -> set[str]:
    """All that this process may ask wherever they are, in a form that `allow_hosts` takes."""
    return {*_named, *filter(None, os.environ.get(VARIABLE, "").lower().replace(" ", "").split(","))}


def addresses_of(host: str, port: int) -> list[Address]:
    """The addresses of a host. Raises OSError if it has none, or one that nobody has allowed: whoever connects must
    take these, for the name may lead elsewhere when it is asked for again."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise OSError(errno.EHOSTUNREACH, f"host {host[:100]!r} is not known: {why}") from None
    addresses = [Address(family, (str(place[0]), port)) for family, _, _, _, place in found]
    for address in addresses:
        _require_allowed(host, *address.place)
    return addresses


def _require_allowed(host: str, address: str, port: int) -> None:
    seen = ip_address(address.partition("%")[0])
    allowed = allowed_hosts()
    if _is_public(seen) or not allowed.isdisjoint((host.lower(), f"{host.lower()}:{port}")):
        return
    if any(seen in ip_network(network, strict=False) for network in allowed if _is_network(network)):
        return
    raise PermissionError(
        errno.EACCES, f"{host[:100]} is at {seen}, no public address: memaudit --allow-host {host[:100]} would read it"
    )


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Judged by the IPv4 address that an IPv6 address stands for, if it stands for one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
