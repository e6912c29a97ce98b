"""Synthesises the stack of one stage: `python infra/app.py [-c stage=NAME]` writes `cdk.out`."""

import sys
from pathlib import Path

# Python looks for modules beside a file that it runs, where this package's `packaging` would hide the library of
# that name; the checkout takes that place.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from infra.synthesis import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
