"""The queues compared: each module has `setup`, `submit`, and `submit_many` where there is a bulk call.

A module of a peer is imported by the peers' own Python, so it and what it needs from this package import the
standard library and the peer alone.
"""
