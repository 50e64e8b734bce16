#include "private.h"

/* ---- fits ---- */

int store_fit_add(Store *store, int64_t sweep_id, const char *method, const char *json, double now, int64_t *fit_id, Error *error) {
    int64_t exists;
    int result = statement_integer(store, error, &exists, "SELECT 1 FROM sweeps WHERE id = ?", VALUES(integer(sweep_id)));
    if (result != 0)
        return result;
    if (store_transaction_begin(store, error) < 0)
        return -1;
    result = statement_run(store, error, NULL, "INSERT INTO fits (sweep_id, method, json, created_at) VALUES (?, ?, ?, ?)",
                           VALUES(integer(sweep_id), text(method), text(json), real(now)));
    *fit_id = sqlite3_last_insert_rowid(store->db);
    return store_transaction_end(store, result, error);
}

int store_fit_latest(Store *store, int64_t sweep_id, const char *method, Buffer *json, Error *error) {
    sqlite3_stmt *row = NULL;
    if (statement_query(store, error, &row, "SELECT json FROM fits WHERE sweep_id = ? AND method = ? ORDER BY id DESC LIMIT 1",
                        VALUES(integer(sweep_id), text(method))) < 0)
        return -1;
    int result = statement_next(store, row, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    const void *data = sqlite3_column_text(row, 0);
    buffer_append(json, data ? data : "", (size_t)sqlite3_column_bytes(row, 0));
    statement_reset(row);
    return buffer_check(json, error, "the stored fit");
}

/* ---- events ---- */

int store_event_add(Store *store, double now, const char *kind, int64_t sweep_id, int64_t run_id, int64_t attempt_id, const char *detail,
                    Error *error) {
    /* One statement is a transaction by itself, and a part of the one that is open. */
    return statement_run(store, error, NULL,
                         "INSERT INTO events (time, kind, sweep_id, run_id, attempt_id, detail) VALUES (?, ?, ?, ?, ?, ?)",
                         VALUES(real(now), text(kind), integer(sweep_id), integer(run_id), integer(attempt_id), text(detail)));
}

#define EVENT_COLUMNS "id, time, kind, sweep_id, run_id, attempt_id, detail"

static int event_list_query(Store *store, int64_t run_id, size_t capacity, sqlite3_stmt **row, Error *error) {
    Value limit = integer((int64_t)capacity);
    if (run_id == 0) {
        return statement_query(store, error, row,
                               "SELECT * FROM (SELECT " EVENT_COLUMNS " FROM events ORDER BY id DESC LIMIT ?) ORDER BY id", VALUES(limit));
    }
    return statement_query(store, error, row,
                           "SELECT * FROM (SELECT " EVENT_COLUMNS " FROM events WHERE run_id = ? ORDER BY id DESC LIMIT ?) ORDER BY id",
                           VALUES(integer(run_id), limit));
}

int store_event_list(Store *store, int64_t run_id, EventRecord *out, size_t capacity, size_t *count, Error *error) {
    sqlite3_stmt *row = NULL;
    *count = 0;
    if (event_list_query(store, run_id, capacity, &row, error) < 0)
        return -1;
    int result;
    while ((result = statement_next(store, row, error)) > 0) {
        EventRecord *event = &out[(*count)++];
        *event = (EventRecord){.id = sqlite3_column_int64(row, 0),
                               .time = sqlite3_column_double(row, 1),
                               .sweep_id = sqlite3_column_int64(row, 3),
                               .run_id = sqlite3_column_int64(row, 4),
                               .attempt_id = sqlite3_column_int64(row, 5)};
        column_copy(row, 2, event->kind, sizeof event->kind);
        column_copy(row, 6, event->detail, sizeof event->detail);
    }
    return result;
}
