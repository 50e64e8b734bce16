-- How many GPUs a run needs, and which ones an attempt has: their numbers, "0,1".
ALTER TABLE runs ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep_runs ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpus TEXT NOT NULL DEFAULT '';

DROP INDEX sweep_runs_pending;
CREATE INDEX sweep_runs_pending ON sweep_runs (sweep_id, flops_exact DESC, run_id, memory_bytes, gpus) WHERE state = 'pending';
DROP INDEX sweep_runs_memory;
CREATE INDEX sweep_runs_memory ON sweep_runs (sweep_id, memory_bytes, gpus) WHERE state = 'pending';
CREATE INDEX sweep_runs_gpus ON sweep_runs (sweep_id, gpus, memory_bytes) WHERE state = 'pending' AND gpus > 0;

CREATE TRIGGER runs_gpus AFTER UPDATE OF gpus ON runs WHEN OLD.gpus <> NEW.gpus
BEGIN
    UPDATE sweep_runs SET gpus = NEW.gpus WHERE run_id = NEW.id;
END;
