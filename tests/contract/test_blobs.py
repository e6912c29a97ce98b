"""`Blobs`."""

from __future__ import annotations

import pytest

from tidegate.domain.errors import NotFound
from tidegate.ports import Ports

KEY = "acme/01d1a94a-2000-7000-8000-000000000001/data"


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 4096], ids=["empty", "small", "1 MiB"])
def test_a_blob_is_read_as_it_was_put(ports: Ports, content: bytes) -> None:
    ports.blobs.put(KEY, content)
    assert ports.blobs.get(KEY) == content


def test_a_blob_is_replaced(ports: Ports) -> None:
    ports.blobs.put(KEY, b"old")
    ports.blobs.put(KEY, b"new")
    assert ports.blobs.get(KEY) == b"new"


def test_an_absent_blob_is_not_found(ports: Ports) -> None:
    ports.blobs.put(KEY, b"x")
    with pytest.raises(NotFound):
        ports.blobs.get("acme/other/data")


def test_a_deleted_blob_is_gone_and_deleting_again_is_nothing(ports: Ports) -> None:
    ports.blobs.put(KEY, b"x")
    ports.blobs.put(KEY + "2", b"y")
    for _ in range(2):
        ports.blobs.delete(KEY)
    with pytest.raises(NotFound):
        ports.blobs.get(KEY)
    assert ports.blobs.get(KEY + "2") == b"y"
