"""Job ids made on this side, so that a repeated request is recognised as the same."""

import secrets
import time

from tidegate.domain.ids import IdMaker

new_id = IdMaker(time.time_ns, secrets.randbits)
