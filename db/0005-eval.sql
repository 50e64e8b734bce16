-- What the items of eval execute is no part of a run's FLOPs, but of what there is to do. Of runs that are there already src/store/migrate.c
-- computes it from their specs.
ALTER TABLE runs ADD COLUMN flops_eval REAL NOT NULL DEFAULT 0;

DROP TRIGGER runs_flops;
DROP TRIGGER runs_told;
ALTER TABLE runs DROP COLUMN due_flops;
ALTER TABLE runs ADD COLUMN due_flops REAL AS (iif(state IN ('pending', 'running', 'done'), flops_exact + flops_eval, done_flops)) VIRTUAL;

CREATE TRIGGER runs_flops AFTER UPDATE OF state, done_flops, flops_eval ON runs
WHEN OLD.done_flops <> NEW.done_flops OR OLD.due_flops <> NEW.due_flops
BEGIN
    UPDATE sweeps SET
        done_flops = done_flops + NEW.done_flops - OLD.done_flops,
        planned_flops = planned_flops + NEW.due_flops - OLD.due_flops
    WHERE id IN (SELECT sweep_id FROM sweep_runs WHERE run_id = NEW.id);
END;
CREATE TRIGGER runs_told AFTER UPDATE OF flops_exact ON runs WHEN OLD.flops_exact <> NEW.flops_exact
BEGIN
    UPDATE sweep_runs SET flops_exact = NEW.flops_exact WHERE run_id = NEW.id;
    UPDATE sweeps SET planned_flops = planned_flops + NEW.due_flops - OLD.due_flops
    WHERE id IN (SELECT sweep_id FROM sweep_runs WHERE run_id = NEW.id);
END;
