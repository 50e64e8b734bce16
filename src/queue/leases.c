/* Leases. The token is 256 random bits, chosen anew for every attempt. A late message of an attempt that has ended carries the right token
 * of a closed attempt, and is refused like one with a wrong token; but for the repeat of the report that closed it, whose answer was lost.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static int token_make(char token[SHA256_HEX_MAX], Error *error) {
    unsigned char random[32];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set_errno(error, errno, "cannot draw a token");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    return 0;
}

/* A worker asks when it has done with what it had: one that asks while it holds leases never got the answer that it was given before. Two
 * that were started with one name are two workers, and workers in containers may share a host's name and a pid: name, host and pid are
 * compared. */
static int lease_give_up_earlier(Queue *queue, const Environment *environment, const char *worker, double now, Error *error) {
    Ending ending = {.outcome = OUTCOME_LOST, .detail = "its worker asked for another run", .now = now};
    return worker_give_up(queue, worker, environment, ending, OUTCOME_LOST, "lease_expired", error);
}

/* What a lease is given from. */
typedef struct Grant {
    const QueueRequest *request;
    HostRoom room;
    Need most; /* that a run may need */
    double now;
} Grant;

/* What the worker will train the run with: known before it says so, for an attempt that ends without a word. */
static const char *backend_of(const QueueRequest *request, const PendingRun *next) {
    const char *plain = request->environment->backend, *rounded = request->bf16_backend ? request->bf16_backend : "";
    if (!next->readable)
        return "";
    if (next->run.trainer != TRAINER_BUILTIN)
        return trainer_kind_text(next->run.trainer);
    if (next->run.precision == PRECISION_FP32)
        return plain;
    return *rounded || next->run.precision == PRECISION_BF16 ? rounded : plain;
}

static int lease_begin(Queue *queue, const Grant *grant, const PendingRun *next, QueueLease *out, Error *error) {
    const QueueRequest *request = grant->request;
    AttemptRecord attempt;
    AttemptStart start = {.run_id = next->run_id,
                          .environment = *request->environment,
                          .now = grant->now,
                          .expires_at = grant->now + queue->settings.lease_seconds,
                          .reserved_bytes = next->need.memory_bytes,
                          .gpus = gpus_first(grant->room.free_gpus, next->need.gpus)};
    int64_t *threads = &start.environment.threads;
    if (next->readable && next->run.resources.cpus > 0)
        *threads = next->run.resources.cpus;
    else if (next->threads > 0)
        *threads = next->threads;
    else if (*threads <= 0 && host_threads(queue, &grant->room, next, threads, error) < 0)
        return -1;
    text_copy(start.environment.backend, sizeof start.environment.backend, backend_of(request, next));
    text_copy(start.worker, sizeof start.worker, request->worker);
    if (token_make(start.token, error) < 0 || store_attempt_begin(queue->store, &start, &attempt, error) != 0)
        return -1;
    if (next->run_id == queue->passed_run)
        queue->passed_run = 0;
    *out = (QueueLease){.attempt_id = attempt.id,
                        .run_id = attempt.run_id,
                        .attempt_number = attempt.number,
                        .threads = *threads,
                        .gpus = start.gpus,
                        .run = next->run};
    text_copy(out->token, sizeof out->token, start.token);
    text_copy(out->key, sizeof out->key, next->key);
    return 0;
}

enum { LEASE_WAITS = 20 };

/* The sweep's next run, unless it is one that goes alone and others are there. 0; QUEUE_EMPTY; LEASE_WAITS: it is to have more cores than
 * are free, and what comes after it waits too, or they would never be free together; -1. */
static int lease_next(Queue *queue, const Grant *grant, int64_t sweep_id, bool first, QueueLease *out, bool *alone, Error *error) {
    PendingRun next;
    for (;;) {
        int result = host_next(queue, sweep_id, grant->most, &next, error);
        if (result != 0)
            return result < 0 ? -1 : QUEUE_EMPTY;
        *alone = next.attempts > 0 || next.need.gpus > 0;
        if (*alone && !first)
            return QUEUE_EMPTY;
        bool shared = grant->room.count > 0 && grant->room.host->room.cores > 0;
        if (shared && first && next.readable && next.run.resources.cpus > grant->room.free_cores)
            return LEASE_WAITS;
        if (lease_begin(queue, grant, &next, out, error) < 0)
            return -1;
        if (next.readable)
            return 0;
        /* Left by another version. It must not stand before all others for ever. */
        Ending ending = {.attempt_id = out->attempt_id,
                         .run_id = out->run_id,
                         .outcome = OUTCOME_REFUSED,
                         .result = RUN_FAILED,
                         .detail = next.problem.text,
                         .now = grant->now};
        if (attempt_finish(queue, &ending, "spec_unreadable", error) < 0)
            return -1;
    }
}

/* Half of an even share: the piles shrink with what is left, and the last runs are spread over all workers. */
static int lease_share(Queue *queue, const QueueRequest *request, int64_t sweep_id, int64_t pending, size_t *share, Error *error) {
    size_t workers = 0;
    *share = 1;
    if (request->sweep_id != sweep_id || request->runs_max <= 1)
        return 0;
    if (store_worker_count(queue->store, &workers, error) != 0)
        return -1;
    workers = workers + 1 > request->workers ? workers + 1 : request->workers;
    size_t fair = (size_t)pending / (2 * workers);
    size_t most = request->runs_max < QUEUE_LEASES_MAX ? request->runs_max : QUEUE_LEASES_MAX;
    *share = fair < 1 ? 1 : fair < most ? fair : most;
    return 0;
}

static int lease_take_from(Queue *queue, const Grant *grant, int64_t sweep_id, int64_t pending, QueueLease *out, size_t *count,
                           Error *error) {
    size_t share;
    bool alone = false;
    if (lease_share(queue, grant->request, sweep_id, pending, &share, error) < 0)
        return -1;
    while (*count < share && !alone) {
        int result = lease_next(queue, grant, sweep_id, *count == 0, &out[*count], &alone, error);
        if (result != 0)
            return result < 0 ? -1 : result == LEASE_WAITS ? QUEUE_EMPTY : 0;
        ++*count;
    }
    return 0;
}

static int lease_take(Queue *queue, const QueueRequest *request, double now, QueueLease *out, size_t *count, int64_t *sweep_id,
                      Error *error) {
    Grant *grant = calloc(1, sizeof *grant);
    int64_t pending;
    if (!grant)
        return error_set_memory(error, "out of memory");
    grant->request = request;
    grant->now = now;
    int result = host_read(queue, host_note(queue, request->environment->host, &request->host), &grant->room, error);
    /* A sweep all of whose pending runs were unreadable gives none, and has none left. */
    while (result == 0 && *count == 0) {
        result = host_turn(queue, &grant->room, now, &grant->most, sweep_id, &pending, error);
        if (result == 0)
            result = lease_take_from(queue, grant, *sweep_id, pending, out, count, error);
    }
    free(grant);
    return result;
}

int queue_lease(Queue *queue, const QueueRequest *request, double now, QueueLease *out, size_t *count, int64_t *sweep_id, Error *error) {
    *count = 0;
    *sweep_id = 0;
    if (store_transaction_begin(queue->store, error) < 0)
        return -1;
    int result = lease_give_up_earlier(queue, request->environment, request->worker, now, error);
    if (result == 0)
        result = queue->draining ? QUEUE_EMPTY : lease_take(queue, request, now, out, count, sweep_id, error);
    return store_transaction_end(queue->store, result, error);
}

int queue_worker_idle(Queue *queue, const Environment *environment, const char *worker, double now, Error *error) {
    if (store_transaction_begin(queue->store, error) < 0)
        return -1;
    return store_transaction_end(queue->store, lease_give_up_earlier(queue, environment, worker, now, error), error);
}

/* ---- how many workers ---- */

/* Cores that runs take beside the one, or the number, that each worker is given: so many workers fewer. */
static size_t extra_cores(const Queue *queue, const HostRoom *room) {
    int64_t each = queue->settings.threads > 0 ? queue->settings.threads : 1, extra = 0;
    for (size_t i = 0; i < room->count; i++)
        extra += room->workers[i].threads > each ? room->workers[i].threads - each : 0;
    return (size_t)extra;
}

/* Runs that a new worker of this machine could begin now. */
static int startable_count(Queue *queue, const HostRoom *room, int64_t limit, double now, int64_t *count, Error *error) {
    Need most;
    int64_t sweep_id, pending;
    *count = 0;
    int result = host_turn(queue, room, now, &most, &sweep_id, &pending, error);
    return result != 0 ? (result < 0 ? -1 : 0) : store_fitting_count(queue->store, most, limit, count, error);
}

int queue_workers_wanted(Queue *queue, size_t alive, size_t capacity, double now, size_t *wanted, Error *error) {
    static HostRoom room;
    int64_t startable = 0;
    size_t busy = 0;
    *wanted = 0;
    if (queue->draining || alive >= capacity)
        return 0;
    if (host_read(queue, host_note(queue, queue->settings.host, &queue->settings.room), &room, error) < 0 ||
        startable_count(queue, &room, (int64_t)(capacity + alive), now, &startable, error) < 0 ||
        store_worker_count(queue->store, &busy, error) < 0)
        return -1;
    /* Workers without a run are about to ask for one. */
    size_t idle = alive > busy ? alive - busy : 0;
    size_t useful = (size_t)startable > idle ? (size_t)startable - idle : 0;
    size_t taken = alive + extra_cores(queue, &room), places = capacity > taken ? capacity - taken : 0;
    *wanted = useful < places ? useful : places;
    return 0;
}
