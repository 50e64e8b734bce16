/* A lease is an attempt that is open in the store; the queue keeps nothing of its own but its settings, so that a daemon that was cut off
 * goes on from the database alone.
 *
 * How an attempt ends decides what becomes of its run:
 *   ok                              done or diverged, whatever else was asked of the run: a result is a result
 *   crashed, timeout, out_of_memory pending again, and failed at the retry limit
 *   lost, preempted                 pending again, however often: not the run's fault
 *   refused                         failed at once: the data is missing or another, the spec is not understood; a worker of the same
 * machine would refuse again, and a person has to act (then `retry`) A run that no active or paused sweep has any more, or that was
 * cancelled itself, becomes cancelled instead of pending.
 *
 * The token is 256 random bits, chosen anew for every attempt. A late message of an attempt that has ended carries the right token of a
 * closed attempt, and is refused like one with a wrong token; but for the repeat of the report that closed it, whose answer was lost. */
#include "private.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { EXPIRE_AT_ONCE = 64 };

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
        return error_set(error, "out of memory");
    queue->store = store;
    queue->settings = chosen;
    *out = queue;
    return 0;
}

void queue_free(Queue *queue) {
    free(queue);
}

/* ---- how an attempt ends ---- */

typedef struct Ending {
    int64_t attempt_id, run_id;
    Outcome outcome;
    RunState result; /* when ok */
    const char *detail;
    double now;
    const Environment *environment; /* as a result says; NULL: nothing new */
    double step, flops;             /* as the result's last point says */
} Ending;

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

/* event: NULL, or what to record beside it. */
static int attempt_finish(Queue *queue, const Ending *ending, const char *event, Error *error) {
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

/* ---- lease ---- */

static int token_make(char token[SHA256_HEX_MAX], Error *error) {
    unsigned char random[32];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set_errno(error, errno, "cannot draw a token");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    return 0;
}

/* Ends what is open in the worker's name. `several`: the outcome where that is more than one. */
static int worker_give_up(Queue *queue, const char *worker, const Environment *at, Ending ending, Outcome several, const char *event,
                          Error *error) {
    AttemptRecord open[EXPIRE_AT_ONCE];
    size_t count = 0;
    do {
        if (store_attempt_of_worker(queue->store, worker, at, open, EXPIRE_AT_ONCE, &count, error) < 0)
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
    double most_bytes; /* that a run may need */
    double now;
} Grant;

static int lease_begin(Queue *queue, const Grant *grant, const PendingRun *next, QueueLease *out, Error *error) {
    const QueueRequest *request = grant->request;
    AttemptRecord attempt;
    AttemptStart start = {.run_id = next->run_id,
                          .environment = *request->environment,
                          .now = grant->now,
                          .expires_at = grant->now + queue->settings.lease_seconds,
                          .reserved_bytes = next->memory_bytes};
    int64_t *threads = &start.environment.threads;
    if (next->readable && next->run.resources.cpus > 0)
        *threads = next->run.resources.cpus;
    else if (next->threads > 0)
        *threads = next->threads;
    else if (*threads <= 0 && host_threads(queue, &grant->room, next, threads, error) < 0)
        return -1;
    text_copy(start.worker, sizeof start.worker, request->worker);
    if (token_make(start.token, error) < 0 || store_attempt_begin(queue->store, &start, &attempt, error) != 0)
        return -1;
    if (next->run_id == queue->passed_run)
        queue->passed_run = 0;
    *out = (QueueLease){
        .attempt_id = attempt.id, .run_id = attempt.run_id, .attempt_number = attempt.number, .threads = *threads, .run = next->run};
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
        int result = host_next(queue, sweep_id, grant->most_bytes, &next, error);
        if (result != 0)
            return result < 0 ? -1 : QUEUE_EMPTY;
        *alone = next.attempts > 0;
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
        return error_set(error, "out of memory");
    grant->request = request;
    grant->now = now;
    int result = host_read(queue, host_note(queue, request->environment->host, &request->host), &grant->room, error);
    /* A sweep all of whose pending runs were unreadable gives none, and has none left. */
    while (result == 0 && *count == 0) {
        result = host_turn(queue, &grant->room, now, &grant->most_bytes, sweep_id, &pending, error);
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

/* ---- reports ---- */

typedef struct Report {
    const Point *points;
    size_t count;
    double step, flops;
    bool done; /* the run is said to be finished */
} Report;

static int report_stale(Queue *queue, const AttemptRecord *attempt, const char *what, double now, Error *error) {
    char detail[RECORD_TEXT_MAX];
    snprintf(detail, sizeof detail, "%s of an attempt that ended as %s", what, outcome_text(attempt->outcome));
    int result = store_event_add(queue->store, now, "stale_message", 0, attempt->run_id, attempt->id, detail, error);
    return result < 0 ? -1 : QUEUE_STALE;
}

/* 0, QUEUE_STALE, QUEUE_NOT_FOUND, or STORE_ENDED, which the caller resolves. */
static int report_check(Queue *queue, int64_t attempt_id, const char *token, double now, AttemptRecord *attempt, Error *error) {
    int result = store_attempt_check(queue->store, attempt_id, token, now, attempt, error);
    return result == STORE_STALE ? QUEUE_STALE : result == STORE_NOT_FOUND ? QUEUE_NOT_FOUND : result;
}

static int report_direct(Queue *queue, const AttemptRecord *attempt, double now, QueueDirective *directive, Error *error) {
    bool wanted, paused;
    if (store_run_wanted(queue->store, attempt->run_id, &wanted, &paused, error) != 0)
        return -1;
    *directive = !wanted ? QUEUE_DROP : queue->draining ? QUEUE_STOP : QUEUE_CONTINUE;
    if (wanted)
        return 0;
    Ending ending = {.attempt_id = attempt->id,
                     .run_id = attempt->run_id,
                     .outcome = OUTCOME_PREEMPTED,
                     .result = RUN_CANCELLED,
                     .detail = "the run was cancelled",
                     .now = now};
    return attempt_finish(queue, &ending, "run_dropped", error);
}

/* The plan counts each flop; sums of doubles may differ in their last digits. Where nothing was told beforehand, anything may come. */
static bool flops_planned(const RunPlan *plan, double flops) {
    return flops >= 0 && (plan->flops > 0 ? flops <= plan->flops * (1 + 1e-6) : isfinite(flops));
}

static int report_invalid(Error *error, const char *field, const RunPlan *plan) {
    error_set(error, "%s: out of the run's plan of %lld steps and %.6g flops", field, (long long)plan->steps, plan->flops);
    return QUEUE_INVALID;
}

/* Nothing may come into the store that the run cannot have: its last point is its result. */
static int report_check_plan(Queue *queue, int64_t run_id, const Report *report, Error *error) {
    RunPlan plan;
    char field[64];
    if (store_run_plan(queue->store, run_id, &plan, error) != 0)
        return -1;
    if (!(report->step >= 0 && report->step <= (double)plan.steps))
        return report_invalid(error, "step", &plan);
    if (!flops_planned(&plan, report->flops))
        return report_invalid(error, "flops", &plan);
    for (size_t i = 0; i < report->count; i++) {
        const Point *point = &report->points[i];
        bool step = point->step >= 0 && point->step <= plan.steps;
        snprintf(field, sizeof field, "points[%zu].%s", i, step ? "flops" : "step");
        if (!step || !flops_planned(&plan, point->flops))
            return report_invalid(error, field, &plan);
        plan.complete = plan.complete || point->step == plan.steps;
    }
    if (!report->done || plan.complete)
        return 0;
    error_set(error, "points: the run is not done without a point at its last step, %lld", (long long)plan.steps);
    return QUEUE_INVALID;
}

static int report_progress(Queue *queue, int64_t attempt_id, const char *token, const Point *points, size_t count, double step,
                           double flops, double now, QueueDirective *directive, Error *error) {
    AttemptRecord attempt;
    int result = report_check(queue, attempt_id, token, now, &attempt, error);
    if (result != 0)
        return result == STORE_ENDED ? report_stale(queue, &attempt, count > 0 ? "points" : "a heartbeat", now, error) : result;
    Report report = {points, count, step, flops, false};
    if ((result = report_check_plan(queue, attempt.run_id, &report, error)) != 0)
        return result;
    if (store_point_add(queue->store, attempt_id, points, count, error) < 0 ||
        store_attempt_renew(queue->store, attempt_id, now + queue->settings.lease_seconds, step, flops, error) < 0)
        return -1;
    return report_direct(queue, &attempt, now, directive, error);
}

int queue_points(Queue *queue, int64_t attempt_id, const char *token, const Point *points, size_t count, double step, double flops,
                 double now, QueueDirective *directive, Error *error) {
    *directive = QUEUE_DROP;
    if (store_transaction_begin(queue->store, error) < 0)
        return -1;
    int result = report_progress(queue, attempt_id, token, points, count, step, flops, now, directive, error);
    return store_transaction_end(queue->store, result, error);
}

int queue_heartbeat(Queue *queue, int64_t attempt_id, const char *token, double step, double flops, double now, QueueDirective *directive,
                    Error *error) {
    return queue_points(queue, attempt_id, token, NULL, 0, step, flops, now, directive, error);
}

/* A run that trains nothing has no tensors that others could be known by. */
static int report_learn(Queue *queue, int64_t run_id, double memory_bytes, Error *error) {
    double tensors;
    if (!(memory_bytes > 0) || memory_bytes >= STORE_ANY_BYTES)
        return 0;
    int result = store_run_tensors(queue->store, run_id, &tensors, error);
    if (result != 0 || tensors <= 0)
        return result;
    return store_memory_learn(queue->store, tensors, room_of_peak(tensors, memory_bytes), error);
}

/* A program that tells its FLOPs and parameters only as it runs tells them by its points: the last one's flops are those of the run. */
static int report_told(Queue *queue, int64_t run_id, Error *error) {
    RunRecord record;
    Run run;
    if (store_run_get(queue->store, run_id, &record, error) != 0)
        return -1;
    if ((record.params > 0 && record.flops.exact > 0) || !record.has_point)
        return 0;
    if (store_run_spec(queue->store, run_id, &run, error) != 0)
        return -1;
    double params = point_metric(&record.last, "params");
    int64_t told = record.params > 0 ? record.params : params >= 1 && params < 9e18 ? llround(params) : 0;
    double nd6 = 6 * (double)told * (double)run.examples * (double)run.epochs;
    return store_run_tell(queue->store, run_id, told, record.last.flops, nd6, error);
}

static int report_result(Queue *queue, const char *token, const Ending *report, const Environment *environment, const Point *points,
                         size_t count, Error *error) {
    AttemptRecord attempt;
    int result = report_check(queue, report->attempt_id, token, report->now, &attempt, error);
    if (result == STORE_ENDED)
        return attempt.outcome == report->outcome ? 0 : report_stale(queue, &attempt, "a result", report->now, error);
    if (result != 0)
        return result;
    Report said = {points, count, 0, 0, report->outcome == OUTCOME_OK && report->result == RUN_DONE};
    if ((result = report_check_plan(queue, attempt.run_id, &said, error)) != 0)
        return result;
    if (store_point_add(queue->store, attempt.id, points, count, error) < 0)
        return -1;
    if (environment && report->outcome == OUTCOME_OK && report_learn(queue, attempt.run_id, environment->memory_bytes, error) < 0)
        return -1;
    if (report->outcome == OUTCOME_OK && report->result == RUN_DONE && report_told(queue, attempt.run_id, error) < 0)
        return -1;
    Ending ending = *report;
    ending.run_id = attempt.run_id;
    ending.environment = environment && *environment->host ? environment : NULL;
    if (count > 0) {
        ending.step = (double)points[count - 1].step;
        ending.flops = points[count - 1].flops;
    }
    return attempt_finish(queue, &ending, NULL, error);
}

/* What a worker may say of itself: that it was lost is for the queue to find. */
static bool result_is_valid(Outcome outcome, RunState state) {
    if (outcome == OUTCOME_OK)
        return state == RUN_DONE || state == RUN_DIVERGED;
    return outcome > OUTCOME_OK && outcome < OUTCOMES && outcome != OUTCOME_LOST;
}

int queue_result(Queue *queue, int64_t attempt_id, const char *token, Outcome outcome, RunState state, const char *detail,
                 const Environment *environment, const Point *points, size_t count, double now, Error *error) {
    if (!result_is_valid(outcome, state)) {
        error_set(error, "a result cannot have this outcome with this state");
        return QUEUE_INVALID;
    }
    if (store_transaction_begin(queue->store, error) < 0)
        return -1;
    Ending report = {.attempt_id = attempt_id, .outcome = outcome, .result = state, .detail = detail ? detail : "", .now = now};
    return store_transaction_end(queue->store, report_result(queue, token, &report, environment, points, count, error), error);
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
    AttemptRecord expired[EXPIRE_AT_ONCE];
    if (store_attempt_expired(queue->store, now, expired, EXPIRE_AT_ONCE, count, error) < 0)
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

/* Cores that runs take beside the one, or the number, that each worker is given: so many workers fewer. */
static size_t extra_cores(const Queue *queue, const HostRoom *room) {
    int64_t each = queue->settings.threads > 0 ? queue->settings.threads : 1, extra = 0;
    for (size_t i = 0; i < room->count; i++)
        extra += room->workers[i].threads > each ? room->workers[i].threads - each : 0;
    return (size_t)extra;
}

/* Runs that a new worker of this machine could begin now. */
static int startable_count(Queue *queue, const HostRoom *room, int64_t limit, double now, int64_t *count, Error *error) {
    double most_bytes;
    int64_t sweep_id, pending;
    *count = 0;
    int result = host_turn(queue, room, now, &most_bytes, &sweep_id, &pending, error);
    return result != 0 ? (result < 0 ? -1 : 0) : store_fitting_count(queue->store, most_bytes, limit, count, error);
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
