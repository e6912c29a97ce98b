"""Run your handlers in a test: in memory of one process, on a clock that is moved by hand.

With pytest, ask for the fixture `tidegate_home`; without it, make a `Home` on an empty folder.
"""

from .clock import Clock
from .home import Home

__all__ = ["Clock", "Home"]
