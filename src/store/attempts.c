/* Attempts, as the queue drives them. A run is running exactly while it has an open attempt; an index allows one open attempt per run. */
#include "private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int attempt_read(sqlite3_stmt *row, AttemptRecord *out, Error *error) {
    *out = (AttemptRecord){.id = sqlite3_column_int64(row, 0),
                           .run_id = sqlite3_column_int64(row, 1),
                           .number = sqlite3_column_int64(row, 2),
                           .environment = {.pid = sqlite3_column_int64(row, 10),
                                           .threads = sqlite3_column_int64(row, 11),
                                           .memory_bytes = sqlite3_column_double(row, 17)},
                           .started_at = sqlite3_column_double(row, 12),
                           .ended_at = sqlite3_column_double(row, 13),
                           .expires_at = sqlite3_column_double(row, 14),
                           .step = sqlite3_column_double(row, 15),
                           .flops = sqlite3_column_double(row, 16)};
    column_copy(row, 4, out->detail, sizeof out->detail);
    column_copy(row, 5, out->environment.host, sizeof out->environment.host);
    column_copy(row, 6, out->environment.cpu, sizeof out->environment.cpu);
    column_copy(row, 7, out->environment.version, sizeof out->environment.version);
    column_copy(row, 8, out->environment.backend, sizeof out->environment.backend);
    column_copy(row, 9, out->environment.data_digest, sizeof out->environment.data_digest);
    char gpus[GPUS_TEXT_MAX];
    column_copy(row, 18, gpus, sizeof gpus);
    gpus_parse(gpus, &out->gpus);
    const char *outcome = (const char *)sqlite3_column_text(row, 3);
    if (!outcome || outcome_find(outcome, &out->outcome) != 0)
        return error_set(error, "attempt %lld has the unknown outcome '%s'", (long long)out->id, outcome ? outcome : "");
    return 0;
}

static int attempt_read_all(Store *store, sqlite3_stmt *row, AttemptRecord *out, size_t *count, Error *error) {
    int result;
    while ((result = statement_next(store, row, error)) > 0) {
        if (attempt_read(row, &out[*count], error) < 0) {
            statement_reset(row);
            return -1;
        }
        (*count)++;
    }
    return result;
}

/* ---- lists; a plus before id keeps SQLite from reading all attempts that ever were, in the order of id, for the few that are open ---- */

static int attempt_list(Store *store, const char *sql, Value value, size_t capacity, AttemptRecord *out, size_t *count, Error *error) {
    sqlite3_stmt *row = NULL;
    *count = 0;
    if (statement_query(store, error, &row, sql, VALUES(value, integer((int64_t)capacity))) < 0)
        return -1;
    return attempt_read_all(store, row, out, count, error);
}

int store_attempt_list(Store *store, int64_t run_id, AttemptRecord *out, size_t capacity, size_t *count, Error *error) {
    return attempt_list(store, "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE run_id = ? ORDER BY number LIMIT ?", integer(run_id),
                        capacity, out, count, error);
}

int store_attempt_expired(Store *store, double now, AttemptRecord *out, size_t capacity, size_t *count, Error *error) {
    return attempt_list(
        store, "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE outcome = 'open' AND expires_at <= ? ORDER BY expires_at, id LIMIT ?",
        real(now), capacity, out, count, error);
}

int store_worker_list(Store *store, AttemptRecord *out, size_t capacity, size_t *count, Error *error) {
    return attempt_list(store,
                        "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE outcome = 'open' AND +id > ? GROUP BY worker, host, pid LIMIT ?",
                        integer(0), capacity, out, count, error);
}

int store_worker_count(Store *store, size_t *count, Error *error) {
    int64_t workers = 0;
    int result = statement_integer(
        store, error, &workers, "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE outcome = 'open' GROUP BY worker, host, pid)", NULL, 0);
    *count = (size_t)workers;
    return result;
}

static int attempt_find_one(Store *store, sqlite3_stmt *row, AttemptRecord *out, Error *error) {
    size_t count = 0;
    if (attempt_read_all(store, row, out, &count, error) < 0)
        return -1;
    return count ? 0 : STORE_NOT_FOUND;
}

int store_attempt_of_worker(Store *store, const char *worker, const Environment *at, AttemptRecord *out, size_t capacity, size_t *count,
                            Error *error) {
    sqlite3_stmt *row = NULL;
    *count = 0;
    if (statement_query(
            store, error, &row,
            "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE outcome = 'open' AND worker <> '' AND worker = ?1 AND "
            "(?2 = 0 OR (pid = ?3 AND host = ?4)) ORDER BY +id LIMIT ?5",
            VALUES(text(worker), integer(at != NULL), integer(at ? at->pid : 0), text(at ? at->host : ""), integer((int64_t)capacity))) < 0)
        return -1;
    return attempt_read_all(store, row, out, count, error);
}

int store_attempt_latest_of_worker(Store *store, const char *worker, AttemptRecord *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE worker = ? ORDER BY id DESC LIMIT 1",
                        VALUES(text(worker))) < 0)
        return -1;
    return attempt_find_one(store, row, out, error);
}

/* ---- begin ---- */

static int attempt_insert(Store *store, const AttemptStart *start, int64_t number, Error *error) {
    const Environment *at = &start->environment;
    char gpus[GPUS_TEXT_MAX];
    return statement_run(
        store, error, NULL,
        "INSERT INTO attempts (run_id, number, token, outcome, worker, host, cpu, version, backend, data_digest, pid, threads, "
        "started_at, expires_at, reserved_bytes, gpus) VALUES (?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        VALUES(integer(start->run_id), integer(number), text(start->token), text(start->worker), text(at->host), text(at->cpu),
               text(at->version), text(at->backend), text(at->data_digest), integer(at->pid), integer(at->threads), real(start->now),
               real(start->expires_at), integer((int64_t)start->reserved_bytes), text(gpus_text(start->gpus, gpus))));
}

static int attempt_begin(Store *store, const AttemptStart *start, AttemptRecord *out, Error *error) {
    int64_t number, exists;
    int result = statement_integer(store, error, &number,
                                   "UPDATE runs SET state = 'running', attempts = attempts + 1, started_at = ?2, ended_at = 0 "
                                   "WHERE id = ?1 AND state = 'pending' RETURNING attempts",
                                   VALUES(integer(start->run_id), real(start->now)));
    if (result == STORE_NOT_FOUND) {
        result = statement_integer(store, error, &exists, "SELECT 1 FROM runs WHERE id = ?", VALUES(integer(start->run_id)));
        return result != 0 ? result : STORE_CONFLICT;
    }
    if (result < 0)
        return -1;
    if (attempt_insert(store, start, number, error) < 0)
        return -1;
    *out = (AttemptRecord){.id = sqlite3_last_insert_rowid(store->db),
                           .run_id = start->run_id,
                           .number = number,
                           .environment = start->environment,
                           .gpus = start->gpus,
                           .started_at = start->now,
                           .expires_at = start->expires_at};
    return 0;
}

int store_attempt_begin(Store *store, const AttemptStart *start, AttemptRecord *out, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, attempt_begin(store, start, out, error), error);
}

/* ---- reports ---- */

/* Every byte is looked at, so that the time tells nothing of where two tokens differ. */
static bool token_equal(const char *a, const char *b) {
    size_t size = strlen(a);
    unsigned difference = size != strlen(b) || size == 0;
    for (size_t i = 0; size == strlen(b) && i < size; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

int store_attempt_check(Store *store, int64_t attempt_id, const char *token, double now, AttemptRecord *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT " ATTEMPT_COLUMNS ", token FROM attempts WHERE id = ?", VALUES(integer(attempt_id))) <
        0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    char expected[SHA256_HEX_MAX];
    column_copy(row, sqlite3_column_count(row) - 1, expected, sizeof expected);
    result = attempt_read(row, out, error);
    statement_reset(row);
    if (result < 0)
        return -1;
    if (!token_equal(expected, token)) {
        result = store_event_add(store, now, "stale_message", 0, out->run_id, attempt_id, "wrong token", error);
        return result < 0 ? -1 : STORE_STALE;
    }
    return out->outcome == OUTCOME_OPEN ? 0 : STORE_ENDED;
}

/* Progress only grows, so a report that comes late or twice changes nothing. */
static int attempt_renew(Store *store, int64_t attempt_id, double expires_at, double step, double flops, Error *error) {
    int64_t changed;
    if (statement_run(store, error, &changed,
                      "UPDATE attempts SET expires_at = max(expires_at, ?2), step = max(step, ?3), flops = max(flops, ?4) "
                      "WHERE id = ?1 AND outcome = 'open'",
                      VALUES(integer(attempt_id), real(expires_at), real(step), real(flops))) < 0)
        return -1;
    if (changed == 0)
        return STORE_STALE;
    return statement_run(
        store, error, NULL,
        "UPDATE runs SET done_flops = min(flops_exact + flops_eval, a.flops) FROM (SELECT run_id, flops FROM attempts WHERE id = ?) a "
        "WHERE runs.id = a.run_id AND done_flops <> min(flops_exact + flops_eval, a.flops)",
        VALUES(integer(attempt_id)));
}

int store_attempt_renew(Store *store, int64_t attempt_id, double expires_at, double step, double flops, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    step = isfinite(step) ? step : 0;
    flops = isfinite(flops) ? flops : 0;
    return store_transaction_end(store, attempt_renew(store, attempt_id, expires_at, step, flops, error), error);
}

int store_attempt_extend_all(Store *store, double expires_at, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    int result = statement_run(store, error, NULL, "UPDATE attempts SET expires_at = ? WHERE outcome = 'open'", VALUES(real(expires_at)));
    return store_transaction_end(store, result, error);
}

/* The first that came is kept: which is right nobody can say here. */
static int point_compare(Store *store, int64_t attempt_id, int64_t run_id, const Point *point, const Buffer *metrics, Error *error) {
    int64_t differs;
    char detail[RECORD_TEXT_MAX];
    int result = statement_integer(store, error, &differs, "SELECT metrics <> ?3 FROM points WHERE run_id = ?1 AND step = ?2",
                                   VALUES(integer(run_id), integer(point->step), text(metrics->data)));
    if (result != 0 || !differs)
        return result < 0 ? -1 : 0;
    snprintf(detail, sizeof detail, "step %lld: not kept: %s", (long long)point->step, metrics->data);
    return store_event_add(store, clock_unix(), "point_differs", 0, run_id, attempt_id, detail, error);
}

static int point_insert(Store *store, int64_t attempt_id, int64_t run_id, const Point *point, Buffer *metrics, Error *error) {
    int64_t added;
    buffer_clear(metrics);
    point_format_metrics(point, metrics);
    if (buffer_check(metrics, error, "a point's metrics") < 0)
        return -1;
    if (statement_run(store, error, &added,
                      "INSERT INTO points (run_id, step, examples, flops, seconds, metrics, attempt_id) VALUES (?, ?, ?, ?, ?, ?, ?) "
                      "ON CONFLICT (run_id, step) DO NOTHING",
                      VALUES(integer(run_id), integer(point->step), real(point->examples), real(point->flops), real(point->seconds),
                             text(metrics->data), integer(attempt_id))) < 0)
        return -1;
    return added > 0 ? 0 : point_compare(store, attempt_id, run_id, point, metrics, error);
}

static int point_insert_all(Store *store, int64_t attempt_id, const Point *points, size_t count, Error *error) {
    int64_t run_id;
    int result = statement_integer(store, error, &run_id, "SELECT run_id FROM attempts WHERE id = ?", VALUES(integer(attempt_id)));
    if (result != 0)
        return result;
    Buffer metrics;
    buffer_init(&metrics, 1 << 16);
    for (size_t i = 0; i < count && result == 0; i++)
        result = point_insert(store, attempt_id, run_id, &points[i], &metrics, error);
    buffer_deinit(&metrics);
    return result;
}

int store_point_add(Store *store, int64_t attempt_id, const Point *points, size_t count, Error *error) {
    if (count == 0)
        return 0;
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, point_insert_all(store, attempt_id, points, count, error), error);
}

/* ---- end ---- */

#define ATTEMPT_END   "UPDATE attempts SET outcome = ?2, detail = ?3, ended_at = ?4, step = max(step, ?5), flops = max(flops, ?6)"
#define ATTEMPT_ENDED " WHERE id = ?1 AND outcome = 'open' RETURNING run_id, flops"

static int attempt_end_query(Store *store, int64_t attempt_id, const AttemptEnd *end, sqlite3_stmt **row, Error *error) {
    const Environment *at = end->environment;
    Value id = integer(attempt_id), outcome = text(outcome_text(end->outcome)), detail = text(end->detail), now = real(end->now);
    Value step = real(isfinite(end->step) ? end->step : 0), flops = real(isfinite(end->flops) ? end->flops : 0);
    if (!at)
        return statement_query(store, error, row, ATTEMPT_END ATTEMPT_ENDED, VALUES(id, outcome, detail, now, step, flops));
    return statement_query(store, error, row,
                           ATTEMPT_END ", host = ?7, cpu = ?8, version = ?9, backend = ?10, data_digest = ?11, pid = ?12, "
                                       "threads = ?13, memory_bytes = ?14" ATTEMPT_ENDED,
                           VALUES(id, outcome, detail, now, step, flops, text(at->host), text(at->cpu), text(at->version),
                                  text(at->backend), text(at->data_digest), integer(at->pid), integer(at->threads),
                                  integer((int64_t)at->memory_bytes)));
}

static int attempt_end(Store *store, int64_t attempt_id, const AttemptEnd *end, Error *error) {
    sqlite3_stmt *row = NULL;
    int64_t exists;
    if (attempt_end_query(store, attempt_id, end, &row, error) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result == 0) {
        result = statement_integer(store, error, &exists, "SELECT 1 FROM attempts WHERE id = ?", VALUES(integer(attempt_id)));
        return result != 0 ? result : STORE_STALE;
    }
    if (result < 0)
        return -1;
    int64_t run_id = sqlite3_column_int64(row, 0);
    double flops = sqlite3_column_double(row, 1);
    statement_reset(row);
    return statement_run(
        store, error, NULL,
        "UPDATE runs SET state = ?2, failures = failures + ?3, cancelling = 0, ended_at = ?4, "
        "done_flops = iif(?2 = 'done', flops_exact + flops_eval, iif(?6 > 0, min(flops_exact + flops_eval, ?6), done_flops)), "
        "detail = iif(?2 = 'done', '', ?5) WHERE id = ?1",
        VALUES(integer(run_id), text(run_state_text(end->run_state)), integer(end->failures_add), real(end->now), text(end->detail),
               real(flops)));
}

int store_attempt_end(Store *store, int64_t attempt_id, const AttemptEnd *end, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    return store_transaction_end(store, attempt_end(store, attempt_id, end, error), error);
}

/* ---- how much there is to do ---- */

static int pending_count(Store *store, int64_t limit, int64_t *pending, Error *error) {
    int64_t sweeps;
    int result = statement_integer(store, error, &sweeps, "SELECT count(*) FROM sweeps WHERE state = 'active' AND pending > 0", NULL, 0);
    if (result != 0)
        return result;
    if (sweeps <= 1) {
        return statement_integer(store, error, pending, "SELECT min(?, coalesce(sum(pending), 0)) FROM sweeps WHERE state = 'active'",
                                 VALUES(integer(limit)));
    }
    /* Sweeps may share runs, so that their counts do not add up. */
    return statement_integer(store, error, pending,
                             "SELECT count(*) FROM (SELECT DISTINCT p.run_id FROM sweeps s CROSS JOIN sweep_runs p ON p.sweep_id = s.id "
                             "WHERE s.state = 'active' AND s.pending > 0 AND p.state = 'pending' LIMIT ?)",
                             VALUES(integer(limit)));
}

int store_pending_count(Store *store, int64_t limit, int64_t *pending, int64_t *running, Error *error) {
    int result = pending_count(store, limit, pending, error);
    return result != 0 ? result : statement_integer(store, error, running, "SELECT count(*) FROM attempts WHERE outcome = 'open'", NULL, 0);
}

int store_others_work(Store *store, const char *sweep, bool *others, Error *error) {
    int64_t found = 0;
    int result =
        statement_integer(store, error, &found,
                          "SELECT EXISTS (SELECT 1 FROM sweeps WHERE name <> ? AND (running > 0 OR (state = 'active' AND pending > 0)))",
                          VALUES(text(sweep)));
    *others = found != 0;
    return result;
}
