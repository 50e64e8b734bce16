-- The first schema. docs/database.md describes every table; times are unix seconds, 0 means "not yet".

CREATE TABLE sweeps (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    data             TEXT    NOT NULL,
    digest           TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('active', 'paused', 'cancelled')),
    submitted_at     REAL    NOT NULL,
    submission       INTEGER NOT NULL DEFAULT 0,
    runs             INTEGER NOT NULL DEFAULT 0 CHECK (runs = pending + running + done + diverged + failed + cancelled),
    pending          INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    running          INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
    done             INTEGER NOT NULL DEFAULT 0 CHECK (done >= 0),
    diverged         INTEGER NOT NULL DEFAULT 0 CHECK (diverged >= 0),
    failed           INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled        INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    planned_flops    REAL    NOT NULL DEFAULT 0,
    done_flops       REAL    NOT NULL DEFAULT 0,
    first_started_at REAL    NOT NULL DEFAULT 0,
    last_ended_at    REAL    NOT NULL DEFAULT 0
) STRICT;

-- Apart from sweeps, whose rows are rewritten at every change of a run and should stay small.
CREATE TABLE sweep_files (
    sweep_id INTEGER PRIMARY KEY REFERENCES sweeps (id) ON DELETE CASCADE,
    text     BLOB NOT NULL
) STRICT;

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY,
    key         TEXT    NOT NULL UNIQUE CHECK (length(key) = 64),
    spec        TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    depth       INTEGER NOT NULL,
    width       INTEGER NOT NULL,
    examples    INTEGER NOT NULL,
    seed        INTEGER NOT NULL, -- the unsigned seed's bits; spec has the number
    lr          REAL    NOT NULL,
    params      INTEGER NOT NULL,
    params_body INTEGER NOT NULL,
    steps       INTEGER NOT NULL, -- of the whole training; the last point is at this step
    flops_exact REAL    NOT NULL,
    flops_gemm  REAL    NOT NULL,
    flops_paper REAL    NOT NULL,
    flops_6nd   REAL    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'done', 'diverged', 'failed', 'cancelled')),
    cancelling  INTEGER NOT NULL DEFAULT 0 CHECK (cancelling IN (0, 1) AND (cancelling = 0 OR state = 'running')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    done_flops  REAL    NOT NULL DEFAULT 0,
    due_flops   REAL    NOT NULL AS (iif(state IN ('pending', 'running', 'done'), flops_exact, done_flops)) VIRTUAL,
    started_at  REAL    NOT NULL DEFAULT 0,
    ended_at    REAL    NOT NULL DEFAULT 0,
    detail      TEXT    NOT NULL DEFAULT ''
) STRICT;

-- state and flops_exact repeat the run's, so that the next run and a page of a list are each found through one index.
CREATE TABLE sweep_runs (
    sweep_id    INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    position    INTEGER NOT NULL CHECK (position >= 1),
    submission  INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    flops_exact REAL    NOT NULL,
    PRIMARY KEY (run_id, sweep_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sweep_runs_position ON sweep_runs (sweep_id, position);
CREATE INDEX sweep_runs_state ON sweep_runs (sweep_id, state, position);
CREATE INDEX sweep_runs_pending ON sweep_runs (sweep_id, flops_exact DESC, run_id) WHERE state = 'pending';

CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    number      INTEGER NOT NULL CHECK (number >= 1),
    token       TEXT    NOT NULL CHECK (length(token) = 64),
    outcome     TEXT    NOT NULL CHECK (outcome IN ('open', 'ok', 'crashed', 'lost', 'preempted', 'timeout', 'out_of_memory', 'refused')),
    detail      TEXT    NOT NULL DEFAULT '',
    worker      TEXT    NOT NULL,
    host        TEXT    NOT NULL,
    cpu         TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    backend     TEXT    NOT NULL,
    data_digest TEXT    NOT NULL,
    pid         INTEGER NOT NULL,
    threads     INTEGER NOT NULL,
    started_at  REAL    NOT NULL,
    ended_at    REAL    NOT NULL DEFAULT 0,
    expires_at  REAL    NOT NULL,
    step        REAL    NOT NULL DEFAULT 0,
    flops       REAL    NOT NULL DEFAULT 0,
    UNIQUE (run_id, number)
) STRICT;

CREATE UNIQUE INDEX attempts_open ON attempts (run_id) WHERE outcome = 'open';
CREATE INDEX attempts_expiry ON attempts (expires_at) WHERE outcome = 'open';

CREATE TABLE points (
    run_id     INTEGER NOT NULL REFERENCES runs (id),
    step       INTEGER NOT NULL CHECK (step >= 0),
    examples   REAL    NOT NULL,
    flops      REAL    NOT NULL,
    seconds    REAL    NOT NULL,
    metrics    TEXT    NOT NULL CHECK (json_valid(metrics)),
    attempt_id INTEGER NOT NULL REFERENCES attempts (id),
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE fits (
    id         INTEGER PRIMARY KEY,
    sweep_id   INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    method     TEXT    NOT NULL,
    json       TEXT    NOT NULL,
    created_at REAL    NOT NULL
) STRICT;

CREATE INDEX fits_latest ON fits (sweep_id, method, id);

-- No foreign keys: an event outlives what it speaks of. 0: none.
CREATE TABLE events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    time       REAL    NOT NULL,
    kind       TEXT    NOT NULL,
    sweep_id   INTEGER NOT NULL,
    run_id     INTEGER NOT NULL,
    attempt_id INTEGER NOT NULL,
    detail     TEXT    NOT NULL
) STRICT;

CREATE INDEX events_run ON events (run_id, id);

-- Whoever changes a run changes the counts of its sweeps in the same statement, so that they cannot part.
CREATE TRIGGER runs_state AFTER UPDATE OF state ON runs WHEN OLD.state <> NEW.state
BEGIN
    UPDATE sweep_runs SET state = NEW.state WHERE run_id = NEW.id;
    UPDATE sweeps SET
        pending = pending + (NEW.state = 'pending') - (OLD.state = 'pending'),
        running = running + (NEW.state = 'running') - (OLD.state = 'running'),
        done = done + (NEW.state = 'done') - (OLD.state = 'done'),
        diverged = diverged + (NEW.state = 'diverged') - (OLD.state = 'diverged'),
        failed = failed + (NEW.state = 'failed') - (OLD.state = 'failed'),
        cancelled = cancelled + (NEW.state = 'cancelled') - (OLD.state = 'cancelled'),
        first_started_at = iif(first_started_at = 0 AND NEW.state = 'running', NEW.started_at, first_started_at),
        last_ended_at = max(last_ended_at, NEW.ended_at)
    WHERE id IN (SELECT sweep_id FROM sweep_runs WHERE run_id = NEW.id);
END;

-- done_flops of a sweep: what its runs executed. planned_flops: what they come to in the end, so that the share done reaches one: a run that
-- was cut short comes to what it executed.
CREATE TRIGGER runs_flops AFTER UPDATE OF state, done_flops ON runs
WHEN OLD.done_flops <> NEW.done_flops OR OLD.due_flops <> NEW.due_flops
BEGIN
    UPDATE sweeps SET
        done_flops = done_flops + NEW.done_flops - OLD.done_flops,
        planned_flops = planned_flops + NEW.due_flops - OLD.due_flops
    WHERE id IN (SELECT sweep_id FROM sweep_runs WHERE run_id = NEW.id);
END;
