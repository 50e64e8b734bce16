/* store: SQLite in WAL mode, through the numbered migrations of db/ (embedded at build time). docs/database.md describes the tables.
 * One process writes: sweepd, which holds HOME/lock while it lives. Everything here is for one thread. Statements are prepared once.
 * What changes together changes in one transaction; a function that writes is one transaction unless a batch is open. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/record.h"
#include "sweepd/sweep.h"

enum {
    STORE_NOT_FOUND = 1, /* no such sweep, run or attempt; for opening read-only: no database in the home */
    STORE_STALE = 2,     /* the token is not the attempt's current one, or the attempt has ended */
    STORE_AMBIGUOUS = 3, /* a key prefix that several runs share */
    STORE_NONE = 4,      /* nothing is pending */
    STORE_CONFLICT = 5,  /* the state does not allow it (pause of a cancelled sweep, cancel of a finished run, ...) */
    STORE_ENDED = 6,     /* the token is the attempt's own, and the attempt has ended */
};

typedef struct Store Store;

typedef enum { STORE_WRITE, STORE_READ_ONLY } StoreMode;

/* home/sweepd.db, made when absent and writable; home exists. STORE_WRITE takes HOME/lock (flock) until store_free; that another process
 * holds it is an error that names its pid. A damaged file, another program's database and one of a newer version are errors that say so.
 * STORE_READ_ONLY works beside a writer and after one that was cut off. */
int store_open(Store **out, const char *home, StoreMode mode, Error *error);
void store_free(Store *store);

/* A batch groups many writes into one transaction, and so into one sync of the disk; not nested. A function that fails within it is undone
 * by itself. Nothing is kept, and nothing may be acknowledged, before store_batch_end has returned 0; when it fails, all of the batch is
 * undone. */
int store_batch_begin(Store *store, Error *error);
int store_batch_end(Store *store, Error *error);
/* What a caller does in between is kept or undone as one; a savepoint when a transaction or batch is open. _end keeps when result is 0 or
 * positive, undoes when it is negative, and returns result, or -1 when keeping failed. */
int store_transaction_begin(Store *store, Error *error);
int store_transaction_end(Store *store, int result, Error *error);

/* ---- sweeps ---- */

/* Adds the sweep, or, when one of its name is there, makes it what the file says now: new cells are added, cells that are no longer
 * named leave the sweep (and are cancelled when pending and in no other sweep). Runs that are in the store already are shared, whatever
 * their state; cancelled ones become pending again. Asking for the runs makes a paused or cancelled sweep active. A sweep for planning only
 * is an error. */
int store_sweep_submit(Store *store, const Sweep *sweep, const char *text, size_t size, double now, SubmitRecord *out, Error *error);
/* By name, or by id in decimal. 0 or STORE_NOT_FOUND. Does not visit the runs: counts are kept as runs change. */
int store_sweep_find(Store *store, const char *name, SweepRecord *out, Error *error);
/* Newest first; at most capacity, *count says how many. */
int store_sweep_list(Store *store, SweepRecord *out, size_t capacity, size_t *count, Error *error);
/* The file as submitted last. */
int store_sweep_text(Store *store, int64_t sweep_id, Buffer *out, Error *error);
/* "active" or "paused" or "cancelled", which is final until the next submit: STORE_CONFLICT, STORE_NOT_FOUND. A paused sweep's runs that
 * are under way go on, its pending ones wait; cancelling makes the sweep's pending runs cancelled when no other active or paused sweep has
 * them, and running ones are dropped at their next heartbeat. *changed: runs that changed state. */
int store_sweep_set_state(Store *store, int64_t sweep_id, const char *state, double now, int64_t *changed, Error *error);
/* Failed and cancelled runs of the sweep (run_id 0) or the one run become pending, their failures forgotten. STORE_NOT_FOUND, or
 * STORE_CONFLICT when no active or paused sweep would have them. */
int store_retry(Store *store, int64_t sweep_id, int64_t run_id, double now, int64_t *changed, Error *error);
/* A pending run becomes cancelled, a running one is dropped at its next heartbeat. STORE_NOT_FOUND, STORE_CONFLICT (it has ended). */
int store_run_cancel(Store *store, int64_t run_id, double now, int64_t *changed, Error *error);

/* ---- runs ---- */

typedef struct RunFilter {
    int64_t sweep_id; /* 0: all */
    int state;        /* RunState, or -1: any */
    int64_t after;    /* only runs with a greater position: the last RunPage's `next`, 0 to begin */
    size_t limit;
} RunFilter;

/* The runs in the sweep's order (by id without a sweep). out: [filter->limit]. *next: pass as `after` for the next page, 0 at the end. */
int store_run_list(Store *store, const RunFilter *filter, RunRecord *out, size_t *count, int64_t *next, Error *error);
/* By id in decimal, or by a unique prefix of the key of at least 6 digits. 0, STORE_NOT_FOUND, STORE_AMBIGUOUS. */
int store_run_find(Store *store, const char *name, RunRecord *out, Error *error);
int store_run_get(Store *store, int64_t run_id, RunRecord *out, Error *error); /* 0, STORE_NOT_FOUND */
int store_run_spec(Store *store, int64_t run_id, Run *out, Error *error);      /* 0, STORE_NOT_FOUND */
/* Of one run, from the first on; out: [capacity], *count says how many were written. Points are by step. */
int store_attempt_list(Store *store, int64_t run_id, AttemptRecord *out, size_t capacity, size_t *count, Error *error);
int store_point_list(Store *store, int64_t run_id, Point *out, size_t capacity, size_t *count, Error *error);

/* ---- what the queue builds on; `queue` alone calls these ---- */

typedef struct AttemptStart {
    int64_t run_id;
    Environment environment; /* as far as known at lease time */
    double now, expires_at;
    char token[SHA256_HEX_MAX];    /* fencing token, chosen by the queue */
    char worker[MACHINE_TEXT_MAX]; /* the executor's name for the worker, or "" */
    double reserved_bytes;         /* of memory that the run is given room for */
    GpuSet gpus;
} AttemptStart;

/* What a run needs of a host beside cores, or the most that it may need. */
typedef struct Need {
    double memory_bytes; /* 0: not known */
    int64_t gpus;
} Need;

/* No run needs more. */
#define STORE_ANY_BYTES 9e18

/* The active sweep whose turn it is: of those with pending runs that need at most `most` the one with the fewest under way, the oldest of
 * equals; *pending is how many it has in all. 0, or STORE_NONE. */
int store_next_sweep(Store *store, Need most, int64_t *sweep_id, int64_t *pending, Error *error);

typedef struct PendingRun {
    int64_t run_id, attempts; /* that were made */
    char key[RUN_KEY_MAX];
    Run run;
    Need need;
    int64_t threads; /* of its last attempt; 0: it had none */
    bool readable;   /* false: another version left it, `problem` says what is wrong with its spec */
    Error problem;
} PendingRun;

/* The sweep's pending run with the most planned exact flops that needs at most `most`. 0, or STORE_NONE. */
int store_next_pending(Store *store, int64_t sweep_id, Need most, PendingRun *out, Error *error);
/* Its pending run that needs the most memory; of those that need GPUs, the one that needs the most of them. 0, or STORE_NONE. */
int store_largest_pending(Store *store, int64_t sweep_id, int64_t *run_id, Need *need, Error *error);
int store_largest_pending_of_gpus(Store *store, int64_t sweep_id, int64_t *run_id, Need *need, Error *error);
/* How many of its pending runs need more of either than that. */
int store_larger_count(Store *store, int64_t sweep_id, Need most, int64_t *count, Error *error);
/* Pending runs of active sweeps that need at most `most`, counted no further than limit. */
int store_fitting_count(Store *store, Need most, int64_t limit, int64_t *count, Error *error);
/* What a run needs, for one that an earlier version left without. */
int store_run_set_memory(Store *store, int64_t run_id, double tensor_bytes, double memory_bytes, Error *error);
/* What its tensors take; 0: not known, or it has none. */
int store_run_tensors(Store *store, int64_t run_id, double *tensor_bytes, Error *error);
/* A run with so many bytes of tensors needed so much. If none needed more before, that is what such runs are given room for from now on. */
int store_memory_learn(Store *store, double tensor_bytes, double memory_bytes, Error *error);

/* One worker that holds leases. It trains one run at a time, so it takes the most that any of them does. */
typedef struct HostWorker {
    int64_t run_id; /* one of its runs */
    int64_t threads;
    double memory_bytes;
    GpuSet gpus;
} HostWorker;

/* The workers of the host that hold leases, at most capacity. */
int store_host_workers(Store *store, const char *host, HostWorker *out, size_t capacity, size_t *count, Error *error);
/* STORE_CONFLICT: the run is not pending. */
int store_attempt_begin(Store *store, const AttemptStart *start, AttemptRecord *out, Error *error);
/* 0: the token is the attempt's own and it is open. STORE_ENDED: it has ended. STORE_STALE: another token (recorded as an event).
 * STORE_NOT_FOUND. out is set but for the last. */
int store_attempt_check(Store *store, int64_t attempt_id, const char *token, double now, AttemptRecord *out, Error *error);
/* Progress and expiry only grow, so that a report may come late or twice. */
int store_attempt_renew(Store *store, int64_t attempt_id, double expires_at, double step, double flops, Error *error);
/* Every open attempt expires then. */
int store_attempt_extend_all(Store *store, double expires_at, Error *error);

typedef struct RunPlan {
    int64_t steps; /* the last point is at this one */
    double flops;  /* exact; 0: an external program's, which has not told */
    double eval_flops;
    bool complete; /* there is a point at the last step */
} RunPlan;

int store_run_plan(Store *store, int64_t run_id, RunPlan *out, Error *error); /* 0, STORE_NOT_FOUND */
/* What an external program told of its run; what was known stays. */
int store_run_tell(Store *store, int64_t run_id, int64_t params, double flops, double nd6, Error *error);
/* Points with a step that the run already has (from an earlier attempt or a repeated message) are kept once: the same run gives the same
 * numbers. Where it did not, an event "point_differs" says so. */
int store_point_add(Store *store, int64_t attempt_id, const Point *points, size_t count, Error *error);

typedef struct AttemptEnd {
    Outcome outcome;
    const char *detail;
    RunState run_state;
    int failures_add; /* 0 or 1 */
    double now;
    double step, flops;             /* as in store_attempt_renew */
    const Environment *environment; /* with which it was made; NULL: as it was said when it began */
} AttemptEnd;

/* Ends the attempt and sets the run's state, in one transaction. STORE_STALE: it has ended before. STORE_NOT_FOUND. */
int store_attempt_end(Store *store, int64_t attempt_id, const AttemptEnd *end, Error *error);
/* Open attempts that expired at or before now; [capacity]. */
int store_attempt_expired(Store *store, double now, AttemptRecord *out, size_t capacity, size_t *count, Error *error);
/* The open attempts of the worker with this name ("": none), and with this process and host where `at` is not NULL; at most capacity. */
int store_attempt_of_worker(Store *store, const char *worker, const Environment *at, AttemptRecord *out, size_t capacity, size_t *count,
                            Error *error);
/* The newest attempt of the worker with this name, whether it is open or not. 0 or STORE_NOT_FOUND. */
int store_attempt_latest_of_worker(Store *store, const char *worker, AttemptRecord *out, Error *error);
/* The workers that hold leases, told apart by name, host and process: one open attempt of each. */
int store_worker_list(Store *store, AttemptRecord *out, size_t capacity, size_t *count, Error *error);
int store_worker_count(Store *store, size_t *count, Error *error);
/* pending: runs of active sweeps, counted no further than limit; running: open attempts. */
int store_pending_count(Store *store, int64_t limit, int64_t *pending, int64_t *running, Error *error);
/* Whether a sweep of another name has work: pending runs while it is active, or running ones. */
int store_others_work(Store *store, const char *sweep, bool *others, Error *error);
/* True in *wanted when some active or paused sweep still has the run and it was not cancelled; in *paused when it is wanted and all of them
 * are paused. 0, STORE_NOT_FOUND. */
int store_run_wanted(Store *store, int64_t run_id, bool *wanted, bool *paused, Error *error);

/* ---- fits and events ---- */

/* json: the fit as `sweepctl fit --json` prints it. 0, STORE_NOT_FOUND: no such sweep; of the latest, also: no such fit. */
int store_fit_add(Store *store, int64_t sweep_id, const char *method, const char *json, double now, int64_t *fit_id, Error *error);
int store_fit_latest(Store *store, int64_t sweep_id, const char *method, Buffer *json, Error *error);

/* kind: a word; detail for people. The store itself records "submitted", "sweep_state", "retried", "run_cancelled", "stale_message",
 * "point_differs"; the queue "lease_expired", "stale_message", "worker_exited", "run_dropped", "spec_unreadable". */
int store_event_add(Store *store, double now, const char *kind, int64_t sweep_id, int64_t run_id, int64_t attempt_id, const char *detail,
                    Error *error);
/* The newest of the run (0: of everything), at most capacity, the oldest of them first. */
int store_event_list(Store *store, int64_t run_id, EventRecord *out, size_t capacity, size_t *count, Error *error);

/* Looks the whole database over: SQLite's own check, then what must always hold (counts equal the runs', one open attempt per running run,
 * ...). One line per problem is appended; none means sound. Takes seconds on a large database. */
int store_check(Store *store, Buffer *problems, Error *error);
