"""The templates that the tests of the cloud home look at, each synthesised once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
# The package `infra` and the helper beside this file are found whatever pytest is started with.
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from synthesised import CONTEXT, ETL, LEAN, OIDC, Synthesised, synthesise  # noqa: E402


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """A stage with two pools that is watched closely and sleeps, encrypted with keys that AWS owns."""
    return synthesise(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The same stage with a KMS key of its own, data that outlives the stack, other proofs of who asks, and lean."""
    folder = tmp_path_factory.mktemp("sealed")
    return synthesise(
        folder, customer_key=True, keep_data=True, oidc=OIDC, iam_callers=[ETL], authorizer_cache_seconds=0, **LEAN
    )


@pytest.fixture
def context() -> Mapping[str, Any]:
    """The context that the templates are synthesised from."""
    return CONTEXT
