"""Turns committed changes of jobs into counters, timers and figures."""
