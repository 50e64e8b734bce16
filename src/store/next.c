/* What is next, and who is at work, as the queue asks. A sweep's pending runs stand in an index from the dearest on, with what each needs,
 * so that runs that would find no room are passed over within it. */
#include "private.h"

int store_next_sweep(Store *store, Need most, int64_t *sweep_id, int64_t *pending, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row,
                        "SELECT id, pending FROM sweeps s WHERE state = 'active' AND pending > 0 AND EXISTS "
                        "(SELECT 1 FROM sweep_runs p WHERE p.sweep_id = s.id AND p.state = 'pending' AND p.memory_bytes <= ? "
                        "AND p.gpus <= ?) ORDER BY running, id LIMIT 1",
                        VALUES(real(most.memory_bytes), integer(most.gpus))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NONE;
    *sweep_id = sqlite3_column_int64(row, 0);
    *pending = sqlite3_column_int64(row, 1);
    statement_reset(row);
    return 0;
}

/* The pluses keep SQLite from the indexes on memory_bytes and gpus, by which it would gather all pending runs and sort them, for each that
 * is leased. */
int store_next_pending(Store *store, int64_t sweep_id, Need most, PendingRun *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row,
                        "SELECT r.id, r.attempts, r.key, r.spec, r.memory_bytes, iif(r.attempts > 0, coalesce("
                        "(SELECT a.threads FROM attempts a WHERE a.run_id = r.id AND a.number = r.attempts), 0), 0), r.gpus "
                        "FROM runs r WHERE r.id = "
                        "(SELECT run_id FROM sweep_runs WHERE sweep_id = ? AND state = 'pending' AND +memory_bytes <= ? "
                        "AND +gpus <= ? ORDER BY flops_exact DESC, run_id LIMIT 1)",
                        VALUES(integer(sweep_id), real(most.memory_bytes), integer(most.gpus))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NONE;
    *out = (PendingRun){.run_id = sqlite3_column_int64(row, 0),
                        .attempts = sqlite3_column_int64(row, 1),
                        .need = {sqlite3_column_double(row, 4), sqlite3_column_int64(row, 6)},
                        .threads = sqlite3_column_int64(row, 5)};
    column_copy(row, 2, out->key, sizeof out->key);
    const char *spec = (const char *)sqlite3_column_text(row, 3);
    out->readable = run_parse(&out->run, spec ? spec : "", (size_t)sqlite3_column_bytes(row, 3), "stored run", &out->problem) == 0;
    statement_reset(row);
    return 0;
}

static int largest_read(Store *store, const char *sql, int64_t sweep_id, int64_t *run_id, Need *need, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, sql, VALUES(integer(sweep_id))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NONE;
    *run_id = sqlite3_column_int64(row, 0);
    *need = (Need){sqlite3_column_double(row, 1), sqlite3_column_int64(row, 2)};
    statement_reset(row);
    return 0;
}

int store_largest_pending(Store *store, int64_t sweep_id, int64_t *run_id, Need *need, Error *error) {
    return largest_read(store,
                        "SELECT run_id, memory_bytes, gpus FROM sweep_runs WHERE sweep_id = ? AND state = 'pending' "
                        "ORDER BY memory_bytes DESC LIMIT 1",
                        sweep_id, run_id, need, error);
}

int store_largest_pending_of_gpus(Store *store, int64_t sweep_id, int64_t *run_id, Need *need, Error *error) {
    return largest_read(store,
                        "SELECT run_id, memory_bytes, gpus FROM sweep_runs WHERE sweep_id = ? AND state = 'pending' AND gpus > 0 "
                        "ORDER BY gpus DESC, memory_bytes DESC LIMIT 1",
                        sweep_id, run_id, need, error);
}

int store_larger_count(Store *store, int64_t sweep_id, Need most, int64_t *count, Error *error) {
    return statement_integer(store, error, count,
                             "SELECT count(*) FROM sweep_runs WHERE sweep_id = ? AND state = 'pending' AND (memory_bytes > ? OR gpus > ?)",
                             VALUES(integer(sweep_id), real(most.memory_bytes), integer(most.gpus)));
}

int store_fitting_count(Store *store, Need most, int64_t limit, int64_t *count, Error *error) {
    return statement_integer(
        store, error, count,
        "SELECT count(*) FROM (SELECT DISTINCT p.run_id FROM sweeps s CROSS JOIN sweep_runs p ON p.sweep_id = s.id "
        "WHERE s.state = 'active' AND s.pending > 0 AND p.state = 'pending' AND p.memory_bytes <= ? AND p.gpus <= ? LIMIT ?)",
        VALUES(real(most.memory_bytes), integer(most.gpus), integer(limit)));
}

int store_host_workers(Store *store, const char *host, HostWorker *out, size_t capacity, size_t *count, Error *error) {
    sqlite3_stmt *row = NULL;
    char gpus[GPUS_TEXT_MAX];
    int result;
    *count = 0;
    if (statement_query(store, error, &row,
                        "SELECT min(run_id), max(threads), max(reserved_bytes), group_concat(nullif(gpus, '')) FROM attempts "
                        "WHERE outcome = 'open' AND host = ? GROUP BY worker, pid LIMIT ?",
                        VALUES(text(host), integer((int64_t)capacity))) < 0)
        return -1;
    while ((result = statement_next(store, row, error)) > 0) {
        HostWorker *worker = &out[(*count)++];
        *worker = (HostWorker){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), sqlite3_column_double(row, 2), 0};
        column_copy(row, 3, gpus, sizeof gpus);
        gpus_parse(gpus, &worker->gpus);
    }
    return result;
}

/* ---- what runs need ---- */

int store_run_set_memory(Store *store, int64_t run_id, double tensor_bytes, double memory_bytes, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    int result = statement_run(store, error, NULL, "UPDATE runs SET tensor_bytes = ?2, memory_bytes = ?3 WHERE id = ?1",
                               VALUES(integer(run_id), integer((int64_t)tensor_bytes), integer((int64_t)memory_bytes)));
    return store_transaction_end(store, result, error);
}

static int memory_learn(Store *store, double tensor_bytes, double memory_bytes, Error *error) {
    int64_t changed;
    Value tensors = integer((int64_t)tensor_bytes), bytes = integer((int64_t)memory_bytes);
    if (statement_run(store, error, &changed,
                      "INSERT INTO memory_peaks (tensor_bytes, memory_bytes) VALUES (?1, ?2) "
                      "ON CONFLICT (tensor_bytes) DO UPDATE SET memory_bytes = ?2 WHERE memory_bytes < ?2",
                      VALUES(tensors, bytes)) < 0)
        return -1;
    if (changed == 0)
        return 0;
    return statement_run(store, error, NULL,
                         "UPDATE runs SET memory_bytes = ?2 WHERE state NOT IN ('done', 'diverged') AND tensor_bytes = ?1",
                         VALUES(tensors, bytes));
}

int store_memory_learn(Store *store, double tensor_bytes, double memory_bytes, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, memory_learn(store, tensor_bytes, memory_bytes, error), error);
}

int store_run_tensors(Store *store, int64_t run_id, double *tensor_bytes, Error *error) {
    int64_t bytes = 0;
    int result = statement_integer(store, error, &bytes, "SELECT tensor_bytes FROM runs WHERE id = ?", VALUES(integer(run_id)));
    *tensor_bytes = (double)bytes;
    return result;
}
