"""The console's files by their paths: read once, hashed, compressed, and cached by browsers for as long as they hold.

`/console` and every path below it is the one page, whose scripts read the path; `/console/static/{build}/…` are the
files that it names. `build` is a digest of all files, so a file never changes under its path, modules that import one
another by relative paths always are of one build, and no build step is needed to write digests into them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

PREFIX = "/console"
STATIC = f"{PREFIX}/static/"
PAGE = "index.html"
TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "md": "text/plain; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
_COMPRESSED = frozenset({"css", "html", "js", "mjs", "svg", "txt", "md"})
FOREVER = "public, max-age=31536000, immutable"
ASK = "no-cache"
"""Kept, but asked about (`If-None-Match`) before every use."""


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    content: bytes
    zipped: bytes | None
    """The same with gzip; None where that would save nothing."""
    kind: str
    """Its content type."""
    etag: str
    caching: str


def is_console(path: str) -> bool:
    """Whether a path of the server belongs to the console, which everybody may load: what it shows needs a token."""
    return path in ("/", PREFIX) or path.startswith(f"{PREFIX}/")


def console_file(path: str) -> File | None:
    """The file to answer a path of the console with; None where there is none, as for a file of another build."""
    if not path.startswith(STATIC):
        return _page()
    build, _, name = path.removeprefix(STATIC).partition("/")
    content = _contents().get(name)
    return None if build != build_of() or content is None else _file(name, content, FOREVER)


@cache
def build_of() -> str:
    """A digest of all files of the console."""
    digest = hashlib.sha256()
    for name, content in sorted(_contents().items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


@cache
def _contents() -> Mapping[str, bytes]:
    return dict(_walk(files(__package__) / "static", ""))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in TYPES:
            yield prefix + entry.name, entry.read_bytes()


@cache
def _page() -> File:
    """The page, with the build written into the paths of its files."""
    text = _contents()[PAGE].decode().replace("{build}", STATIC + build_of())
    return _file(PAGE, text.encode(), ASK)


@cache
def _file(name: str, content: bytes, caching: str) -> File:
    suffix = name.rpartition(".")[2]
    zipped = gzip.compress(content, mtime=0) if suffix in _COMPRESSED else None
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return File(content, zipped, TYPES[suffix], etag, caching)
