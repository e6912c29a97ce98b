"""What WCAG 2.2 AA asks of a page, measured in the browser: contrast of all text, a visible focus, names, Tab to all.

Each check answers faults as texts, none where all is well.
"""

from __future__ import annotations

from pathlib import Path

from webdriver import Browser

_SCRIPT = Path(__file__).with_suffix(".js").read_text()


def contrast_faults(browser: Browser) -> list[str]:
    """Texts of less than 4.5 to 1 (large ones: 3 to 1), and fields whose borders have less than 3 to 1."""
    browser.settle()
    return list(browser.run(f"{_SCRIPT}\nreturn contrastFaults()"))


def focus_faults(browser: Browser, presses: int) -> list[str]:
    """What Tab does not reach in so many presses, or where its focus cannot be seen: 2 px, 3 to 1, on the screen."""
    browser.run(f"{_SCRIPT}\nwatchFocus()")
    browser.press(*["Tab"] * presses)
    return list(browser.run(f"{_SCRIPT}\nreturn focusFaults()"))


def name_faults(browser: Browser) -> list[str]:
    """What a reader of the screen could not tell: controls and pictures without a name, ids that are not unique."""
    return list(browser.run(f"{_SCRIPT}\nreturn nameFaults()"))
