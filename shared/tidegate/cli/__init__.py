"""The command line: `tidegate …`, or `python -m tidegate`.

Exit codes: 0 done, or the job COMPLETED (or was SKIPPED as not needed) · 1 it did not: the job ended as failed,
expired or cancelled, or the server refused · 2 wrong usage or input · 3 not found · 4 not authenticated or not
allowed · 5 server out of reach · 130 interrupted.
"""
