/* A lease is an attempt that is open in the store; the queue keeps nothing of its own but its settings, so that a daemon that was cut off
 * goes on from the database alone.
 *
 * How an attempt ends decides what becomes of its run:
 *   ok                              done or diverged, whatever else was asked of the run: a result is a result
 *   crashed, timeout, out_of_memory pending again, and failed at the retry limit
 *   lost, preempted                 pending again, however often: not the run's fault
 *   refused                         failed at once: the data is missing or another, the spec is not understood; a worker of the same
 * machine would refuse again, and a person has to act (then `retry`) A run that no active or paused sweep has any more, or that was
 * cancelled itself, becomes cancelled instead of pending. */
#include "private.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>

enum { ENDED_AT_ONCE = 64 };

int queue_new(Queue **out, Store *store, const QueueSettings *settings, double now, Error *error) {
    *out = NULL;
    QueueSettings chosen = *settings;
    chosen.heartbeat_seconds = chosen.heartbeat_seconds > 0 ? chosen.heartbeat_seconds : 5;
    chosen.lease_seconds = chosen.lease_seconds > 0 ? chosen.lease_seconds : 60;
    chosen.retry_limit = chosen.retry_limit > 0 ? chosen.retry_limit : 3;
    chosen.patience_seconds = chosen.patience_seconds > 0 ? chosen.patience_seconds : 300;
    if (!isfinite(chosen.lease_seconds) || chosen.lease_seconds < 5 * chosen.heartbeat_seconds)
        return error_set(error, "a lease of %g s is shorter than five heartbeats of %g s", chosen.lease_seconds, chosen.heartbeat_seconds);
    if (store_attempt_extend_all(store, now + chosen.lease_seconds, error) < 0)
        return -1;
    Queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return error_set_memory(error, "out of memory");
    queue->store = store;
    queue->settings = chosen;
    *out = queue;
    return 0;
}

void queue_free(Queue *queue) {
    free(queue);
}

/* ---- how an attempt ends ---- */

static int ending_state(Queue *queue, const Ending *ending, RunState *state, Error *error) {
    bool wanted, paused;
    RunRecord run;
    if (ending->outcome == OUTCOME_OK) {
        *state = ending->result;
        return 0;
    }
    if (store_run_wanted(queue->store, ending->run_id, &wanted, &paused, error) != 0 ||
        store_run_get(queue->store, ending->run_id, &run, error) != 0)
        return -1;
    bool failed =
        ending->outcome == OUTCOME_REFUSED || (outcome_counts(ending->outcome) && run.failures + 1 >= queue->settings.retry_limit);
    *state = !wanted ? RUN_CANCELLED : failed ? RUN_FAILED : RUN_PENDING;
    return 0;
}

int attempt_finish(Queue *queue, const Ending *ending, const char *event, Error *error) {
    RunState state;
    if (ending_state(queue, ending, &state, error) < 0)
        return -1;
    if (event && store_event_add(queue->store, ending->now, event, 0, ending->run_id, ending->attempt_id, ending->detail, error) < 0)
        return -1;
    AttemptEnd end = {.outcome = ending->outcome,
                      .detail = ending->detail,
                      .run_state = state,
                      .failures_add = outcome_counts(ending->outcome),
                      .now = ending->now,
                      .step = ending->step,
                      .flops = ending->flops,
                      .environment = ending->environment};
    int result = store_attempt_end(queue->store, ending->attempt_id, &end, error);
    return result > 0 ? error_set(error, "attempt %lld is not open", (long long)ending->attempt_id) : result;
}

int worker_give_up(Queue *queue, const char *worker, const Environment *at, Ending ending, Outcome several, const char *event,
                   Error *error) {
    AttemptRecord open[ENDED_AT_ONCE];
    size_t count = 0;
    do {
        if (store_attempt_of_worker(queue->store, worker, at, open, ENDED_AT_ONCE, &count, error) < 0)
            return -1;
        if (count > 1)
            ending.outcome = several;
        for (size_t i = 0; i < count; i++) {
            ending.attempt_id = open[i].id;
            ending.run_id = open[i].run_id;
            if (attempt_finish(queue, &ending, event, error) < 0)
                return -1;
        }
    } while (count > 0);
    return 0;
}

/* ---- what nobody reports ---- */

/* One that was asked to leave before it could handle the signal is not the run's fault. */
static Outcome worker_outcome(const ExecWorker *worker) {
    if (worker->by_signal) {
        bool asked = worker->code == SIGTERM || worker->code == SIGINT || worker->code == SIGHUP || worker->code == SIGUSR1;
        return asked ? OUTCOME_PREEMPTED : OUTCOME_CRASHED;
    }
    return worker->code != 0 ? OUTCOME_CRASHED : OUTCOME_LOST;
}

static int worker_ended(Queue *queue, const ExecWorker *worker, double now, Error *error) {
    Ending ending = {.outcome = worker_outcome(worker), .detail = "its worker ended without a result", .now = now};
    if (*worker->detail)
        ending.detail = worker->detail;
    Outcome several = ending.outcome == OUTCOME_CRASHED ? OUTCOME_LOST : ending.outcome;
    return worker_give_up(queue, worker->name, NULL, ending, several, "worker_exited", error);
}

int queue_worker_ended(Queue *queue, const ExecWorker *worker, double now, Error *error) {
    if (store_transaction_begin(queue->store, error) < 0)
        return -1;
    return store_transaction_end(queue->store, worker_ended(queue, worker, now, error), error);
}

static int expire_some(Queue *queue, double now, size_t *count, Error *error) {
    AttemptRecord expired[ENDED_AT_ONCE];
    if (store_attempt_expired(queue->store, now, expired, ENDED_AT_ONCE, count, error) < 0)
        return -1;
    for (size_t i = 0; i < *count; i++) {
        Ending ending = {.attempt_id = expired[i].id,
                         .run_id = expired[i].run_id,
                         .outcome = OUTCOME_LOST,
                         .result = RUN_PENDING,
                         .detail = "the lease ran out",
                         .now = now};
        if (attempt_finish(queue, &ending, "lease_expired", error) < 0)
            return -1;
    }
    return 0;
}

int queue_expire(Queue *queue, double now, Error *error) {
    size_t count = 0;
    /* Looked at first without a transaction: nearly always nothing has expired. */
    AttemptRecord first;
    if (store_attempt_expired(queue->store, now, &first, 1, &count, error) < 0)
        return -1;
    while (count > 0)
        if (store_transaction_begin(queue->store, error) < 0 ||
            store_transaction_end(queue->store, expire_some(queue, now, &count, error), error) < 0)
            return -1;
    return 0;
}

int queue_extend(Queue *queue, double now, Error *error) {
    return store_attempt_extend_all(queue->store, now + queue->settings.lease_seconds, error);
}

void queue_drain(Queue *queue) {
    queue->draining = true;
}
