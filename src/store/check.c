/* What must hold in every database between two transactions, as queries that count what breaks it. */
#include "private.h"

#include <string.h>

typedef struct Invariant {
    const char *what;
    const char *sql;
} Invariant;

static const Invariant invariants[] = {
    {"sweeps whose kept counts differ from their runs",
     "SELECT count(*) FROM sweeps s WHERE (runs, pending, running, done, diverged, failed, cancelled) <> "
     "(SELECT count(*), coalesce(sum(r.state = 'pending'), 0), coalesce(sum(r.state = 'running'), 0), coalesce(sum(r.state = 'done'), 0), "
     "coalesce(sum(r.state = 'diverged'), 0), coalesce(sum(r.state = 'failed'), 0), coalesce(sum(r.state = 'cancelled'), 0) "
     "FROM sweep_runs m JOIN runs r ON r.id = m.run_id WHERE m.sweep_id = s.id)"},
    /* Sums of doubles depend on their order in the last digits. */
    {"sweeps whose kept FLOPs differ from their runs",
     "SELECT count(*) FROM (SELECT s.planned_flops AS p, s.done_flops AS d, total(r.due_flops) AS planned, "
     "total(r.done_flops) AS done, total(r.flops_exact) AS scale FROM sweeps s JOIN sweep_runs m ON m.sweep_id = s.id JOIN runs r ON r.id "
     "= m.run_id GROUP BY s.id) "
     "WHERE abs(p - planned) > 1e-9 * scale OR abs(d - done) > 1e-9 * scale"},
    {"runs whose state or needs differ in a sweep's list",
     "SELECT count(*) FROM sweep_runs m JOIN runs r ON r.id = m.run_id WHERE m.state <> r.state OR m.flops_exact <> r.flops_exact "
     "OR m.memory_bytes <> r.memory_bytes OR m.gpus <> r.gpus"},
    {"runs that are running without an open attempt, or the reverse",
     "SELECT count(*) FROM runs r WHERE (r.state = 'running') <> EXISTS (SELECT 1 FROM attempts a WHERE a.run_id = r.id AND a.outcome = "
     "'open')"},
    {"runs with a result and not exactly one attempt that gave it",
     "SELECT count(*) FROM runs r WHERE (r.state IN ('done', 'diverged')) <> "
     "(SELECT count(*) FROM attempts a WHERE a.run_id = r.id AND a.outcome = 'ok')"},
    {"done runs without a point at their last step", "SELECT count(*) FROM runs r WHERE r.state = 'done' AND NOT EXISTS (SELECT 1 FROM "
                                                     "points p WHERE p.run_id = r.id AND p.step = r.steps)"},
    {"points past their run's last step", "SELECT count(*) FROM points p JOIN runs r ON r.id = p.run_id WHERE p.step > r.steps"},
    {"runs whose attempts are not all there",
     "SELECT count(*) FROM runs r WHERE r.attempts <> (SELECT count(*) FROM attempts a WHERE a.run_id = r.id)"},
    {"points of an attempt of another run",
     "SELECT count(*) FROM points p JOIN attempts a ON a.id = p.attempt_id WHERE a.run_id <> p.run_id"},
    {"pending runs that no active or paused sweep has",
     "SELECT count(*) FROM runs r WHERE r.state = 'pending' AND NOT EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id "
     "WHERE o.run_id = r.id AND s.state <> 'cancelled')"},
    {"references to rows that are not there", "SELECT count(*) FROM pragma_foreign_key_check"},
};

static int check_integrity(Store *store, Buffer *problems, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "PRAGMA integrity_check(20)", NULL, 0) < 0)
        return -1;
    int result;
    while ((result = statement_next(store, row, error)) > 0) {
        const char *line = (const char *)sqlite3_column_text(row, 0);
        if (line && strcmp(line, "ok") != 0)
            buffer_printf(problems, "%s\n", line);
    }
    return result;
}

int store_check(Store *store, Buffer *problems, Error *error) {
    if (check_integrity(store, problems, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof invariants / sizeof *invariants; i++) {
        int64_t count;
        if (statement_integer(store, error, &count, invariants[i].sql, NULL, 0) != 0)
            return -1;
        if (count > 0)
            buffer_printf(problems, "%lld %s\n", (long long)count, invariants[i].what);
    }
    return buffer_check(problems, error, "the list of problems");
}
