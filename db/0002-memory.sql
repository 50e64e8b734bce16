-- What runs need of a machine's memory, and what attempts were seen to take; bytes, 0: not known.

-- tensor_bytes: parameters, gradients, optimizer and one batch, by arithmetic. memory_bytes: what the run is given room for, from that or from
-- what runs with the same tensors took.
ALTER TABLE runs ADD COLUMN tensor_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_runs ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;

-- reserved_bytes: what its run was given room for. memory_bytes: the most that it took, as its worker reports.
ALTER TABLE attempts ADD COLUMN reserved_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;

-- The most that runs with these tensors were seen to need.
CREATE TABLE memory_peaks (
    tensor_bytes INTEGER PRIMARY KEY,
    memory_bytes INTEGER NOT NULL
) STRICT;

DROP INDEX sweep_runs_pending;
CREATE INDEX sweep_runs_pending ON sweep_runs (sweep_id, flops_exact DESC, run_id, memory_bytes) WHERE state = 'pending';
CREATE INDEX sweep_runs_memory ON sweep_runs (sweep_id, memory_bytes) WHERE state = 'pending';
CREATE INDEX runs_tensors ON runs (tensor_bytes) WHERE state NOT IN ('done', 'diverged');

CREATE TRIGGER runs_memory AFTER UPDATE OF memory_bytes ON runs WHEN OLD.memory_bytes <> NEW.memory_bytes
BEGIN
    UPDATE sweep_runs SET memory_bytes = NEW.memory_bytes WHERE run_id = NEW.id;
END;
