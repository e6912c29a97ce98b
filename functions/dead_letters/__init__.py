"""Deals with messages that their queue gave up on."""
