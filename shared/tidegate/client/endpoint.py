"""Where the server is, and who asks."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tidegate.domain.errors import InvalidInput
from tidegate.domain.iam import PREFIX

DEFAULT_URL = "http://127.0.0.1:8321"
DEFAULT_DATA = "./.tidegate"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, and what proves who asks there: a bearer token, or signatures with AWS credentials."""

    url: str
    token: str | None = field(default=None, repr=False)
    signs: bool = False

    def __post_init__(self) -> None:
        if not _is_http(self.url):
            raise InvalidInput.field("url", f"must be an http:// or https:// address, not '{self.url}'")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise InvalidInput.field("token", "must be printable ASCII text on one line")

    @property
    def base(self) -> str:
        """What the paths of requests are appended to."""
        return self.url + PREFIX if self.signs else self.url

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")


def find_endpoint(url: str | None = None, token: str | None = None, data: Path | None = None) -> Endpoint:
    """The server to talk to: what is given, else TIDEGATE_URL and TIDEGATE_TOKEN, else the embedded home's.

    With `iam` for TIDEGATE_AUTH, and no token given, requests are signed with AWS credentials instead.
    The token file of the data folder is used for a server on this machine only, so it never travels.
    Raises InvalidInput for an address or a token that cannot be one.
    """
    address = (url or os.environ.get("TIDEGATE_URL") or DEFAULT_URL).rstrip("/")
    if token is None and _signs(os.environ.get("TIDEGATE_AUTH", "token")):
        return Endpoint(address, signs=True)
    endpoint = Endpoint(address, (token or os.environ.get("TIDEGATE_TOKEN") or "").strip() or None)
    if endpoint.token is None and endpoint.is_local:
        return Endpoint(endpoint.url, _stored_token(token_file(data)))
    return endpoint


def data_folder(data: Path | None = None) -> Path:
    """The embedded home's folder: what is given, else TIDEGATE_DATA, else `./.tidegate`."""
    return data or Path(os.environ.get("TIDEGATE_DATA") or DEFAULT_DATA)


def token_file(data: Path | None = None) -> Path:
    """Where the embedded home leaves its token."""
    return data_folder(data) / "token"


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signs(how: str) -> bool:
    if how not in ("token", "iam"):
        raise InvalidInput.field("TIDEGATE_AUTH", "must be token or iam")
    return how == "iam"


def _stored_token(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the token in {file}: {error}; set TIDEGATE_TOKEN instead") from error


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
