CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL, tenant TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
    queue TEXT NOT NULL, pool TEXT NOT NULL, state TEXT NOT NULL,
    priority INTEGER NOT NULL, rank INTEGER NOT NULL,
    data TEXT, data_ref TEXT, tags TEXT, metadata TEXT, fingerprint TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, start_after INTEGER, wake_at INTEGER,
    expires_at INTEGER, keep_until INTEGER, soft_sla INTEGER, hard_sla INTEGER,
    timeout REAL NOT NULL, retry_limit INTEGER NOT NULL, retry_delay REAL NOT NULL,
    retry_backoff INTEGER NOT NULL, retry_delay_max REAL NOT NULL, retry_jitter INTEGER NOT NULL,
    attempt INTEGER NOT NULL, attempts_allowed INTEGER NOT NULL,
    started_at INTEGER, completed_at INTEGER, lease_until INTEGER, worker_id TEXT,
    cancel_requested INTEGER NOT NULL, progress TEXT, result TEXT, result_ref TEXT,
    error_type TEXT, error_message TEXT, failures TEXT, reason TEXT,
    dag_id TEXT, node TEXT, dependencies TEXT,
    place TEXT NOT NULL, place_order INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (tenant, queue, place_order, seq) WHERE place = 'ready';
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (place_order, seq) WHERE place = 'due';
CREATE INDEX IF NOT EXISTS jobs_shelf ON jobs (tenant, state, seq) WHERE place = 'shelf';
CREATE INDEX IF NOT EXISTS jobs_active ON jobs (tenant, seq) WHERE state = 'ACTIVE';
CREATE INDEX IF NOT EXISTS jobs_dag ON jobs (dag_id, seq) WHERE dag_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL, id TEXT NOT NULL, old_state TEXT, state TEXT, attempt INTEGER,
    name TEXT, queue TEXT, at INTEGER, started_at INTEGER, lease_until INTEGER
) STRICT;
CREATE TRIGGER IF NOT EXISTS jobs_created AFTER INSERT ON jobs BEGIN
    INSERT INTO changes (tenant, id, state, attempt, name, queue, at)
    VALUES (new.tenant, new.id, new.state, new.attempt, new.name, new.queue, new.updated_at);
END;
CREATE TRIGGER IF NOT EXISTS jobs_changed AFTER UPDATE OF state, attempt ON jobs
WHEN old.state <> new.state OR old.attempt <> new.attempt BEGIN
    INSERT INTO changes (tenant, id, old_state, state, attempt, name, queue, at, started_at, lease_until)
    VALUES (new.tenant, new.id, old.state, new.state, new.attempt, new.name, new.queue,
            new.updated_at, new.started_at, new.lease_until);
END;
CREATE TRIGGER IF NOT EXISTS jobs_erased AFTER DELETE ON jobs BEGIN
    INSERT INTO changes (tenant, id, old_state, attempt, name, queue, at)
    VALUES (old.tenant, old.id, old.state, old.attempt, old.name, old.queue, old.updated_at);
END;

CREATE TABLE IF NOT EXISTS tickets (
    seq INTEGER PRIMARY KEY,
    pool TEXT NOT NULL, band INTEGER NOT NULL, visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tickets_visible ON tickets (pool, band, visible_at);

CREATE TABLE IF NOT EXISTS queues (
    tenant TEXT NOT NULL, name TEXT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lanes (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, touched_at INTEGER NOT NULL, PRIMARY KEY (tenant, queue)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timers (
    at INTEGER NOT NULL, tenant TEXT NOT NULL, job_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    PRIMARY KEY (at, tenant, job_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures (
    tenant TEXT NOT NULL, series TEXT NOT NULL, field TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (tenant, series, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_at INTEGER NOT NULL, token TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_tenant ON tokens (tenant, created_at);
