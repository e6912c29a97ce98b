"""A manager's jobs in SQL, read only: `connect` in the place of `sqlite3.connect`.

    from tidegate.manager import sqlite as sqlite3

    sqlite3.connect("jobs.db").execute("SELECT job_id FROM jobs WHERE status = 'running'")

The table `jobs` has the columns `job_id, job_type, status, priority, config, created_at, started_at, completed_at,
error_message, worker_id, retry_count, max_retries`; times are ISO text in local time, as `datetime.now().isoformat()`.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from tidegate import runtime

from .jobs import folder_for

_VIEW = """
CREATE TEMP VIEW jobs AS SELECT
    id AS job_id,
    name AS job_type,
    CASE state WHEN 'CREATED' THEN 'pending' WHEN 'RETRY' THEN 'pending' WHEN 'ACTIVE' THEN 'running'
        ELSE lower(state) END AS status,
    priority,
    data AS config,
    strftime('%Y-%m-%dT%H:%M:%f', created_at / 1000.0, 'unixepoch', 'localtime') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%f', started_at / 1000.0, 'unixepoch', 'localtime') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%f', completed_at / 1000.0, 'unixepoch', 'localtime') AS completed_at,
    error_message,
    worker_id,
    CASE WHEN attempt = 0 THEN 0 ELSE max(0, retry_limit - (attempts_allowed - attempt)) END AS retry_count,
    retry_limit AS max_retries
FROM main.jobs
"""


def connect(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """A connection that reads the jobs of the manager of the same `path`. Raises sqlite3.OperationalError."""
    file = quote(str(Path(runtime.database_file(folder_for(path))).resolve()))
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    connection.execute(_VIEW)
    return connection
