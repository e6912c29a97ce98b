"""The simulation can fail: each deliberate breakage of the protocol is caught."""

from __future__ import annotations

import pytest

from . import history
from .mutants import MUTANTS, Mutant, hunt


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_mutant_is_caught(mutant: Mutant) -> None:
    """Some history, or some point of a use case, breaks one of the rules that the mutant is about."""
    assert hunt(mutant) is not None, f"nothing notices: {mutant.name}"


def test_the_project_is_whole_again_afterwards() -> None:
    """What a mutant broke is mended: the histories that caught mutants pass."""
    hunt(MUTANTS[1])
    assert not any(history.play(seed).broken for seed in range(5))
