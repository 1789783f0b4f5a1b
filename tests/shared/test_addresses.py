"""Which URLs a webhook may have, and which addresses count as public."""

import pytest

from shared import addresses
from shared.addresses import Rules, Target, read_rules
from shared.errors import InvalidRequest

PUBLIC_ONLY = read_rules("443,8443", "")
AT_HOME = read_rules("443,8443", "127.0.0.0/8, 10.1.2.0/24,fd00::/8")

INSIDE = [
    "127.0.0.1", "127.255.255.254", "::1", "::", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "169.254.169.254", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "fd00:ec2::254", "100.64.0.1", "100.100.100.200", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "64:ff9b::808:808",
    "2002:7f00:1::", "2002:808:808::", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::7f00:1", "::127.0.0.1",
    "224.0.0.1", "239.1.1.1", "ff02::1", "192.0.0.192", "192.0.0.9", "192.88.99.1", "198.18.0.1", "240.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "100::1", "5f00::1",
    "4000::1",
]  # fmt: skip


@pytest.mark.hostile("H54")
@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_not_whatever_way_it_is_written(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"])
def test_what_is_public_is(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("https://Example.COM:8443/a/b?c=d&e=%20", Target("https", "example.com", 8443, "/a/b?c=d&e=%20")),
        ("HTTPS://example.com:/?x", Target("https", "example.com", 443, "/?x")),
        ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ("https://8.8.8.8/", Target("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700::1111]:8443/", Target("https", "2606:4700::1111", 8443, "/")),
        ("https://a_b.example.com/@user", Target("https", "a_b.example.com", 443, "/@user")),
    ],
)
def test_a_url_is_read_into_its_parts(url: str, target: Target) -> None:
    assert addresses.read(url, PUBLIC_ONLY) == target


@pytest.mark.hostile("H54")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("//example.com/", "https://"),
        ("example.com", "https://"),
        ("https:example.com", "name of a host"),
        ("https://", "name of a host"),
        ("https:///path", "name of a host"),
        ("https://user@example.com/", "without a user name"),
        ("https://user:word@example.com/", "without a user name"),
        ("https://:@example.com/", "without a user name"),
        ("https://example.com:80/", "ports 443, 8443, received 80"),
        ("https://example.com:22/", "received 22"),
        ("https://example.com:0/", "received 0"),
        ("https://example.com:65536/", "such as https://example.com"),
        ("https://example.com:x/", "such as https://example.com"),
        ("https://example.com:-1/", "such as https://example.com"),
        ("https://" + "a." * 126 + "com/", "at most 253"),
        ("https://" + "a" * 64 + ".com/", "name of a host"),
        ("https://example.com/" + "x" * 2048, "at most 2,048"),
        ("https://bücher.example/", "xn--"),
        ("https://example.com/Ü", "percent-encoded"),
        ("https://ⓛocalhost/", "xn--"),
        ("https://１２７.0.0.1/", "xn--"),
        ("https://127。0。0。1/", "xn--"),
        ("https://evil\\@127.0.0.1/", "plain ASCII"),
        ("https://exam ple.com/", "plain ASCII"),
        (" https://example.com/", "plain ASCII"),
        ("https://example.com/\r\nX-Evil: 1", "plain ASCII"),
        ("https://exa\tmple.com/", "plain ASCII"),
        ("https://example.com/\0", "plain ASCII"),
        ("https://example.com/#part", "no fragment"),
        ("https://%31%32%37.0.0.1/", "no other way of writing"),
        ("https://%65xample.com/", "name of a host"),
        ("https://example.com./", "name of a host"),
        ("https://.example.com/", "name of a host"),
        ("https://a..b/", "name of a host"),
        ("https://-a.example/", "name of a host"),
        ("https://127.1/", "no other way of writing"),
        ("https://0/", "no other way of writing"),
        ("https://2130706433/", "no other way of writing"),
        ("https://0x7f000001/", "no other way of writing"),
        ("https://0x7f.1/", "no other way of writing"),
        ("https://0177.0.0.1/", "no other way of writing"),
        ("https://017700000001/", "no other way of writing"),
        ("https://1.2.3.4.5/", "no other way of writing"),
        ("https://256.1.1.1/", "no other way of writing"),
        ("https://[fe80::1%25eth0]/", "no other way of writing"),
        ("https://[v1.x]/", "no other way of writing"),
        ("https://[::1/", "such as https://example.com"),
    ],
)
def test_a_url_that_two_could_read_in_two_ways_is_refused_with_what_was_expected(url: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        addresses.read(url, PUBLIC_ONLY)

    assert refused.value.code == "webhook_url_invalid"
    assert said in refused.value.detail
    assert [fault.pointer for fault in refused.value.faults] == ["/url"]


def code_of(url: str, found: list[str], rules: Rules) -> str | None:
    try:
        addresses.check(addresses.read(url, rules), found, rules)
    except InvalidRequest as refused:
        return refused.code
    return None


def test_every_address_of_a_name_must_be_public() -> None:
    url = "https://example.com/"

    assert code_of(url, ["8.8.8.8", "2606:4700::1111"], PUBLIC_ONLY) is None
    assert code_of(url, ["8.8.8.8", "10.0.0.1"], PUBLIC_ONLY) == "webhook_address_refused"
    assert code_of(url, ["::1", "8.8.8.8"], PUBLIC_ONLY) == "webhook_address_refused"
    assert code_of(url, [], PUBLIC_ONLY) == "webhook_address_refused"
    assert code_of(url, [], AT_HOME) == "webhook_address_refused"


def test_an_operator_opens_single_networks_and_nothing_beside_them() -> None:
    assert code_of("http://hook.lan:8080/", ["10.1.2.3"], AT_HOME) is None
    assert code_of("http://localhost:8080/", ["127.0.0.1"], AT_HOME) is None
    assert code_of("https://hook.lan/", ["10.1.2.3", "8.8.8.8"], AT_HOME) is None
    assert code_of("https://[fd00::1]/", ["fd00::1"], AT_HOME) is None
    for address in ("10.1.3.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1"):
        assert code_of("http://hook.lan/", [address], AT_HOME) == "webhook_address_refused"


def test_http_and_other_ports_are_for_these_networks_alone() -> None:
    assert code_of("http://example.com/", ["8.8.8.8"], AT_HOME) == "webhook_url_invalid"
    assert code_of("https://example.com:8080/", ["8.8.8.8"], AT_HOME) == "webhook_url_invalid"
    assert code_of("http://example.com/", ["8.8.8.8", "10.1.2.3"], AT_HOME) == "webhook_url_invalid"
    assert code_of("https://example.com:8443/", ["8.8.8.8"], AT_HOME) is None


def test_whatever_networks_are_opened_nobody_sends_to_all_or_to_no_one_in_particular() -> None:
    everything = read_rules("443", "0.0.0.0/0,::/0")

    for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1"):
        assert code_of("http://hook.lan/", [address], everything) == "webhook_address_refused"


def test_the_host_header_names_the_port_only_where_it_is_unusual() -> None:
    names = {url: addresses.read(url, AT_HOME).name for url in (
        "https://example.com/", "https://example.com:8443/", "http://example.com/", "https://[2606:4700::1111]:8443/",
    )}  # fmt: skip

    assert list(names.values()) == ["example.com", "example.com:8443", "example.com", "[2606:4700::1111]:8443"]
