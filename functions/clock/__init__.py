"""Ticks each minute: due and delayed jobs, lapsed leases, lost tickets."""
