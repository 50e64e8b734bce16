/* queue (private): what its files share. */
#pragma once

#include "sweepd/queue.h"

enum { QUEUE_HOSTS_MAX = 256, QUEUE_WORKERS_MAX = 1024 };

typedef struct QueueHost {
    char name[MACHINE_TEXT_MAX];
    RoomHost room;
} QueueHost;

struct Queue {
    Store *store;
    QueueSettings settings;
    bool draining;
    QueueHost hosts[QUEUE_HOSTS_MAX]; /* as they said when they last asked; the daemon's own as it was told */
    size_t host_count;
    int64_t passed_run; /* that smaller ones are let past; 0: none */
    double passed_since;
};

/* ---- how an attempt ends (queue.c) ---- */

typedef struct Ending {
    int64_t attempt_id, run_id;
    Outcome outcome;
    RunState result; /* when ok */
    const char *detail;
    double now;
    const Environment *environment; /* as a result says; NULL: nothing new */
    double step, flops;             /* as the result's last point says */
} Ending;

/* event: NULL, or what to record beside it. */
int attempt_finish(Queue *queue, const Ending *ending, const char *event, Error *error);
/* Ends what is open in the worker's name. `several`: the outcome where that is more than one. */
int worker_give_up(Queue *queue, const char *worker, const Environment *at, Ending ending, Outcome several, const char *event,
                   Error *error);

/* ---- hosts (hosts.c) ---- */

/* A host and who is at work there. */
typedef struct HostRoom {
    const QueueHost *host;
    HostWorker workers[QUEUE_WORKERS_MAX];
    size_t count;
    Need left;
    GpuSet free_gpus;
    int64_t free_cores;
} HostRoom;

/* What the host said of itself; the daemon's own was told once. The oldest of too many are forgotten. */
const QueueHost *host_note(Queue *queue, const char *name, const RoomHost *room);
int host_read(Queue *queue, const QueueHost *host, HostRoom *out, Error *error);

/* The sweep whose turn it is on this host, and the most that a run may need: a run that needs more than is left is passed over. 0,
 * QUEUE_EMPTY, -1. */
int host_turn(Queue *queue, const HostRoom *room, double now, Need *most, int64_t *sweep_id, int64_t *pending, Error *error);
/* The sweep's next run; one from an earlier version learns what it needs. 0, STORE_NONE, -1. */
int host_next(Queue *queue, int64_t sweep_id, Need most, PendingRun *out, Error *error);
/* How many threads it gets there. */
int host_threads(Queue *queue, const HostRoom *room, const PendingRun *run, int64_t *threads, Error *error);
