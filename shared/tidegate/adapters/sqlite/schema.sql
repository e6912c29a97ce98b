-- What a later version adds to a table has a default, so that the rows of an earlier one fit: see migrate.py.
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL, tenant TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
    queue TEXT NOT NULL, pool TEXT NOT NULL, state TEXT NOT NULL,
    priority INTEGER NOT NULL, rank INTEGER NOT NULL,
    data TEXT, data_ref TEXT, tags TEXT, metadata TEXT, fingerprint TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, start_after INTEGER, wake_at INTEGER,
    expires_at INTEGER, keep_until INTEGER, keep_seconds REAL, soft_sla INTEGER, hard_sla INTEGER,
    on_hard_miss TEXT NOT NULL DEFAULT 'expire', sla INTEGER NOT NULL DEFAULT 0,
    timeout REAL NOT NULL, retry_limit INTEGER NOT NULL, retry_delay REAL NOT NULL,
    retry_backoff INTEGER NOT NULL, retry_delay_max REAL NOT NULL, retry_jitter INTEGER NOT NULL,
    attempt INTEGER NOT NULL, attempts_allowed INTEGER NOT NULL,
    started_at INTEGER, completed_at INTEGER, lease_until INTEGER, worker_id TEXT,
    cancel_requested INTEGER NOT NULL, progress TEXT, result TEXT, result_ref TEXT,
    error_type TEXT, error_message TEXT, failures TEXT, reason TEXT,
    dag_id TEXT, node TEXT, dependencies TEXT, blocked INTEGER NOT NULL DEFAULT 0, broken INTEGER NOT NULL DEFAULT 0,
    definition TEXT, webhook TEXT,
    concurrency_key TEXT, unique_key TEXT, policy TEXT, timeout_retry_limit INTEGER,
    timeouts INTEGER NOT NULL DEFAULT 0, slot TEXT, claim_token TEXT, counted INTEGER NOT NULL DEFAULT 0, task_token TEXT,
    cost INTEGER NOT NULL DEFAULT 0, second_cost INTEGER NOT NULL DEFAULT 0,
    correlation_id TEXT, traceparent TEXT,
    place TEXT NOT NULL, place_order INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_tenant ON jobs (tenant);
CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (tenant, queue, place_order, seq) WHERE place = 'ready';
CREATE INDEX IF NOT EXISTS jobs_parked ON jobs (tenant, queue, concurrency_key, place_order, seq) WHERE place = 'parked';
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (place_order, seq) WHERE place = 'due';
CREATE INDEX IF NOT EXISTS jobs_shelf ON jobs (tenant, state, seq) WHERE place = 'shelf';
CREATE INDEX IF NOT EXISTS jobs_active ON jobs (tenant, seq) WHERE state = 'ACTIVE';
CREATE INDEX IF NOT EXISTS jobs_dag ON jobs (tenant, dag_id, seq) WHERE dag_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS jobs_outlived ON jobs (keep_until) WHERE completed_at IS NOT NULL AND keep_until IS NOT NULL;

CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL, id TEXT NOT NULL, old_state TEXT, state TEXT, attempt INTEGER,
    name TEXT, queue TEXT, at INTEGER, started_at INTEGER, lease_until INTEGER,
    wake_at INTEGER, attempts_allowed INTEGER, retry_limit INTEGER, data_ref TEXT, result_ref TEXT,
    old_wake_at INTEGER, old_attempt INTEGER, old_attempts_allowed INTEGER, old_priority INTEGER,
    blocked INTEGER, old_blocked INTEGER, details TEXT, sla TEXT, cost INTEGER, old_cost INTEGER
) STRICT;
CREATE TRIGGER IF NOT EXISTS jobs_created AFTER INSERT ON jobs BEGIN
    INSERT INTO changes (tenant, id, state, attempt, name, queue, at, wake_at, attempts_allowed, retry_limit,
                         blocked, details, cost, sla)
    VALUES (new.tenant, new.id, new.state, new.attempt, new.name, new.queue, new.updated_at, new.wake_at,
            new.attempts_allowed, new.retry_limit, new.blocked,
            json_object('owner', new.owner, 'priority', new.priority, 'worker_id', new.worker_id,
            'error_type', new.error_type, 'error_message', substr(new.error_message, 1, 500), 'reason', new.reason,
            'dag_id', new.dag_id, 'node', new.node, 'tags', json(new.tags), 'webhook', new.webhook,
            'correlation_id', new.correlation_id,
            'unique_key', new.unique_key, 'counted', iif(new.counted, json('true'), NULL)), new.cost,
            CASE WHEN new.soft_sla IS NOT NULL OR new.hard_sla IS NOT NULL THEN json_object('soft_sla', new.soft_sla,
            'hard_sla', new.hard_sla, 'sla', new.sla, 'created_at', new.created_at) END);
END;
CREATE TRIGGER IF NOT EXISTS jobs_changed AFTER UPDATE OF state, attempt, wake_at, sla, priority, blocked ON jobs
WHEN old.state <> new.state OR old.attempt <> new.attempt OR (old.wake_at IS NULL) <> (new.wake_at IS NULL)
     OR old.sla <> new.sla OR old.priority <> new.priority OR old.blocked <> new.blocked BEGIN
    INSERT INTO changes (tenant, id, old_state, state, attempt, name, queue, at, started_at, lease_until, wake_at,
                         attempts_allowed, retry_limit, old_wake_at, old_attempt, old_attempts_allowed, old_priority,
                         blocked, old_blocked, details, cost, old_cost, sla)
    VALUES (new.tenant, new.id, old.state, new.state, new.attempt, new.name, new.queue,
            new.updated_at, new.started_at, new.lease_until, new.wake_at,
            new.attempts_allowed, new.retry_limit, old.wake_at, old.attempt, old.attempts_allowed, old.priority,
            new.blocked, old.blocked,
            json_object('owner', new.owner, 'priority', new.priority, 'worker_id', new.worker_id,
            'error_type', new.error_type, 'error_message', substr(new.error_message, 1, 500), 'reason', new.reason,
            'dag_id', new.dag_id, 'node', new.node, 'tags', json(new.tags), 'webhook', new.webhook,
            'correlation_id', new.correlation_id,
            'unique_key', new.unique_key, 'counted', iif(new.counted, json('true'), NULL),
            'task_token', new.task_token), new.cost, old.cost,
            CASE WHEN new.soft_sla IS NOT NULL OR new.hard_sla IS NOT NULL THEN json_object('soft_sla', new.soft_sla,
            'hard_sla', new.hard_sla, 'sla', new.sla, 'old_sla', old.sla, 'created_at', new.created_at) END);
END;
CREATE TRIGGER IF NOT EXISTS jobs_erased AFTER DELETE ON jobs BEGIN
    INSERT INTO changes (tenant, id, old_state, name, queue, at, retry_limit, data_ref, result_ref, old_wake_at,
                         old_attempt, old_attempts_allowed, old_priority, old_blocked, old_cost, details)
    VALUES (old.tenant, old.id, old.state, old.name, old.queue, old.updated_at, old.retry_limit, old.data_ref,
            old.result_ref, old.wake_at, old.attempt, old.attempts_allowed, old.priority, old.blocked, old.cost,
            json_object('owner', old.owner, 'priority', old.priority, 'worker_id', old.worker_id,
            'error_type', old.error_type, 'error_message', substr(old.error_message, 1, 500), 'reason', old.reason,
            'dag_id', old.dag_id, 'node', old.node, 'tags', json(old.tags),
            'correlation_id', old.correlation_id,
            'unique_key', old.unique_key, 'counted', iif(old.counted, json('true'), NULL)));
END;

CREATE TABLE IF NOT EXISTS tickets (
    seq INTEGER PRIMARY KEY,
    pool TEXT NOT NULL, tenant TEXT NOT NULL DEFAULT 'main', band INTEGER NOT NULL, visible_at INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tickets_visible ON tickets (pool, tenant, band, visible_at);

CREATE TABLE IF NOT EXISTS queues (
    tenant TEXT NOT NULL, name TEXT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tenants (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, limits TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (tenant TEXT PRIMARY KEY, full_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lanes (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, touched_at INTEGER NOT NULL, PRIMARY KEY (tenant, queue)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, key TEXT NOT NULL, holder TEXT NOT NULL,
    PRIMARY KEY (tenant, queue, key, holder)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS semaphores (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, key TEXT NOT NULL, waiting TEXT, PRIMARY KEY (tenant, queue, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, "window" INTEGER NOT NULL, starts INTEGER NOT NULL,
    PRIMARY KEY (tenant, queue)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unique_keys (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, key TEXT NOT NULL, job_id TEXT NOT NULL,
    PRIMARY KEY (tenant, queue, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timers (
    at INTEGER NOT NULL, tenant TEXT NOT NULL, job_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    PRIMARY KEY (at, tenant, job_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures (
    tenant TEXT NOT NULL, series TEXT NOT NULL, field TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (tenant, series, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dags (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, run TEXT NOT NULL,
    watched INTEGER NOT NULL, look_at INTEGER, keep_until INTEGER,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX IF NOT EXISTS dags_watched ON dags (tenant, id) WHERE watched = 1;
CREATE INDEX IF NOT EXISTS dags_due ON dags (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS dags_outlived ON dags (keep_until) WHERE keep_until IS NOT NULL;
CREATE TABLE IF NOT EXISTS dag_keys (
    tenant TEXT NOT NULL, key TEXT NOT NULL, dag_id TEXT NOT NULL, PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_at INTEGER NOT NULL, token TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_tenant ON tokens (tenant, created_at);

CREATE TABLE IF NOT EXISTS definitions (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, definition TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhook_secrets (
    tenant TEXT NOT NULL, queue TEXT NOT NULL, secret TEXT NOT NULL, PRIMARY KEY (tenant, queue)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workers (
    tenant TEXT NOT NULL, id TEXT NOT NULL, seen_at INTEGER NOT NULL, worker TEXT NOT NULL, PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    tenant TEXT NOT NULL, number INTEGER NOT NULL, hash TEXT NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_heads (
    tenant TEXT PRIMARY KEY, number INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS audit_unchanged BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is appended to, never changed');
END;
CREATE TRIGGER IF NOT EXISTS audit_kept BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is appended to, never cut');
END;
CREATE TABLE IF NOT EXISTS logs (
    tenant TEXT NOT NULL, job_id TEXT NOT NULL, created_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL, number INTEGER NOT NULL, lines TEXT, blob TEXT,
    total_lines INTEGER NOT NULL, total_size INTEGER NOT NULL, overflows INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id, created_at, attempt, number)
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, event TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS schedules (
    tenant TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, look_at INTEGER,
    definition TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS schedules_id ON schedules (tenant, id);
CREATE INDEX IF NOT EXISTS schedules_due ON schedules (look_at) WHERE look_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS schedule_holds (tenant TEXT PRIMARY KEY, hold TEXT NOT NULL) STRICT, WITHOUT ROWID;
