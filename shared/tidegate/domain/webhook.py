"""Webhooks: who may be told what, where a message may go, and how it is signed.

Messages follow the Standard Webhooks specification (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from .errors import InvalidInput
from .events import ENTERED, RESTARTED
from .job import TERMINAL, Job, Json, Ms, State

WEBHOOK_QUEUE = "tidegate-webhooks"
"""The queue of each tenant whose jobs are the deliveries of its webhooks."""
WEBHOOK_EXECUTOR = "tidegate.webhook"
RESERVED_PREFIX = "tidegate."
"""Names of executors that only Tidegate itself submits jobs for."""

NAMES = (*ENTERED.values(), RESTARTED)
ENDINGS = tuple(ENTERED[state] for state in State if state in TERMINAL)
"""The events that are told when a webhook names none."""

MAX_URL = 2_000
SECRET_BYTES = 32
OVERLAP_MS: Ms = 86_400_000
"""How long messages are also signed with the secret before the last rotation: a day to change the receiver."""
_PREFIX = "whsec_"


def check_webhook(field: str, value: Json) -> None:
    """Refuse what is no webhook: `{"url": …, "events": […]}`. Raises InvalidInput.

    The address is checked here as far as it is written (`parse_target`); plain http may be meant for development.
    """
    if not isinstance(value, dict) or not set(value) <= {"url", "events"}:
        raise InvalidInput.field(field, "must be a JSON object with 'url' and, if need be, 'events'")
    _check_text(f"{field}.url", value.get("url"))
    events = value.get("events", list(ENDINGS))
    if not isinstance(events, list) or not events or not all(event in NAMES for event in events):
        raise InvalidInput.field(f"{field}.events", f"must be some of {', '.join(NAMES)}")


def event_of(old: State | None, new: State) -> str:
    """What to call that a job entered a state; one that had ended was restarted."""
    return RESTARTED if new is State.CREATED and old in TERMINAL else ENTERED[new]


def wants(webhook: Json, event: str) -> bool:
    """Whether a webhook is to be told of an event."""
    return webhook is not None and event in webhook.get("events", ENDINGS)


class Target(NamedTuple):
    """Where a message goes. `host` is lower case, without brackets or a dot at its end."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, as sent."""


def parse_target(field: str, url: str, *, development: bool) -> Target:
    """The target that `url` names. Raises InvalidInput for one that must not be called.

    https to a public host alone; `development` lets in http, and this machine. A host name is looked at again
    when it has been resolved (`is_allowed`).
    """
    _check_text(field, url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise InvalidInput.field(field, "must be a valid URL") from error
    if parts.scheme not in ({"https", "http"} if development else {"https"}):
        raise InvalidInput.field(field, "must be an https:// URL")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidInput.field(field, "must not hold a user, a password or a fragment")
    if port == 0:
        raise InvalidInput.field(field, "must have a port from 1 to 65535")
    host = _checked_host(field, host, is_address="[" in parts.netloc, development=development)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def is_allowed(address: str, *, development: bool) -> bool:
    """Whether a message may go to an IP address: public ones alone, and this machine in development."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return development
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast and not any(found in each for each in _CLOSED)
    return found in _GLOBAL_UNICAST and not any(found in each for each in _CLOSED_6)


_CLOSED = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform, on a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
"""Private, shared, local, documentary, relaying and reserved addresses (IANA's special-purpose registry)."""
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is assigned to be routed; local, mapped, translated and multicast addresses lie outside."""
_CLOSED_6 = tuple(
    ipaddress.IPv6Network(each)
    # Protocols with Teredo, documentation, 6to4 (which carries an IPv4 address), documentation, segment routing
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16")
)


def _checked_host(field: str, host: str, *, is_address: bool, development: bool) -> str:
    host = host.removesuffix(".")
    labels = host.split(".")
    if is_address or _NUMBER.fullmatch(labels[-1]):
        address = host if is_address else _spelled_v4(labels)
        if address is None or not is_allowed(address, development=development):
            raise InvalidInput.field(field, "must not lead to a private, local or reserved address")
        return address
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidInput.field(field, "must name a host (in ASCII: 'xn--…' for other letters)")
    if labels[-1] == "localhost" and development:
        return host
    if len(labels) == 1 or labels[-1] in _LOCAL_NAMES or host.endswith(".home.arpa"):
        raise InvalidInput.field(field, "must not lead to a private, local or reserved address")
    return host


_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = frozenset(
    {"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "localdomain"}
)


def _spelled_v4(labels: list[str]) -> str | None:
    """The address in one to four numbers, each decimal, octal or hexadecimal, as `inet_aton` reads them."""
    numbers = [_number(label) for label in labels]
    if len(labels) > 4 or None in numbers:
        return None
    *high, last = (number for number in numbers if number is not None)
    if any(number > 255 for number in high) or last >= 256 ** (4 - len(high)):
        return None
    value = last + sum(number << 8 * (3 - index) for index, number in enumerate(high))
    return str(ipaddress.IPv4Address(value))


def _number(label: str) -> int | None:
    for pattern, base in ((r"0x[0-9a-f]+", 16), (r"0[0-7]*", 8), (r"[1-9][0-9]*", 10)):
        if len(label) <= 16 and re.fullmatch(pattern, label):
            return int(label, base)
    return None


def _check_text(field: str, url: Json) -> None:
    if not isinstance(url, str) or not 0 < len(url) <= MAX_URL or not re.fullmatch(r"https?://[!-~]+", url):
        raise InvalidInput.field(field, f"must be an https:// URL of at most {MAX_URL} characters")
    if "\\" in url or "%" in urlsplit_host(url):
        raise InvalidInput.field(field, "must be a valid URL")


def urlsplit_host(url: str) -> str:
    """What stands between `//` and the path, as written."""
    return re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """What the messages about the jobs of one queue are signed with."""

    tenant: str
    queue: str
    current: str
    """`whsec_` and the secret's bytes in base64."""
    previous: str | None = None
    rotated_at: Ms = 0

    def at(self, now: Ms) -> tuple[str, ...]:
        """The secrets to sign with: also the one before, for a day after it was replaced."""
        in_overlap = self.previous is not None and now < self.rotated_at + OVERLAP_MS
        return (self.current, self.previous) if in_overlap and self.previous is not None else (self.current,)


def secret_of(raw: bytes) -> str:
    """Random bytes in the form that people copy."""
    return _PREFIX + base64.b64encode(raw).decode()


def signatures(secrets: tuple[str, ...], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one `v1,…` for each secret, HMAC-SHA256 over id, time and body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = (base64.b64decode(secret.removeprefix(_PREFIX)) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)


def message_id(job: tuple[str, str], state: State, attempt: int, at: Ms, url: str) -> str:
    """The id of a message: always the same for the same change and address, and a UUIDv7 of the change's time."""
    digest = hashlib.sha256("\n".join([*job, state, str(attempt), str(at), url]).encode()).hexdigest()
    time = f"{min(max(at, 0), 2**48 - 1):012x}"
    variant = "89ab"[int(digest[3], 16) % 4]
    return f"{time[:8]}-{time[8:]}-7{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def event_data(job: Job, *, max_result_bytes: int, size_of: int) -> Mapping[str, Json]:
    """What a message tells of a job; its payload never, its result while `size_of` bytes of it are few enough."""
    shown: dict[str, Json] = {
        "name": job.name,
        "priority": job.priority,
        "tags": list(job.tags),
        "metadata": dict(job.metadata),
        "retry_count": job.retry_count,
        "retry_limit": job.retry_limit,
        "error_type": None if job.error_type is None else job.error_type.value,
        "error_message": job.error_message,
        "reason": job.reason,
    }
    if job.state is State.COMPLETED:
        fits = job.result_ref is None and size_of <= max_result_bytes
        shown |= {"result": job.result} if fits else {"result_omitted": True}
    return shown
