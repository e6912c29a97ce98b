"""Blobs as files in a folder."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tidegate.domain.errors import NotFound, Unavailable


class FolderBlobs:
    """`Blobs` in a folder. Keys are made by Tidegate; one that would leave the folder is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes) -> None:
        """See `Blobs.put`. Written beside and renamed, so that a crash leaves no half file under the key."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as error:
            raise Unavailable(f"the blob cannot be written: {error}") from error

    def get(self, key: str) -> bytes:
        """See `Blobs.get`."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("there is no such blob") from error
        except OSError as error:
            raise Unavailable(f"the blob cannot be read: {error.strerror}") from error

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"the blob cannot be deleted: {error.strerror}") from error

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Sequence[str]:
        """See `Blobs.list`."""
        try:
            found = (key for key in self._keys(prefix) if key.encode() > after.encode())
            return heapq.nsmallest(limit, found, key=str.encode)
        except OSError as error:
            raise Unavailable(f"the blobs cannot be listed: {error.strerror}") from error

    def _keys(self, prefix: str) -> Iterator[str]:
        """Keys with a prefix; files that are still being written begin with a dot."""
        folder = self._path(prefix.rpartition("/")[0])
        for found in folder.rglob("*") if folder.is_dir() else ():
            key = found.relative_to(self._folder).as_posix()
            if key.startswith(prefix) and not found.name.startswith(".") and found.is_file():
                yield key

    def _path(self, key: str) -> Path:
        path = self._folder / key
        if ".." in path.parts or Path(key).is_absolute():
            raise NotFound("there is no such blob")
        return path
