import pytest

from shmctl.cli.addresses import Address, parse_address
from shmctl.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9100", "127.0.0.1", 9100),
        (":9100", "127.0.0.1", 9100),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),  # noqa: S104 - it is only parsed
        ("[::1]:9100", "::1", 9100),
        ("[fe80::1%eth0]:9100", "fe80::1%eth0", 9100),
        ("localhost:9100", "localhost", 9100),
    ],
)
def test_what_an_address_means(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "host", "host:", "::1:9100", "[::1]", "[host]:1", "1:2:3", "a b:1", "http://a:1", "-1"),
        *(":+1", "65536", "099999", ":9100/metrics", "٩١٠٠", "1 "),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InputError):
        parse_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:80"])
def test_it_is_shown_as_it_is_written(text: str) -> None:
    assert str(parse_address(text)) == text
