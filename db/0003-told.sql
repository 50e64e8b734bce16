-- An external program may tell its FLOPs only as it runs: until then a run's flops_exact is 0, and it changes once.
CREATE TRIGGER runs_told AFTER UPDATE OF flops_exact ON runs WHEN OLD.flops_exact <> NEW.flops_exact
BEGIN
    UPDATE sweep_runs SET flops_exact = NEW.flops_exact WHERE run_id = NEW.id;
    UPDATE sweeps SET planned_flops = planned_flops + NEW.due_flops - OLD.due_flops
    WHERE id IN (SELECT sweep_id FROM sweep_runs WHERE run_id = NEW.id);
END;
