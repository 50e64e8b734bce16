#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

#define SWEEP_COLUMNS                                                                                                                      \
    "id, name, data, digest, state, submitted_at, runs, pending, running, done, diverged, failed, cancelled, "                             \
    "iif(EXISTS (SELECT 1 FROM sweep_runs WHERE sweep_id = sweeps.id AND state = 'pending' AND flops_exact = 0) OR "                       \
    "EXISTS (SELECT 1 FROM sweep_runs WHERE sweep_id = sweeps.id AND state = 'running' AND flops_exact = 0), 0, planned_flops), "          \
    "done_flops, first_started_at, last_ended_at"

static void sweep_read(sqlite3_stmt *row, SweepRecord *out) {
    *out = (SweepRecord){
        .id = sqlite3_column_int64(row, 0), .submitted_at = sqlite3_column_double(row, 5), .runs = sqlite3_column_int64(row, 6)};
    column_copy(row, 1, out->name, sizeof out->name);
    column_copy(row, 2, out->data, sizeof out->data);
    column_copy(row, 3, out->digest, sizeof out->digest);
    column_copy(row, 4, out->state, sizeof out->state);
    for (int state = 0; state < RUN_STATES; state++)
        out->by_state[state] = sqlite3_column_int64(row, 7 + state);
    out->planned_flops = sqlite3_column_double(row, 13);
    out->done_flops = sqlite3_column_double(row, 14);
    out->first_started_at = sqlite3_column_double(row, 15);
    out->last_ended_at = sqlite3_column_double(row, 16);
}

static int sweep_find_one(Store *store, const char *sql, Value value, SweepRecord *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, sql, &value, 1) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    sweep_read(row, out);
    statement_reset(row);
    return 0;
}

int store_sweep_find(Store *store, const char *name, SweepRecord *out, Error *error) {
    int result = sweep_find_one(store, "SELECT " SWEEP_COLUMNS " FROM sweeps WHERE name = ?", text(name), out, error);
    if (result != STORE_NOT_FOUND || !*name || strspn(name, "0123456789") != strlen(name) || strlen(name) > 18)
        return result;
    return sweep_find_one(store, "SELECT " SWEEP_COLUMNS " FROM sweeps WHERE id = ?", integer(strtoll(name, NULL, 10)), out, error);
}

int store_sweep_list(Store *store, SweepRecord *out, size_t capacity, size_t *count, Error *error) {
    sqlite3_stmt *row = NULL;
    *count = 0;
    if (statement_query(store, error, &row, "SELECT " SWEEP_COLUMNS " FROM sweeps ORDER BY submitted_at DESC, id DESC LIMIT ?",
                        VALUES(integer((int64_t)capacity))) < 0)
        return -1;
    int result;
    while ((result = statement_next(store, row, error)) > 0)
        sweep_read(row, &out[(*count)++]);
    return result;
}

int store_sweep_text(Store *store, int64_t sweep_id, Buffer *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT text FROM sweep_files WHERE sweep_id = ?", VALUES(integer(sweep_id))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    const void *data = sqlite3_column_blob(row, 0);
    buffer_append(out, data ? data : "", (size_t)sqlite3_column_bytes(row, 0));
    statement_reset(row);
    return buffer_check(out, error, "the sweep file");
}

/* ---- states ---- */

static int sweep_cancel_runs(Store *store, int64_t sweep_id, double now, int64_t *changed, Error *error) {
    return statement_run(store, error, changed,
                         "UPDATE runs SET state = 'cancelled', ended_at = ?2 WHERE state = 'pending' "
                         "AND id IN (SELECT run_id FROM sweep_runs WHERE sweep_id = ?1 AND state = 'pending') "
                         "AND NOT EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id "
                         "WHERE o.run_id = runs.id AND s.state <> 'cancelled')",
                         VALUES(integer(sweep_id), real(now)));
}

static int sweep_set_state(Store *store, int64_t sweep_id, const char *state, double now, int64_t *changed, Error *error) {
    int64_t cancelled, rows;
    int result =
        statement_integer(store, error, &cancelled, "SELECT state = 'cancelled' FROM sweeps WHERE id = ?", VALUES(integer(sweep_id)));
    if (result != 0)
        return result;
    if (cancelled)
        return strcmp(state, "cancelled") == 0 ? 0 : STORE_CONFLICT;
    if (statement_run(store, error, &rows, "UPDATE sweeps SET state = ?2 WHERE id = ?1 AND state <> ?2",
                      VALUES(integer(sweep_id), text(state))) < 0)
        return -1;
    if (strcmp(state, "cancelled") == 0 && sweep_cancel_runs(store, sweep_id, now, changed, error) < 0)
        return -1;
    return rows > 0 ? store_event_add(store, now, "sweep_state", sweep_id, 0, 0, state, error) : 0;
}

int store_sweep_set_state(Store *store, int64_t sweep_id, const char *state, double now, int64_t *changed, Error *error) {
    *changed = 0;
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, sweep_set_state(store, sweep_id, state, now, changed, error), error);
}

/* ---- retry and cancel ---- */

/* A pending run that no active or paused sweep has would wait for ever, so both forms ask for such a sweep. */
static int retry_sweep(Store *store, int64_t sweep_id, int64_t *changed, Error *error) {
    int64_t cancelled;
    int result =
        statement_integer(store, error, &cancelled, "SELECT state = 'cancelled' FROM sweeps WHERE id = ?", VALUES(integer(sweep_id)));
    if (result != 0 || cancelled)
        return result != 0 ? result : STORE_CONFLICT;
    if (statement_run(store, error, NULL,
                      "UPDATE runs SET cancelling = 0 WHERE cancelling = 1 "
                      "AND id IN (SELECT run_id FROM sweep_runs WHERE sweep_id = ? AND state = 'running')",
                      VALUES(integer(sweep_id))) < 0)
        return -1;
    return statement_run(store, error, changed,
                         "UPDATE runs SET state = 'pending', failures = 0 "
                         "WHERE id IN (SELECT run_id FROM sweep_runs WHERE sweep_id = ? AND state IN ('failed', 'cancelled'))",
                         VALUES(integer(sweep_id)));
}

static int retry_run(Store *store, int64_t run_id, int64_t *changed, Error *error) {
    int64_t live;
    int result = statement_integer(store, error, &live,
                                   "SELECT EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id "
                                   "WHERE o.run_id = r.id AND s.state <> 'cancelled') FROM runs r WHERE r.id = ?",
                                   VALUES(integer(run_id)));
    if (result != 0 || !live)
        return result != 0 ? result : STORE_CONFLICT;
    if (statement_run(store, error, NULL, "UPDATE runs SET cancelling = 0 WHERE id = ? AND cancelling = 1", VALUES(integer(run_id))) < 0)
        return -1;
    return statement_run(store, error, changed,
                         "UPDATE runs SET state = 'pending', failures = 0 WHERE id = ? AND state IN ('failed', 'cancelled')",
                         VALUES(integer(run_id)));
}

int store_retry(Store *store, int64_t sweep_id, int64_t run_id, double now, int64_t *changed, Error *error) {
    *changed = 0;
    if (store_transaction_begin(store, error) < 0)
        return -1;
    int result = run_id ? retry_run(store, run_id, changed, error) : retry_sweep(store, sweep_id, changed, error);
    if (result == 0 && *changed > 0) {
        char detail[64];
        snprintf(detail, sizeof detail, "%lld runs", (long long)*changed);
        result = store_event_add(store, now, "retried", sweep_id, run_id, 0, detail, error);
    }
    return store_transaction_end(store, result, error);
}

static int run_cancel(Store *store, int64_t run_id, double now, int64_t *changed, Error *error) {
    int64_t over;
    int result = statement_integer(store, error, &over, "SELECT state IN ('done', 'diverged', 'failed') FROM runs WHERE id = ?",
                                   VALUES(integer(run_id)));
    if (result != 0 || over)
        return result != 0 ? result : STORE_CONFLICT;
    if (statement_run(store, error, changed,
                      "UPDATE runs SET state = iif(state = 'pending', 'cancelled', state), cancelling = state = 'running', "
                      "ended_at = iif(state = 'pending', ?2, ended_at) WHERE id = ?1 AND state <> 'cancelled' AND cancelling = 0",
                      VALUES(integer(run_id), real(now))) < 0)
        return -1;
    return *changed > 0 ? store_event_add(store, now, "run_cancelled", 0, run_id, 0, "", error) : 0;
}

int store_run_cancel(Store *store, int64_t run_id, double now, int64_t *changed, Error *error) {
    *changed = 0;
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, run_cancel(store, run_id, now, changed, error), error);
}
