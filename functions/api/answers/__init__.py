"""What the API answers, as models for its description; the routes themselves never import them."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from .base import Table

ANSWERS: Table = {
    operation: answers
    for module in pkgutil.iter_modules(__path__)
    for operation, answers in import_module(f"{__name__}.{module.name}").ANSWERS.items()
}
