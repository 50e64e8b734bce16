/* Opening, the lock, transactions.
 *
 * Durability: WAL with synchronous = FULL, so a commit returns when the log is on the disk, and what the daemon acknowledges after it
 * survives a loss of power, not only a killed process. A sync costs milliseconds on a slow disk; who has many writes groups them in a batch
 * and answers after store_batch_end, so that they share one.
 *
 * In a batch a function's own transaction becomes a savepoint: when the function fails, what it did is undone and the batch goes on. SQLite
 * undoes the whole transaction by itself after some errors (disk full, I/O); everything until store_batch_end then fails too, so that
 * nothing of that batch is acknowledged. */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the lock ---- */

static int lock_refused(int fd, const char *path, Error *error) {
    char owner[32] = "";
    ssize_t size = pread(fd, owner, sizeof owner - 1, 0);
    long pid = size > 0 ? strtol(owner, NULL, 10) : 0;
    if (pid > 0)
        return error_set(error, "another sweepd (process %ld) holds %s", pid, path);
    return error_set(error, "another sweepd holds %s", path);
}

static int lock_take(Store *store, const char *home, Error *error) {
    char path[PATH_TEXT_MAX], owner[32];
    if (path_format(path, error, "%s/lock", home) < 0)
        return -1;
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return error_set_errno(error, errno, "cannot open %s", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? lock_refused(store->lock_fd, path, error) : error_set_errno(error, errno, "cannot lock %s", path);
    int size = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(store->lock_fd, 0) < 0 || pwrite(store->lock_fd, owner, (size_t)size, 0) != size)
        return error_set_errno(error, errno, "cannot write %s", path);
    return 0;
}

/* ---- opening ---- */

static int store_pragma(Store *store, const char *sql, Error *error) {
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_failed(store, error, "cannot open");
    return 0;
}

static int store_connect(Store *store, const char *name, int flags, Error *error) {
    if (sqlite3_open_v2(name, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
        return store->db ? store_failed(store, error, "cannot open") : error_set_memory(error, "out of memory");
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, 5000);
    return 0;
}

/* The large cache and the journals of statements in memory are for a submit of 100,000 runs: a transaction that does not fit is written to
 * the log again and again. */
static int store_open_write(Store *store, const char *home, Error *error) {
    if (lock_take(store, home, error) < 0)
        return -1;
    /* Made here for its mode, which SQLite copies to the log beside it: tokens are in it. */
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "cannot open %s", store->path);
    close(fd);
    if (store_connect(store, store->path, SQLITE_OPEN_READWRITE, error) < 0 ||
        store_pragma(store,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -262144; PRAGMA temp_store = MEMORY;",
                     error) < 0 ||
        migrate_apply(store, error) < 0)
        return -1;
    return store_pragma(store, "PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = OFF;", error);
}

static bool file_is_empty(const char *path, const char *suffix) {
    char name[PATH_TEXT_MAX];
    struct stat status;
    return path_format(name, NULL, "%s%s", path, suffix) < 0 || stat(name, &status) < 0 || status.st_size == 0;
}

/* A URI with every byte escaped that could mean something in one. */
static int store_uri(const char *path, Buffer *out, Error *error) {
    buffer_append_text(out, "file:");
    for (const char *at = path; *at; at++)
        buffer_printf(out, strchr("?#%", *at) ? "%%%02X" : "%c", (unsigned char)*at);
    buffer_append_text(out, "?immutable=1");
    return buffer_check(out, error, "the database's path");
}

/* In a directory that cannot be written SQLite cannot make the shared memory that WAL needs. Without a log the file alone is the whole
 * truth and can be read as it is. */
static int store_open_immutable(Store *store, Error *error) {
    if (!file_is_empty(store->path, "-wal"))
        return error_set(error, "%s has a log that cannot be read without permission to write in its directory", store->path);
    statement_finalize_all(store);
    sqlite3_close(store->db);
    store->db = NULL;
    Buffer uri;
    buffer_init(&uri, 4 * (size_t)PATH_TEXT_MAX);
    int result = store_uri(store->path, &uri, error);
    if (result == 0)
        result = store_connect(store, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
    buffer_deinit(&uri);
    return result;
}

static int store_open_read(Store *store, Error *error) {
    if (!file_exists(store->path)) {
        error_set(error, "no database at %s", store->path);
        return STORE_NOT_FOUND;
    }
    if (store_connect(store, store->path, SQLITE_OPEN_READONLY, error) < 0)
        return -1;
    int64_t tables;
    int result = statement_integer(store, error, &tables, "SELECT count(*) FROM sqlite_schema", NULL, 0);
    int code = sqlite3_errcode(store->db) & 0xff;
    if (result < 0 && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY) && store_open_immutable(store, error) < 0)
        return -1;
    if (result < 0 && code != SQLITE_CANTOPEN && code != SQLITE_READONLY)
        return -1;
    return migrate_apply(store, error);
}

int store_open(Store **out, const char *home, StoreMode mode, Error *error) {
    *out = NULL;
    Store *store = calloc(1, sizeof *store);
    if (!store)
        return error_set_memory(error, "out of memory");
    store->mode = mode;
    store->lock_fd = -1;
    int result = path_format(store->path, error, "%s/sweepd.db", home);
    if (result == 0)
        result = mode == STORE_WRITE ? store_open_write(store, home, error) : store_open_read(store, error);
    if (result != 0) {
        store_free(store);
        return result;
    }
    *out = store;
    return 0;
}

void store_free(Store *store) {
    if (!store)
        return;
    statement_finalize_all(store);
    sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store);
}

/* ---- transactions ---- */

static int transaction_alive(Store *store, Error *error) {
    if (store->depth > 0 && sqlite3_get_autocommit(store->db))
        return error_set(error, "%s: the transaction was undone after an earlier error", store->path);
    return 0;
}

int store_transaction_begin(Store *store, Error *error) {
    if (store->mode == STORE_READ_ONLY)
        return error_set(error, "%s is open for reading only", store->path);
    if (transaction_alive(store, error) < 0 ||
        statement_run(store, error, NULL, store->depth > 0 ? "SAVEPOINT step" : "BEGIN IMMEDIATE", NULL, 0) < 0)
        return -1;
    store->depth++;
    return 0;
}

static void transaction_undo(Store *store) {
    if (sqlite3_get_autocommit(store->db))
        return;
    if (store->depth > 0) {
        statement_run(store, NULL, NULL, "ROLLBACK TO step", NULL, 0);
        statement_run(store, NULL, NULL, "RELEASE step", NULL, 0);
    } else {
        statement_run(store, NULL, NULL, "ROLLBACK", NULL, 0);
    }
}

int store_transaction_end(Store *store, int result, Error *error) {
    if (result >= 0)
        result = transaction_alive(store, error) < 0 ? -1 : result;
    store->depth--;
    if (result >= 0 && statement_run(store, error, NULL, store->depth > 0 ? "RELEASE step" : "COMMIT", NULL, 0) < 0)
        result = -1;
    if (result < 0)
        transaction_undo(store);
    return result;
}

int store_batch_begin(Store *store, Error *error) {
    if (store->depth > 0)
        return error_set(error, "a batch is open already");
    return store_transaction_begin(store, error);
}

int store_batch_end(Store *store, Error *error) {
    return store_transaction_end(store, 0, error);
}
