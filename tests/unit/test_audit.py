"""The audit log's chain: whatever is changed, replaced, moved or taken away is found, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import START_MS
from tidegate.domain.audit import NONE, AuditEntry, Head, verify


def chain(count: int, tenant: str = "acme") -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = NONE
    for number in range(1, count + 1):
        made = AuditEntry(
            tenant=tenant,
            number=number,
            at=START_MS + number,
            user="ada",
            via="token:0123456789ab",
            action="job.cancel",
            target=f"job-{number}",
            details={"reason": "späht", "count": number},
            previous=head.hash,
        )
        entries.append(replace(made, hash=made.digest()))
        head = entries[-1].head
    return entries


LOG = chain(9)
HEAD = LOG[-1].head


def test_a_whole_log_is_whole_from_wherever_it_was_noted() -> None:
    assert verify(LOG, "acme", head=HEAD) == verify(LOG, "acme")
    for start in (NONE, LOG[3].head, HEAD):
        verdict = verify(LOG[start.number :], "acme", start, HEAD)
        assert (verdict.checked, verdict.head, verdict.fault) == (9 - start.number, HEAD, None)
    assert verify((), "acme", head=NONE).fault is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", 1),
        ("user", "eve"),
        ("via", ""),
        ("action", "job.retry"),
        ("target", "job-9"),
        ("details", {}),
        ("details", {"reason": "späht", "count": 4.0}),
        ("previous", "0" * 64),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_entry_is_found(field: str, value: Any) -> None:
    changed = [*LOG[:3], replace(LOG[3], **{field: value}), *LOG[4:]]
    verdict = verify(changed, "acme", head=HEAD)
    assert (verdict.checked, verdict.head) == (3, LOG[2].head)
    assert verdict.fault == "entry 4 was changed: its hash does not fit what it says"


def test_a_changed_entry_with_a_hash_that_fits_breaks_the_next() -> None:
    forged = replace(LOG[3], user="eve")
    verdict = verify([*LOG[:3], replace(forged, hash=forged.digest()), *LOG[4:]], "acme", head=HEAD)
    assert verdict.fault == "entry 5 is not bound to entry 4: one of the two was replaced"


def test_a_changed_last_entry_with_a_hash_that_fits_is_not_the_head() -> None:
    forged = replace(LOG[8], user="eve")
    verdict = verify([*LOG[:8], replace(forged, hash=forged.digest())], "acme", head=HEAD)
    assert verdict.fault == "entry 9 is not the one that the log's head names"


def test_a_removed_entry_is_found_wherever_it_was() -> None:
    for place in range(9):
        verdict = verify([*LOG[:place], *LOG[place + 1 :]], "acme", head=HEAD)
        assert verdict.fault is not None
        assert verdict.fault.startswith(f"entry {place + 1} is missing")
        assert verdict.checked == place


def test_a_log_that_was_cut_is_found_by_its_head_or_by_one_that_was_noted() -> None:
    assert verify(LOG[:5], "acme", head=HEAD).fault == "entry 6 is missing: the log went on to entry 9"
    cut = verify((), "acme", HEAD, LOG[4].head)
    assert cut.fault == "the log does not go on from entry 9 as it was noted"
    assert verify((), "acme", HEAD, NONE).fault is not None


def test_a_log_written_anew_is_found_by_a_head_that_was_noted() -> None:
    """Whoever can write everything can make a chain that fits in itself."""
    anew = chain(12, tenant="acme")
    anew = [replace(entry, user="eve", hash="") for entry in anew]
    whole: list[AuditEntry] = []
    for entry in anew:
        bound = replace(entry, previous=whole[-1].hash if whole else NONE.hash)
        whole.append(replace(bound, hash=bound.digest()))
    assert verify(whole, "acme", head=whole[-1].head).fault is None
    noted = LOG[8].head
    assert verify(whole[9:], "acme", noted, whole[-1].head).fault == (
        "entry 10 is not bound to entry 9: one of the two was replaced"
    )


def test_entries_of_another_tenant_are_found() -> None:
    other = chain(9, tenant="zeta")
    assert verify(other, "acme").fault == "entry 1 is another tenant's"


@given(st.permutations(range(9)))
def test_entries_in_another_order_are_found(order: list[int]) -> None:
    verdict = verify([LOG[place] for place in order], "acme", head=HEAD)
    assert (verdict.fault is None) == (order == sorted(order))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text(), st.text())
def test_no_two_different_acts_have_one_digest(details: dict[str, Any], user: str, target: str) -> None:
    """Texts cannot run into one another: they are hashed as JSON."""
    entry = replace(LOG[0], details=details, user=user, target=target)
    assert entry.digest() == replace(entry).digest()
    assert entry.digest() != replace(entry, user=user + target, target="").digest() or target == ""
    assert entry.digest() != replace(entry, details={**details, "more": 1}).digest() or details.get("more") == 1


def test_a_head_reads_as_it_is_given_to_the_command_line() -> None:
    assert str(Head(7, "ab")) == "7:ab"
