"""Where a webhook may point: its URL, read by one parser and strictly, and the addresses that its name came to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from shared.errors import Fault, InvalidRequest

Network = IPv4Network | IPv6Network

HOST_SIGNS, URL_SIGNS = 253, 2048
PORTS = {"https": 443, "http": 80}
# Neither blanks, controls nor scripts, nor the signs that two parsers read in two ways.
PLAIN = re.compile(r"[!-~]+")
TWOFOLD = re.compile(r'[\\"<>^`{|}#]')
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# What resolvers take for a number: 127.1, 2130706433, 0x7f000001, 0177.0.0.1.
NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")
# Public by the tables of some Pythons, and yet ways to an address inside: NAT64, 6to4, Teredo and its kin, relays.
DETOURS = [ip_network(text) for text in ("2001::/23", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24")]
# Everything public in IPv6 lies here; NAT64 and addresses that hold one of IPv4 do not.
PUBLIC_V6 = ip_network("2000::/3")


@dataclass(frozen=True)
class Rules:
    """What an operator allows: ports, and the networks that are reached although they are not public."""

    ports: frozenset[int]
    private: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Target:
    """A URL in its parts; `host` without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """The Host header: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def read_rules(ports: str, private: str) -> Rules:
    """The rules as settings write them: `443,8443` and `10.1.2.0/24,fd00::/8`. Raises ValueError."""
    numbers = [int(text) for text in ports.split(",")]
    if not all(0 < number < 65_536 for number in numbers):
        raise ValueError("no port")
    return Rules(frozenset(numbers), tuple(ip_network(text.strip()) for text in private.split(",") if text.strip()))


def read(url: str, rules: Rules) -> Target:
    """The parts of a URL. Raises InvalidRequest where they could not be those of a receiver under any address."""
    parts, port = _split(url)
    if parts.scheme != "https" and (parts.scheme != "http" or not rules.private):
        raise _wrong("expected a URL that begins with https://")
    if "@" in parts.netloc:
        raise _wrong("expected a URL without a user name or password")
    host = _host(parts)
    port = PORTS[parts.scheme] if port is None else port
    if port not in rules.ports and not rules.private:
        raise _wrong(f"expected one of the ports {_listed(rules)}, received {port}")
    return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def check(target: Target, addresses: Sequence[str], rules: Rules) -> None:
    """Refuse a target unless every address is public, or within a network that the operator allows."""
    if addresses and all(_is_within(address, rules.private) for address in addresses):
        return
    if not addresses or not all(is_public(address) or _is_within(address, rules.private) for address in addresses):
        raise refusal()
    if target.scheme != "https" or target.port not in rules.ports:
        raise _wrong(f"expected https:// and one of the ports {_listed(rules)} for a public address")


def refusal() -> InvalidRequest:
    """One answer for an unknown name and one that leads inside: two would tell which names there are inside."""
    said = "expected a host that can be found, and whose every address is public"
    return InvalidRequest(said, code="webhook_address_refused", faults=[Fault(said, pointer="/url")])


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, and of nothing else by another way of writing."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, IPv6Address) and address not in PUBLIC_V6:
        return False
    return not _is_in(address, DETOURS)


def _is_within(text: str, networks: Sequence[Network]) -> bool:
    address = ip_address(text)
    # Whatever is allowed, nobody is meant who says "all" or "nobody in particular".
    return not (address.is_multicast or address.is_unspecified) and _is_in(address, networks)


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _split(url: str) -> tuple[SplitResult, int | None]:
    if len(url) > URL_SIGNS:
        raise _wrong(f"expected at most {URL_SIGNS:,} characters, received {len(url):,}")
    if not PLAIN.fullmatch(url) or TWOFOLD.search(url):
        raise _wrong("expected a URL of plain ASCII: a host as xn--…, all else percent-encoded, and no fragment")
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as cause:
        raise _wrong("expected a URL such as https://example.com/hook") from cause


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if len(host) > HOST_SIGNS:
        raise _wrong(f"expected a host of at most {HOST_SIGNS} characters, received {len(host):,}")
    if "[" in parts.netloc or NUMERIC.fullmatch(host):
        return _literal(host)
    if not NAME.fullmatch(host):
        raise _wrong("expected the name of a host")
    return host


def _literal(host: str) -> str:
    try:
        # A zone, after `%`, has a meaning on one host only.
        address = IPv6Address(host) if ":" in host and "%" not in host else IPv4Address(host)
    except ValueError as cause:
        raise _wrong("expected an address as 192.0.2.1 or [2001:db8::1], in no other way of writing") from cause
    return str(address)


def _listed(rules: Rules) -> str:
    return ", ".join(str(port) for port in sorted(rules.ports))


def _wrong(said: str) -> InvalidRequest:
    return InvalidRequest(said, code="webhook_url_invalid", faults=[Fault(said, pointer="/url")])
