/* Migrations are the files of db/, whose names begin with their number. Each runs once, in one transaction with the raise of SQLite's
 * user_version, so that a cut-off leaves the schema before it or after it. The application_id tells a database of ours from any other. */
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct EmbeddedFile {
    const char *name;
    const char *text;
    size_t size;
};
extern const struct EmbeddedFile migration_files[];

enum { APPLICATION_ID = 0x73776570 /* "swep" */, MIGRATION_EVAL = 5 };

static int migration_number(const struct EmbeddedFile *file) {
    return (int)strtol(file->name, NULL, 10);
}

int migrate_latest(void) {
    int latest = 0;
    for (const struct EmbeddedFile *file = migration_files; file->name; file++)
        latest = migration_number(file);
    return latest;
}

static int migrate_execute(Store *store, const char *sql, Error *error) {
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_failed(store, error, "cannot migrate");
    return 0;
}

/* A run that another version left is left as it is. */
static int run_fill_eval(Store *store, int64_t run_id, const char *spec, Error *error) {
    Run run;
    Error ignored = {0};
    if (run_parse(&run, spec, strlen(spec), "stored run", &ignored))
        return 0;
    return statement_run(store, error, NULL,
                         "UPDATE runs SET flops_eval = ?2, done_flops = iif(state = 'done', flops_exact + ?2, done_flops) WHERE id = ?1",
                         VALUES(integer(run_id), real(run_eval_flops(&run))));
}

/* SQL does not know what an item of eval executes. */
static int migration_fill_eval(Store *store, Error *error) {
    for (int64_t run_id = 0;;) {
        sqlite3_stmt *row = NULL;
        if (statement_query(store, error, &row,
                            "SELECT id, spec FROM runs WHERE id > ? AND json_type(spec, '$.eval') = 'array' ORDER BY id LIMIT 1",
                            VALUES(integer(run_id))) < 0)
            return -1;
        int result = statement_next(store, row, error);
        if (result <= 0)
            return result;
        run_id = sqlite3_column_int64(row, 0);
        char *spec = text_duplicate((const char *)sqlite3_column_text(row, 1), error);
        statement_reset(row);
        result = spec ? run_fill_eval(store, run_id, spec, error) : -1;
        free(spec);
        if (result < 0)
            return -1;
    }
}

static int migration_apply(Store *store, const struct EmbeddedFile *file, Error *error) {
    char version[96];
    snprintf(version, sizeof version, "PRAGMA user_version = %d; PRAGMA application_id = %d;", migration_number(file), APPLICATION_ID);
    if (migrate_execute(store, "BEGIN IMMEDIATE", error) < 0)
        return -1;
    if (migrate_execute(store, file->text, error) < 0 ||
        (migration_number(file) == MIGRATION_EVAL && migration_fill_eval(store, error) < 0) || migrate_execute(store, version, error) < 0 ||
        migrate_execute(store, "COMMIT", error) < 0) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return error_prefix(error, "migration %s", file->name);
    }
    return 0;
}

int migrate_apply(Store *store, Error *error) {
    int64_t version = 0, application = 0, tables = 0;
    if (statement_integer(store, error, &version, "PRAGMA user_version", NULL, 0) != 0 ||
        statement_integer(store, error, &application, "PRAGMA application_id", NULL, 0) != 0 ||
        statement_integer(store, error, &tables, "SELECT count(*) FROM sqlite_schema", NULL, 0) != 0)
        return -1;
    if (tables > 0 && application != APPLICATION_ID)
        return error_set(error, "%s is not a sweepd database", store->path);
    if (version > migrate_latest()) {
        return error_set(error, "%s was written by a newer sweepd (schema %lld, this one knows %d); use that version", store->path,
                         (long long)version, migrate_latest());
    }
    if (tables == 0 && version == 0 && store->mode == STORE_READ_ONLY)
        return error_set(error, "%s is empty: it holds no sweep; a daemon that is started makes a new database of it", store->path);
    if (version < migrate_latest() && store->mode == STORE_READ_ONLY) {
        return error_set(error, "%s has the older schema %lld (this sweepd has %d); start the daemon once to bring it up to date",
                         store->path, (long long)version, migrate_latest());
    }
    for (const struct EmbeddedFile *file = migration_files; file->name; file++)
        if (migration_number(file) > version && migration_apply(store, file, error) < 0)
            return -1;
    return 0;
}
