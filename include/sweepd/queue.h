/* queue: what runs next; leases, expiry, retry. Time is passed in and nothing here waits, so that it is tested without waiting. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/exec.h"
#include "sweepd/store.h"

typedef struct QueueSettings {
    double lease_seconds;     /* until a silent lease expires; default 60 */
    double heartbeat_seconds; /* default 5; lease_seconds is at least five of them */
    int64_t retry_limit;      /* failures that make a run `failed`; default 3 */
} QueueSettings;

enum {
    QUEUE_EMPTY = 10,     /* nothing to lease */
    QUEUE_STALE = 11,     /* another holds the lease, or the attempt has ended: the worker must drop the run */
    QUEUE_NOT_FOUND = 12, /* no such attempt */
    QUEUE_INVALID = 13,   /* what no worker can have: a result that is ok without done or diverged, lost, open; done without a point at the
                             run's last step; a step or flops out of the run's plan. The error names the field; nothing was changed */
};

/* What the worker should do next. Drop: the run was cancelled, and the attempt has been ended. A paused sweep's running runs go on. */
typedef enum { QUEUE_CONTINUE, QUEUE_STOP, QUEUE_DROP } QueueDirective;

typedef struct Queue Queue;

/* Settings that are 0 take their defaults; a lease shorter than five heartbeats is an error. The store outlives the queue. Every function
 * is one transaction, or a part of the batch that is open: the daemon may acknowledge nothing before store_batch_end.
 * Open attempts found in the store, left by an earlier daemon, get a full lease from now, so that their workers can come back. */
int queue_new(Queue **out, Store *store, const QueueSettings *settings, double now, Error *error);
void queue_free(Queue *queue);

/* The next run: of the active sweep with the fewest under way, its dearest. A worker that has a lease and asks again gives the first one up
 * (matched by its name, host and pid). 0 with *attempt, *run and the token set; QUEUE_EMPTY. `worker` is the executor's name for it, or "".
 */
int queue_lease(Queue *queue, const Environment *environment, const char *worker, double now, AttemptRecord *attempt,
                char token[SHA256_HEX_MAX], Run *run, char key[RUN_KEY_MAX], Error *error);

/* A worker that holds no run, since it asks for one, and gets none: an attempt that is open in its name is one whose lease never reached
 * it, and ends as lost. queue_lease does this too. */
int queue_worker_idle(Queue *queue, const Environment *environment, const char *worker, double now, Error *error);

/* The three reports. 0, QUEUE_STALE, QUEUE_NOT_FOUND, QUEUE_INVALID. Points: kept once. A result that is repeated is
 * accepted again with no effect. A result that arrives while the attempt is open is taken even when the lease has run out or the run was
 * cancelled. src/queue/queue.c lists what each outcome makes of the run. */
int queue_heartbeat(Queue *queue, int64_t attempt_id, const char *token, double step, double flops, double now, QueueDirective *directive,
                    Error *error);
int queue_points(Queue *queue, int64_t attempt_id, const char *token, const Point *points, size_t count, double step, double flops,
                 double now, QueueDirective *directive, Error *error);
int queue_result(Queue *queue, int64_t attempt_id, const char *token, Outcome outcome, RunState state, const char *detail,
                 const Environment *environment, const Point *points, size_t count, double now, Error *error);

/* A worker process has ended: its open attempt, if any, found by its name, ends as crashed (signal or non-zero
 * exit), preempted (SIGTERM, SIGINT, SIGHUP, SIGUSR1) or lost (exit code 0). */
int queue_worker_ended(Queue *queue, const ExecWorker *worker, double now, Error *error);
/* Ends what has expired. Call now and then. */
int queue_expire(Queue *queue, double now, Error *error);
/* Gives every open attempt a full lease: the time that has passed was the daemon's own silence, not the workers'. */
int queue_extend(Queue *queue, double now, Error *error);
/* Asks every running attempt to checkpoint and stop at its next heartbeat (shutdown). */
void queue_drain(Queue *queue);

/* How many more workers are worth starting, given how many an executor may have and has. */
int queue_workers_wanted(Queue *queue, size_t alive, size_t capacity, size_t *wanted, Error *error);
