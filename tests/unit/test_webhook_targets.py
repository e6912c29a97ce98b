"""Where a webhook may go, and how its messages are signed and sent."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tidegate.adapters.outbound import Outbound
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.job import State
from tidegate.domain.webhook import (
    OVERLAP_MS,
    WebhookSecret,
    check_webhook,
    is_allowed,
    message_id,
    parse_target,
    signatures,
    wants,
)

REFUSED = """
http://example.com/              ftp://example.com/             https:///path            https://
https://user@example.com/        https://a:b@example.com/       https://example.com/#x   https://exa mple.com/
https://127.0.0.1/               https://127.1/                 https://127.0.1/         https://2130706433/
https://0x7f000001/              https://0x7f.0.0.1/            https://0177.0.0.1/      https://017700000001/
https://0x7f.1/                  https://127.0.0.1./            https://127.0.0.1:8443/  https://0/
https://0.0.0.0/                 https://00000177.0.0.1/        https://127.000.000.001/ https://1.2.3.4.5/
https://10.0.0.1/                https://172.16.0.1/            https://172.31.255.255/  https://192.168.1.1/
https://3232235777/              https://0xc0a80101/            https://192.168.257/     https://100.64.0.1/
https://169.254.169.254/         https://2852039166/            https://0xa9fea9fe/      https://0251.0376.0251.0376/
https://169.254.43518/           https://169.16689662/          https://[::ffff:169.254.169.254]/
https://[::ffff:a9fe:a9fe]/      https://[::ffff:0:a9fe:a9fe]/  https://[::169.254.169.254]/
https://[64:ff9b::a9fe:a9fe]/    https://[64:ff9b:1::1]/        https://[2002:a9fe:a9fe::1]/
https://[2001:0:1::1]/           https://[fd00:ec2::254]/       https://[fe80::1]/       https://[fe80::1%25eth0]/
https://[::1]/                   https://[::]/                  https://[::ffff:127.0.0.1]/
https://[0:0:0:0:0:0:0:1]/       https://[ff02::1]/             https://[fc00::1]/       https://[2001:db8::1]/
https://[::1                     https://[1.2.3.4]x/            https://168.63.129.16/   https://100.100.100.200/
https://192.0.0.192/             https://192.0.2.1/             https://198.18.0.1/      https://224.0.0.1/
https://255.255.255.255/         https://240.0.0.1/             https://203.0.113.9/     https://192.88.99.1/
https://localhost/               https://LOCALHOST/             https://localhost./      https://a.localhost/
https://metadata.google.internal/ https://METADATA.GOOGLE.INTERNAL./ https://metadata/   https://printer.local/
https://router.home.arpa/        https://example..com/          https://example.com../   https://.example.com/
https://example.com:0/           https://example.com:99999/     https://example.com:x/   https://%31%32%37.0.0.1/
https://127.0.0.1%2f@x.example/  https://example.com\\@127.0.0.1/ https://１２７.0.0.1/   https://ⓔxample.com/
https://-example.com/            https://256.256.256.256/       https://4294967296/      https://0x100000000/
"""
"""Every spelling of an address that must not be reached, and of what is no address."""


@pytest.mark.parametrize("url", REFUSED.split())
def test_an_address_that_must_not_be_reached_is_refused_in_every_spelling(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_target("webhook.url", url, development=False)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("https://Example.COM./a/b?c=d", "example.com", 443, "/a/b?c=d"),
        ("https://hooks.example.com:8443/x", "hooks.example.com", 8443, "/x"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/"),
        ("https://16843009/", "1.1.1.1", 443, "/"),
        ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443, "/"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://10.example.com/", "10.example.com", 443, "/"),
    ],
)
def test_a_public_address_is_let_in(url: str, host: str, port: int, path: str) -> None:
    assert parse_target("webhook.url", url, development=False) == ("https", host, port, path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://localhost/x", "https://[::1]/", "http://127.1/"])
def test_development_lets_in_this_machine_and_http(url: str) -> None:
    parse_target("webhook.url", url, development=True)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "https://169.254.169.254/", "http://printer.local/", "ftp://[::1]/"]
)
def test_development_lets_in_no_other_private_address(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_target("webhook.url", url, development=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, development=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "not an address", "2002:7f00:1::", "fd00::1"]
)
def test_others_are_not(address: str) -> None:
    assert not is_allowed(address, development=False)


@pytest.mark.parametrize(
    "value",
    [None, [], "https://example.com", {}, {"url": 1}, {"url": ""}, {"url": "https://example.com", "secret": "x"}]
    + [{"url": "https://example.com", "events": events} for events in ([], "job.failed", ["job.exploded"], [1])]
    + [{"url": "https://example.com/" + "a" * 2000}],
)
def test_a_webhook_has_one_form(value: Any) -> None:
    with pytest.raises(InvalidInput, match="webhook"):
        check_webhook("webhook", value)


def test_without_events_every_way_to_end_is_told() -> None:
    webhook = {"url": "https://example.com"}
    told = [event for event in ("job.created", "job.completed", "job.failed", "job.expired") if wants(webhook, event)]
    assert told == ["job.completed", "job.failed", "job.expired"]
    assert wants({**webhook, "events": ["job.created"]}, "job.created")
    assert not wants({**webhook, "events": ["job.created"]}, "job.failed")
    assert not wants(None, "job.failed")


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    header = signatures(
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_after_a_rotation_both_secrets_sign_for_a_day() -> None:
    secret = WebhookSecret(tenant="t", queue="q", current="whsec_Yg==", previous="whsec_YQ==", rotated_at=1_000)
    assert secret.at(1_000 + OVERLAP_MS - 1) == ("whsec_Yg==", "whsec_YQ==")
    assert secret.at(1_000 + OVERLAP_MS) == ("whsec_Yg==",)
    assert len(signatures(secret.at(1_000), "m", 1, b"").split()) == 2


def test_a_change_has_one_message_for_each_address() -> None:
    def made(**other: Any) -> str:
        given = {"job": ("t", "j"), "state": State.FAILED, "attempt": 1, "at": 2_000_000_000_000, "url": "https://a.b"}
        return message_id(**{**given, **other})

    others: list[dict[str, Any]] = [
        {"job": ("u", "j")},
        {"job": ("t", "k")},
        {"state": State.COMPLETED},
        {"attempt": 2},
        {"at": 1},
        {"url": "https://a.c"},
    ]
    assert made() == made()
    assert len({made(), *(made(**other) for other in others)}) == 7
    assert made()[14] == "7"


Answer = Callable[[socket.socket], None]


def request_from(connection: socket.socket) -> bytes:
    """All of one request."""
    received = b""
    while part := connection.recv(65_536):
        received += part
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= int(length[1] if length else 0):
            break
    return received


@contextmanager
def listening(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """A server for one connection on this machine: its port, and what it was sent."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)
                try:
                    received.append(request_from(connection))
                    answer(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(10)


def says(text: str) -> Answer:
    return lambda connection: connection.sendall(text.encode())


OK = says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def test_a_message_is_posted_and_its_status_answered() -> None:
    with listening(OK) as (port, received):
        status = Outbound(development=True).post(f"http://127.0.0.1:{port}/a?b=c", b'{"a":1}', {"webhook-id": "m"})
    assert status == 200
    head, _, body = received[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /a?b=c http/1.1"
    assert {f"host: 127.0.0.1:{port}", "webhook-id: m", "content-length: 7", "connection: close"} <= set(lines)
    assert body == b'{"a":1}'


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with listening(says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n")) as (port, _):
        assert Outbound(development=True).post(f"http://127.0.0.1:{port}/", b"", {}) == 302


@pytest.mark.parametrize("answer", [says(""), says("nonsense\r\n"), says("HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 500)])
def test_what_is_no_answer_is_no_success(answer: Answer) -> None:
    with listening(answer) as (port, _), pytest.raises(Unavailable, match="gave no answer"):
        Outbound(development=True).post(f"http://127.0.0.1:{port}/", b"", {})


def test_an_answer_that_trickles_in_is_cut_off() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
        for _ in range(1_000):
            connection.sendall(b"a")
            time.sleep(0.05)

    started = time.monotonic()
    with listening(trickle) as (port, _), pytest.raises(Unavailable):
        Outbound(development=True, total_seconds=0.3).post(f"http://127.0.0.1:{port}/", b"", {})
    assert time.monotonic() - started < 40


def test_nobody_listening_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be reached"):
        Outbound(development=True).post(f"http://127.0.0.1:{port}/", b"", {})


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:169.254.169.254"], []])
def test_a_name_that_leads_inside_is_refused_before_a_connection_is_made(addresses: list[str]) -> None:
    """A single private address among public ones is enough: the next look-up could put it first."""
    with pytest.raises(InvalidInput, match="must not lead"):
        Outbound(resolve=lambda *_: addresses).post("https://rebinding.example/", b"", {})


def test_the_name_is_resolved_once_and_the_connection_goes_where_was_looked() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with listening(OK) as (port, received):
        assert Outbound(development=True, resolve=resolve).post(f"http://hooks.example:{port}/", b"", {}) == 200
    assert asked == ["hooks.example"]
    assert f"host: hooks.example:{port}".encode() in received[0].lower()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hooks.example and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("hooks.example"), x509.IPAddress(ipaddress.ip_address("8.8.8.8"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@contextmanager
def listening_with_tls(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        request_from(secured)
                        secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    ("host", "trusted"), [("hooks.example", True), ("other.example", True), ("hooks.example", False)]
)
def test_the_certificate_must_be_trusted_and_name_the_host(certificate: Path, host: str, trusted: bool) -> None:
    """Though the connection goes to an address, the certificate is checked for the name."""
    tls = ssl.create_default_context(cafile=str(certificate) if trusted else None)
    outbound = Outbound(development=True, resolve=lambda *_: ["127.0.0.1"], tls=tls)
    with listening_with_tls(certificate) as port:
        if trusted and host == "hooks.example":
            assert outbound.post(f"https://{host}:{port}/", b"{}", {}) == 204
        else:
            with pytest.raises(Unavailable, match="SSLCertVerificationError"):
                outbound.post(f"https://{host}:{port}/", b"{}", {})
