/* What workers report of their attempts. Nothing comes into the store that the run cannot have. */
#include "private.h"

#include <math.h>
#include <stdio.h>

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

/* The plan counts each flop; sums of doubles may differ in their last digits. Where nothing was told beforehand, anything may come. more:
 * what may be executed beside the training. */
static bool flops_planned(const RunPlan *plan, double more, double flops) {
    return flops >= 0 && (plan->flops > 0 ? flops <= (plan->flops + more) * (1 + 1e-6) : isfinite(flops));
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
    if (!flops_planned(&plan, plan.eval_flops, report->flops))
        return report_invalid(error, "flops", &plan);
    for (size_t i = 0; i < report->count; i++) {
        const Point *point = &report->points[i];
        bool step = point->step >= 0 && point->step <= plan.steps;
        snprintf(field, sizeof field, "points[%zu].%s", i, step ? "flops" : "step");
        if (!step || !flops_planned(&plan, 0, point->flops))
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
