/* Inside the store: the connection, transactions, and statements with typed values. */
#pragma once

#include "sweepd/store.h"

#include <sqlite3.h>

enum { STATEMENT_SLOTS = 256 };

typedef struct StatementSlot {
    const char *sql; /* compared by address: each statement is one constant in the program */
    sqlite3_stmt *handle;
} StatementSlot;

struct Store {
    sqlite3 *db;
    StoreMode mode;
    int lock_fd; /* -1 when read-only */
    int depth;   /* of open transactions: those above the first are savepoints in it */
    char path[PATH_TEXT_MAX];
    StatementSlot statements[STATEMENT_SLOTS];
};

/* ---- migrate.c ---- */

int migrate_apply(Store *store, Error *error);
/* The schema version of this program. */
int migrate_latest(void);

/* ---- statement.c ---- */

typedef enum { VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BYTES } ValueKind;

/* Text and bytes are borrowed until the statement is reset. */
typedef struct Value {
    ValueKind kind;
    int64_t integer;
    double real;
    const void *data;
    size_t size;
} Value;

Value integer(int64_t value);
Value real(double value);
Value text(const char *value);
Value bytes(const void *data, size_t size);

#define VALUES(...) (const Value[]){__VA_ARGS__}, sizeof((const Value[]){__VA_ARGS__}) / sizeof(Value)

/* Describes the connection's last error. Returns -1. */
int store_failed(Store *store, Error *error, const char *what);
/* Runs a statement that gives no rows; *changed, where wanted, is the number of rows that it changed itself (not by triggers). */
int statement_run(Store *store, Error *error, int64_t *changed, const char *sql, const Value *values, size_t count);
/* Begins a statement that gives rows. After statement_next has returned 0 or -1 the statement is reset; who stops earlier calls
 * statement_reset. */
int statement_query(Store *store, Error *error, sqlite3_stmt **out, const char *sql, const Value *values, size_t count);
int statement_next(Store *store, sqlite3_stmt *statement, Error *error); /* 1: a row, 0: no more, -1 */
void statement_reset(sqlite3_stmt *statement);
/* The one row's first column. 0, STORE_NOT_FOUND when there is no row. */
int statement_integer(Store *store, Error *error, int64_t *out, const char *sql, const Value *values, size_t count);
void statement_finalize_all(Store *store);

/* A column's text, cut to the capacity. */
void column_copy(sqlite3_stmt *statement, int column, char *out, size_t capacity);

/* ---- attempts.c ---- */

/* The columns that attempt_read expects, for a SELECT. */
#define ATTEMPT_COLUMNS                                                                                                                    \
    "id, run_id, number, outcome, detail, host, cpu, version, backend, data_digest, pid, threads, started_at, ended_at, expires_at, "      \
    "step, flops, memory_bytes, gpus"

int attempt_read(sqlite3_stmt *statement, AttemptRecord *out, Error *error);
