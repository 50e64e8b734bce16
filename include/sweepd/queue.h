/* queue: what runs next; leases, expiry, retry. Time is passed in and nothing here waits, so that it is tested without waiting. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/exec.h"
#include "sweepd/room.h"
#include "sweepd/store.h"

typedef struct QueueSettings {
    double lease_seconds;        /* until a silent lease expires; default 60 */
    double heartbeat_seconds;    /* default 5; lease_seconds is at least five of them */
    int64_t retry_limit;         /* failures that make a run `failed`; default 3 */
    double patience_seconds;     /* that smaller runs go past one that finds no room; default 300 */
    char host[MACHINE_TEXT_MAX]; /* the daemon's own, and what workers on it may take, whatever they say of it; "": none */
    RoomHost room;
    int64_t threads; /* of each of its workers, where they were given a number; 0: the queue's choice */
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

enum { QUEUE_LEASES_MAX = 256 };

/* What a worker asks for. */
typedef struct QueueRequest {
    const Environment *environment; /* its backend is that of fp32 */
    const char *bf16_backend;       /* "" or NULL: it has none */
    const char *worker;             /* the executor's name for it, or "" */
    size_t runs_max;  /* that it would take at once from the sweep `sweep_id`, 1 to QUEUE_LEASES_MAX; of another sweep it takes one */
    int64_t sweep_id; /* that its last runs came from; 0: none */
    RoomHost host;    /* of its machine, as it says; cores and memory 0: not known */
    size_t workers;   /* that may ask besides, as far as the caller knows; those that hold leases are known here */
} QueueRequest;

typedef struct QueueLease {
    int64_t attempt_id, run_id, attempt_number;
    char token[SHA256_HEX_MAX];
    char key[RUN_KEY_MAX];
    int64_t threads; /* to train with */
    GpuSet gpus;     /* that no other run of the host has meanwhile */
    Run run;
} QueueLease;

/* The next runs: of the active sweep with the fewest under way, its dearest, so that a later one of several is no dearer than the first. At
 * most runs_max, and at most half of an even share of what the sweep has pending, so that at the end nobody waits for one worker's pile. A
 * run that was tried before goes alone: what ended its worker may have been this run, or another that was leased with it; so does one that
 * has GPUs. Runs that would not fit in the memory and the GPUs that the others on the host leave are passed over (src/queue/hosts.c).
 * Threads: as the run's last attempt had, so that its numbers do not depend on an interruption; else as the worker was told; else
 * room_threads. A worker that has leases and asks again gives those up (matched by its name, host and pid). 0 with out[*count] and the
 * sweep set; QUEUE_EMPTY. */
int queue_lease(Queue *queue, const QueueRequest *request, double now, QueueLease *out, size_t *count, int64_t *sweep_id, Error *error);

/* A worker that holds no run, since it asks for some, and gets none: an attempt that is open in its name is one whose lease never reached
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

/* A worker process has ended: its open attempts, found by its name, end as crashed (signal or non-zero exit), preempted (SIGTERM, SIGINT,
 * SIGHUP, SIGUSR1) or lost (exit code 0). Where several are open nobody knows which of them it was, and those that had not begun are
 * innocent: in place of crashed they are lost. */
int queue_worker_ended(Queue *queue, const ExecWorker *worker, double now, Error *error);
/* Ends what has expired. Call now and then. */
int queue_expire(Queue *queue, double now, Error *error);
/* Gives every open attempt a full lease: the time that has passed was the daemon's own silence, not the workers'. */
int queue_extend(Queue *queue, double now, Error *error);
/* Asks every running attempt to checkpoint and stop at its next heartbeat (shutdown). */
void queue_drain(Queue *queue);

/* Why a run that needs so much finds no room on any host that asked so far: "" when it would. */
int queue_waiting(Queue *queue, Need needed, char out[RECORD_TEXT_MAX], Error *error);
/* The same of the sweep's largest pending run: "run 7 needs ..."; and how many of its pending runs are too large for every such host. */
int queue_sweep_waiting(Queue *queue, int64_t sweep_id, char out[RECORD_TEXT_MAX], int64_t *oversized, Error *error);

/* Whether a pending run of an active sweep would fit on a host that asked so far, were nothing else there; true while none has asked. */
int queue_can_go_on(Queue *queue, bool *can, Error *error);

/* How many more workers are worth starting, given how many an executor may have and has. */
int queue_workers_wanted(Queue *queue, size_t alive, size_t capacity, double now, size_t *wanted, Error *error);
