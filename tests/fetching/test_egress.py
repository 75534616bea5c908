"""Which addresses are dialled for a stranger: public ones, and what a setting opened."""

import pytest

from back_service.egress import AddressDenied, Egress

NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "0.0.0.0",  # noqa: S104  # nothing is bound to it
    "0.1.2.3",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.216.34",
    "::169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:a9fe:a9fe::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fd00:ec2::254",
    "fd00:c1::a9fe:a9fe",
    "fd20:ce::254",
    "::ffff:0:127.0.0.1",
    "2001:470::5efe:7f00:1",
    "2001:470::200:5efe:7f00:1",
]
PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "240.0.0.1",
    "::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "2001:db8::1",
    "2001:10::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "4000::1",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2606:2800:220:1:248:1893:25c8:1946",
    "2001:200::1",
    "2a00:1450:4001:81b::200e",
]
OPEN = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize("address", NEVER + PRIVATE)
def test_what_is_not_public_is_denied(address: str) -> None:
    """Behind each of these stands somebody who trusts whoever is inside."""
    with pytest.raises(AddressDenied):
        Egress().judge(address, 443, secure=True)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_disguises_cannot_be_opened(address: str) -> None:
    """A setting meant for development must not hand out the credentials of a cloud machine."""
    with pytest.raises(AddressDenied):
        Egress(allow=OPEN).judge(address, 443, secure=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_setting_opens_private_networks(address: str) -> None:
    """Files of one's own network may be wanted; then on any port, and without TLS."""
    Egress(allow=OPEN).judge(address, 1_234, secure=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_may_be_dialled(address: str) -> None:
    """Neighbours of denied networks are not denied with them."""
    Egress().judge(address, 443, secure=True)


@pytest.mark.parametrize("port", [0, 22, 25, 80, 6379, 8080, 65_535])
def test_other_ports_of_the_public_are_denied(port: int) -> None:
    """A file server speaks https; nobody shall make us speak to their mail server."""
    with pytest.raises(AddressDenied):
        Egress().judge("93.184.216.34", port, secure=True)


def test_plain_http_is_for_port_80_where_that_is_open() -> None:
    """What travels in the open is only fetched where the operator said so."""
    egress = Egress(ports=(80, 443))
    egress.judge("93.184.216.34", 80, secure=False)

    for judge, port in ((egress, 443), (Egress(), 443), (Egress(), 80)):
        with pytest.raises(AddressDenied):
            judge.judge("93.184.216.34", port, secure=False)


def test_a_network_that_is_none_is_refused_at_the_start() -> None:
    """A slip of the pen must not open or close more than was meant."""
    with pytest.raises(ValueError, match=r"10\.0\.0"):
        Egress(allow=("10.0.0.1/8",))
