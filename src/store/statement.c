#include "private.h"

#include <limits.h>
#include <string.h>

Value integer(int64_t value) {
    return (Value){.kind = VALUE_INTEGER, .integer = value};
}

Value real(double value) {
    return (Value){.kind = VALUE_REAL, .real = value};
}

Value text(const char *value) {
    return (Value){.kind = VALUE_TEXT, .data = value, .size = strlen(value)};
}

Value bytes(const void *data, size_t size) {
    return (Value){.kind = VALUE_BYTES, .data = data, .size = size};
}

int store_failed(Store *store, Error *error, const char *what) {
    int code = sqlite3_errcode(store->db) & 0xff;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        return error_set(error, "%s is damaged or is no sweepd database (%s); restore it from a copy, or move it away to begin anew",
                         store->path, sqlite3_errmsg(store->db));
    }
    return error_set(error, "%s: %s: %s", store->path, what, sqlite3_errmsg(store->db));
}

static int statement_find(Store *store, const char *sql, sqlite3_stmt **out, Error *error) {
    size_t slot = ((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 56;
    for (size_t tries = 0; tries < STATEMENT_SLOTS; tries++, slot = (slot + 1) % STATEMENT_SLOTS) {
        StatementSlot *found = &store->statements[slot];
        if (found->sql == sql) {
            *out = found->handle;
            return 0;
        }
        if (!found->sql) {
            if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &found->handle, NULL) != SQLITE_OK)
                return store_failed(store, error, "cannot prepare a statement");
            found->sql = sql;
            *out = found->handle;
            return 0;
        }
    }
    return error_set(error, "more than %d statements", STATEMENT_SLOTS);
}

static int value_bind(sqlite3_stmt *statement, int index, const Value *value) {
    switch (value->kind) {
    case VALUE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement, index, value->data, value->size, SQLITE_STATIC, SQLITE_UTF8);
    case VALUE_BYTES:
        return sqlite3_bind_blob64(statement, index, value->data, value->size, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

int statement_query(Store *store, Error *error, sqlite3_stmt **out, const char *sql, const Value *values, size_t count) {
    sqlite3_stmt *statement = NULL;
    if (statement_find(store, sql, &statement, error) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (value_bind(statement, (int)i + 1, &values[i]) != SQLITE_OK) {
            store_failed(store, error, "cannot bind a value");
            statement_reset(statement);
            return -1;
        }
    }
    *out = statement;
    return 0;
}

int statement_next(Store *store, sqlite3_stmt *statement, Error *error) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    if (code != SQLITE_DONE)
        store_failed(store, error, "a statement failed");
    statement_reset(statement);
    return code == SQLITE_DONE ? 0 : -1;
}

void statement_reset(sqlite3_stmt *statement) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int statement_run(Store *store, Error *error, int64_t *changed, const char *sql, const Value *values, size_t count) {
    sqlite3_stmt *statement = NULL;
    if (statement_query(store, error, &statement, sql, values, count) < 0)
        return -1;
    int result = statement_next(store, statement, error);
    if (result > 0)
        statement_reset(statement);
    if (result >= 0 && changed)
        *changed = sqlite3_changes64(store->db);
    return result < 0 ? -1 : 0;
}

int statement_integer(Store *store, Error *error, int64_t *out, const char *sql, const Value *values, size_t count) {
    sqlite3_stmt *statement = NULL;
    if (statement_query(store, error, &statement, sql, values, count) < 0)
        return -1;
    int result = statement_next(store, statement, error);
    if (result <= 0)
        return result < 0 ? -1 : STORE_NOT_FOUND;
    *out = sqlite3_column_int64(statement, 0);
    statement_reset(statement);
    return 0;
}

void statement_finalize_all(Store *store) {
    for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
        sqlite3_finalize(store->statements[i].handle);
        store->statements[i] = (StatementSlot){0};
    }
}

void column_copy(sqlite3_stmt *statement, int column, char *out, size_t capacity) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    text_copy(out, capacity, value ? value : "");
}
