/* Routes of workers: leases and reports. */

#include "daemon.h"

#include <stdlib.h>
#include <string.h>

static const double ask_again_seconds = 2;

/* ---- lease ---- */

/* A worker of the fleet leaves when there is nothing to do: the daemon starts another when there is. One that a person started waits
 * as long as running runs might come back. */
static int answer_idle(Daemon *daemon, bool local, HttpResponse *response, Error *error) {
    int64_t pending = 0, running = 0;
    if (store_pending_count(daemon->store, 1, &pending, &running, error) != 0)
        return -1;
    Lease lease = {.leave = local || daemon->draining || running == 0, .retry_seconds = ask_again_seconds};
    lease_encode(&lease, &response->body);
    return 0;
}

static void answer_lease(const Daemon *daemon, const AttemptRecord *attempt, Lease *lease, HttpResponse *response) {
    lease->granted = true;
    lease->attempt_id = attempt->id;
    lease->run_id = attempt->run_id;
    lease->attempt_number = attempt->number;
    lease->heartbeat_seconds = daemon->options.queue.heartbeat_seconds;
    lease->expires_seconds = daemon->options.queue.lease_seconds;
    lease_encode(lease, &response->body);
}

int route_lease(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    LeaseRequest request;
    Lease lease = {0};
    AttemptRecord attempt;
    if (lease_request_decode(&request, call->request->body, call->request->body_size, error) != 0)
        return 400;
    FleetKind kind = fleet_heard(&daemon->fleet, request.worker);
    if (kind == FLEET_ORPHAN) {
        daemon->supply = true; /* what it gives up, another may take */
        if (queue_worker_idle(daemon->queue, &request.environment, request.worker, clock_unix(), error) < 0)
            return -1;
        return answer_idle(daemon, true, response, error);
    }
    int result =
        queue_lease(daemon->queue, &request.environment, request.worker, clock_unix(), &attempt, lease.token, &lease.run, lease.key, error);
    if (result == QUEUE_EMPTY)
        return answer_idle(daemon, kind == FLEET_OWN, response, error);
    if (result == 0)
        result = path_format(lease.directory, error, "%s/runs/%.2s/%s", daemon->options.home, lease.key, lease.key);
    if (result == 0)
        answer_lease(daemon, &attempt, &lease, response);
    return result;
}

/* ---- reports ---- */

static int read_attempt_id(const Call *call, int64_t *out, Error *error) {
    if (route_read_number(call->argument, out) != 0) {
        error_set(error, "no such attempt: %s", call->argument);
        return 404;
    }
    return 0;
}

static int apply_report(Daemon *daemon, const Report *report, QueueDirective *directive, Error *error) {
    double now = clock_unix();
    *directive = QUEUE_CONTINUE;
    switch (report->kind) {
    case REPORT_HEARTBEAT:
        return queue_heartbeat(daemon->queue, report->attempt_id, report->token, report->step, report->flops, now, directive, error);
    case REPORT_POINTS:
        return queue_points(daemon->queue, report->attempt_id, report->token, report->points, report->point_count, report->step,
                            report->flops, now, directive, error);
    case REPORT_RESULT:
        daemon->supply = true;
        return queue_result(daemon->queue, report->attempt_id, report->token, report->outcome, report->state, report->detail,
                            &report->environment, report->points, report->point_count, now, error);
    }
    return error_set(error, "a report of no kind");
}

/* A refusal is an answer too: it tells the worker to drop the run. */
static int answer_report(const Daemon *daemon, int result, QueueDirective directive, HttpResponse *response) {
    static const Directive directives[] = {
        [QUEUE_CONTINUE] = DIRECTIVE_CONTINUE, [QUEUE_STOP] = DIRECTIVE_STOP, [QUEUE_DROP] = DIRECTIVE_DROP};
    if (result < 0)
        return result;
    if (result == QUEUE_INVALID)
        return 400;
    bool refused = result == QUEUE_STALE || result == QUEUE_NOT_FOUND;
    ReportAnswer answer = {refused ? DIRECTIVE_DROP : directives[directive], refused ? 0 : daemon->options.queue.lease_seconds};
    report_answer_encode(&answer, &response->body);
    return result == QUEUE_STALE ? 409 : result == QUEUE_NOT_FOUND ? 404 : 0;
}

static int handle_report(Daemon *daemon, const Call *call, ReportKind kind, HttpResponse *response, Error *error) {
    Report *report = calloc(1, sizeof *report);
    QueueDirective directive = QUEUE_DROP;
    if (report == NULL)
        return error_set(error, "out of memory");
    report->kind = kind;
    int result = read_attempt_id(call, &report->attempt_id, error);
    if (result == 0 && report_decode(report, call->request->body, call->request->body_size, error) != 0)
        result = 400;
    if (result == 0) {
        result = apply_report(daemon, report, &directive, error);
        result = answer_report(daemon, result, directive, response);
    }
    free(report);
    return result;
}

int route_heartbeat(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return handle_report(daemon, call, REPORT_HEARTBEAT, response, error);
}

int route_points(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return handle_report(daemon, call, REPORT_POINTS, response, error);
}

int route_result(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return handle_report(daemon, call, REPORT_RESULT, response, error);
}
