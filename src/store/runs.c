#include "private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- points ---- */

static int point_read(sqlite3_stmt *row, Point *out, Error *error) {
    *out = (Point){.step = sqlite3_column_int64(row, 0),
                   .examples = sqlite3_column_double(row, 1),
                   .flops = sqlite3_column_double(row, 2),
                   .seconds = sqlite3_column_double(row, 3)};
    const char *metrics = (const char *)sqlite3_column_text(row, 4);
    return point_parse_metrics(out, metrics ? metrics : "{}", (size_t)sqlite3_column_bytes(row, 4), error);
}

static int point_read_all(Store *store, sqlite3_stmt *row, Point *out, size_t *count, Error *error) {
    int result;
    while ((result = statement_next(store, row, error)) > 0) {
        if (point_read(row, &out[*count], error) != 0) {
            statement_reset(row);
            return error_prefix(error, "a stored point");
        }
        (*count)++;
    }
    return result;
}

int store_point_list(Store *store, int64_t run_id, Point *out, size_t capacity, size_t *count, Error *error) {
    sqlite3_stmt *row = NULL;
    *count = 0;
    if (statement_query(store, error, &row,
                        "SELECT step, examples, flops, seconds, metrics FROM points WHERE run_id = ? ORDER BY step LIMIT ?",
                        VALUES(integer(run_id), integer((int64_t)capacity))) < 0)
        return -1;
    return point_read_all(store, row, out, count, error);
}

/* ---- records ---- */

#define RUN_COLUMNS                                                                                                                        \
    "r.id, r.key, r.state, r.attempts, r.failures, r.model, r.params, r.params_body, r.depth, r.width, r.examples, r.seed, r.lr, "         \
    "r.flops_exact, r.flops_gemm, r.flops_paper, r.flops_6nd, r.done_flops, r.started_at, r.ended_at, r.detail, r.memory_bytes, r.gpus, "  \
    "r.flops_eval, r.steps"

static void run_read(sqlite3_stmt *row, RunRecord *out) {
    *out = (RunRecord){.id = sqlite3_column_int64(row, 0),
                       .attempts = sqlite3_column_int64(row, 3),
                       .failures = sqlite3_column_int64(row, 4),
                       .params = sqlite3_column_int64(row, 6),
                       .params_body = sqlite3_column_int64(row, 7),
                       .depth = sqlite3_column_int64(row, 8),
                       .width = sqlite3_column_int64(row, 9),
                       .examples = sqlite3_column_int64(row, 10),
                       .seed = (uint64_t)sqlite3_column_int64(row, 11),
                       .lr = sqlite3_column_double(row, 12),
                       .flops = {.exact = sqlite3_column_double(row, 13),
                                 .gemm = sqlite3_column_double(row, 14),
                                 .paper = sqlite3_column_double(row, 15),
                                 .nd6 = sqlite3_column_double(row, 16)},
                       .done_flops = sqlite3_column_double(row, 17),
                       .started_at = sqlite3_column_double(row, 18),
                       .ended_at = sqlite3_column_double(row, 19),
                       .memory_bytes = sqlite3_column_double(row, 21),
                       .gpus = sqlite3_column_int64(row, 22),
                       .eval_flops = sqlite3_column_double(row, 23),
                       .steps = sqlite3_column_int64(row, 24)};
    column_copy(row, 1, out->key, sizeof out->key);
    column_copy(row, 5, out->model, sizeof out->model);
    column_copy(row, 20, out->detail, sizeof out->detail);
    run_state_find((const char *)sqlite3_column_text(row, 2), &out->state);
}

static int run_read_last_point(Store *store, RunRecord *out, Error *error) {
    sqlite3_stmt *row = NULL;
    size_t count = 0;
    if (statement_query(store, error, &row,
                        "SELECT step, examples, flops, seconds, metrics FROM points WHERE run_id = ? ORDER BY step DESC LIMIT 1",
                        VALUES(integer(out->id))) < 0 ||
        point_read_all(store, row, &out->last, &count, error) < 0)
        return -1;
    out->has_point = count > 0;
    out->seconds = count > 0 ? out->last.seconds : 0;
    return 0;
}

/* ---- lists ---- */

/* The last column is the position that the next page begins after. One row more than asked for tells whether there is one. */
static int run_list_query(Store *store, const RunFilter *filter, sqlite3_stmt **row, Error *error) {
    const char *state = filter->state >= 0 ? run_state_text((RunState)filter->state) : "";
    Value after = integer(filter->after), limit = integer((int64_t)filter->limit + 1), sweep = integer(filter->sweep_id);
    if (filter->sweep_id && *state) {
        return statement_query(store, error, row,
                               "SELECT " RUN_COLUMNS ", s.position FROM sweep_runs s JOIN runs r ON r.id = s.run_id "
                               "WHERE s.sweep_id = ? AND s.position > ? AND s.state = ? ORDER BY s.position LIMIT ?",
                               VALUES(sweep, after, text(state), limit));
    }
    if (filter->sweep_id) {
        return statement_query(store, error, row,
                               "SELECT " RUN_COLUMNS ", s.position FROM sweep_runs s JOIN runs r ON r.id = s.run_id "
                               "WHERE s.sweep_id = ? AND s.position > ? ORDER BY s.position LIMIT ?",
                               VALUES(sweep, after, limit));
    }
    if (*state) {
        return statement_query(store, error, row,
                               "SELECT " RUN_COLUMNS ", r.id FROM runs r WHERE r.id > ? AND r.state = ? ORDER BY r.id LIMIT ?",
                               VALUES(after, text(state), limit));
    }
    return statement_query(store, error, row, "SELECT " RUN_COLUMNS ", r.id FROM runs r WHERE r.id > ? ORDER BY r.id LIMIT ?",
                           VALUES(after, limit));
}

int store_run_list(Store *store, const RunFilter *filter, RunRecord *out, size_t *count, int64_t *next, Error *error) {
    sqlite3_stmt *row = NULL;
    int64_t position = 0;
    int result;
    *count = 0;
    *next = 0;
    if (filter->limit == 0)
        return 0;
    if (run_list_query(store, filter, &row, error) < 0)
        return -1;
    while ((result = statement_next(store, row, error)) > 0) {
        if (*count == filter->limit) {
            *next = position;
            statement_reset(row);
            return 0;
        }
        position = sqlite3_column_int64(row, sqlite3_column_count(row) - 1);
        run_read(row, &out[*count]);
        if (run_read_last_point(store, &out[(*count)++], error) < 0) {
            statement_reset(row);
            return -1;
        }
    }
    return result;
}

/* ---- one run ---- */

static int run_find_one(Store *store, sqlite3_stmt *row, RunRecord *out, Error *error) {
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    run_read(row, out);
    result = statement_next(store, row, error);
    if (result != 0) {
        statement_reset(row);
        return result < 0 ? -1 : STORE_AMBIGUOUS;
    }
    return run_read_last_point(store, out, error);
}

static int run_find_by_key(Store *store, const char *name, RunRecord *out, Error *error) {
    enum { PREFIX_MIN = 6 };
    char prefix[RUN_KEY_MAX] = "";
    size_t size = strlen(name);
    if (size < PREFIX_MIN || size >= sizeof prefix || strspn(name, "0123456789abcdefABCDEF") != size)
        return STORE_NOT_FOUND;
    for (size_t i = 0; i < size; i++)
        prefix[i] = (char)tolower((unsigned char)name[i]);
    sqlite3_stmt *row = NULL;
    /* 'g' sorts after every digit of a key. */
    if (statement_query(store, error, &row, "SELECT " RUN_COLUMNS " FROM runs r WHERE r.key >= ?1 AND r.key < ?1 || 'g' LIMIT 2",
                        VALUES(text(prefix))) < 0)
        return -1;
    return run_find_one(store, row, out, error);
}

int store_run_get(Store *store, int64_t run_id, RunRecord *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT " RUN_COLUMNS " FROM runs r WHERE r.id = ?", VALUES(integer(run_id))) < 0)
        return -1;
    return run_find_one(store, row, out, error);
}

int store_run_find(Store *store, const char *name, RunRecord *out, Error *error) {
    size_t size = strlen(name);
    if (size > 0 && size <= 18 && strspn(name, "0123456789") == size) {
        int result = store_run_get(store, strtoll(name, NULL, 10), out, error);
        if (result != STORE_NOT_FOUND)
            return result;
    }
    return run_find_by_key(store, name, out, error);
}

int store_run_spec(Store *store, int64_t run_id, Run *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT spec FROM runs WHERE id = ?", VALUES(integer(run_id))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    const char *spec = (const char *)sqlite3_column_text(row, 0);
    result = run_parse(out, spec ? spec : "", (size_t)sqlite3_column_bytes(row, 0), "stored run", error);
    statement_reset(row);
    return result == 0 ? 0 : -1;
}

int store_run_plan(Store *store, int64_t run_id, RunPlan *out, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row,
                        "SELECT steps, flops_exact, flops_eval, EXISTS (SELECT 1 FROM points p WHERE p.run_id = r.id AND p.step = r.steps) "
                        "FROM runs r WHERE r.id = ?",
                        VALUES(integer(run_id))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    *out = (RunPlan){sqlite3_column_int64(row, 0), sqlite3_column_double(row, 1), sqlite3_column_double(row, 2),
                     sqlite3_column_int(row, 3) != 0};
    statement_reset(row);
    return 0;
}

int store_run_tell(Store *store, int64_t run_id, int64_t params, double flops, double nd6, Error *error) {
    if (store_transaction_begin(store, error) < 0)
        return -1;
    int result = statement_run(store, error, NULL,
                               "UPDATE runs SET params = iif(params = 0, ?2, params), flops_exact = iif(flops_exact = 0, ?3, flops_exact), "
                               "flops_6nd = iif(flops_6nd = 0, ?4, flops_6nd) WHERE id = ?1",
                               VALUES(integer(run_id), integer(params), real(flops), real(nd6)));
    return store_transaction_end(store, result, error);
}

int store_run_wanted(Store *store, int64_t run_id, bool *wanted, bool *paused, Error *error) {
    sqlite3_stmt *row = NULL;
    *wanted = *paused = false;
    if (statement_query(
            store, error, &row,
            "SELECT r.cancelling = 0 AND r.state <> 'cancelled', "
            "EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id WHERE o.run_id = r.id AND s.state <> 'cancelled'), "
            "EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id WHERE o.run_id = r.id AND s.state = 'active') "
            "FROM runs r WHERE r.id = ?",
            VALUES(integer(run_id))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    *wanted = sqlite3_column_int(row, 0) && sqlite3_column_int(row, 1);
    *paused = *wanted && !sqlite3_column_int(row, 2);
    statement_reset(row);
    return 0;
}
