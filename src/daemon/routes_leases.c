/* Routes of workers: leases and reports. */

#include "daemon.h"

#include <stdlib.h>
#include <string.h>

static const double ask_again_seconds = 2;

/* ---- leases ---- */

/* A worker of the fleet leaves when there is nothing to do: the daemon starts another when there is. One that a person started waits
 * as long as running runs might come back. */
static int answer_idle(Daemon *daemon, bool local, HttpResponse *response, Error *error) {
    int64_t pending = 0, running = 0;
    if (store_pending_count(daemon->store, 1, &pending, &running, error) != 0)
        return -1;
    LeaseAnswer answer = {.leave = local || daemon->draining || running == 0, .retry_seconds = ask_again_seconds};
    lease_answer_encode(&answer, &response->body);
    return 0;
}

static int answer_leases(const Daemon *daemon, const QueueLease *leases, size_t count, int64_t sweep_id, HttpResponse *response,
                         Error *error) {
    LeaseAnswer answer = {.heartbeat_seconds = daemon->options.queue.heartbeat_seconds,
                          .expires_seconds = daemon->options.queue.lease_seconds,
                          .sweep_id = sweep_id};
    if (path_format(answer.directory, error, "%s/runs", daemon->options.home) != 0)
        return -1;
    answer.leases = calloc(count, sizeof *answer.leases);
    if (answer.leases == NULL)
        return error_set_memory(error, "out of memory");
    for (answer.count = 0; answer.count < count; answer.count++) {
        const QueueLease *from = &leases[answer.count];
        Lease *lease = &answer.leases[answer.count];
        *lease =
            (Lease){from->attempt_id, from->run_id, from->attempt_number, .threads = from->threads, .gpus = from->gpus, .run = from->run};
        text_copy(lease->token, sizeof lease->token, from->token);
        text_copy(lease->key, sizeof lease->key, from->key);
    }
    lease_answer_encode(&answer, &response->body);
    lease_answer_deinit(&answer);
    return 0;
}

static int grant(Daemon *daemon, const LeaseRequest *request, bool local, HttpResponse *response, Error *error) {
    QueueRequest wanted = {.environment = &request->environment,
                           .bf16_backend = request->bf16_backend,
                           .worker = request->worker,
                           .runs_max = (size_t)request->runs_max,
                           .sweep_id = request->sweep_id,
                           .host = {request->cores, request->memory_bytes, request->gpus},
                           .workers = daemon->fleet.capacity};
    QueueLease *leases = calloc(wanted.runs_max, sizeof *leases);
    size_t count;
    int64_t sweep_id;
    if (leases == NULL)
        return error_set_memory(error, "out of memory");
    int result = queue_lease(daemon->queue, &wanted, clock_unix(), leases, &count, &sweep_id, error);
    if (result == QUEUE_EMPTY)
        result = answer_idle(daemon, local, response, error);
    else if (result == 0)
        result = answer_leases(daemon, leases, count, sweep_id, response, error);
    free(leases);
    return result;
}

int route_lease(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    LeaseRequest request;
    if (lease_request_decode(&request, call->request->body, call->request->body_size, error) != 0)
        return 400;
    FleetKind kind = fleet_heard(&daemon->fleet, request.worker);
    if (kind != FLEET_ORPHAN)
        return grant(daemon, &request, kind == FLEET_OWN, response, error);
    daemon->supply = true; /* what it gives up, another may take */
    if (queue_worker_idle(daemon->queue, &request.environment, request.worker, clock_unix(), error) < 0)
        return -1;
    return answer_idle(daemon, true, response, error);
}

/* ---- reports ---- */

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
static int answer_report(Daemon *daemon, ReportReader *reader, Report *report, ReportAnswer *answer, Error *error) {
    static const Directive directives[] = {
        [QUEUE_CONTINUE] = DIRECTIVE_CONTINUE, [QUEUE_STOP] = DIRECTIVE_STOP, [QUEUE_DROP] = DIRECTIVE_DROP};
    QueueDirective directive = QUEUE_DROP;
    Error problem = {.text = "the lease is no longer the sender's"};
    int result = report_reader_next(reader, report, &problem);
    if (result == 0)
        result = apply_report(daemon, report, &directive, &problem);
    else if (result == WIRE_INVALID)
        result = QUEUE_INVALID;
    if (result < 0)
        return error_set(error, "%s", problem.text);
    *answer = (ReportAnswer){.status = 200, .directive = result == 0 ? directives[directive] : DIRECTIVE_DROP};
    if (result == 0)
        return 0;
    answer->status = result == QUEUE_STALE ? 409 : result == QUEUE_NOT_FOUND ? 404 : 400;
    text_copy(answer->message, sizeof answer->message, result == QUEUE_NOT_FOUND ? "no such attempt" : problem.text);
    return 0;
}

/* Each report is kept or refused by itself; only what breaks the daemon breaks off the rest, and the whole message may come again. */
int route_reports(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    ReportReader *reader = NULL;
    Report *report = calloc(1, sizeof *report);
    ReportAnswers *answers = calloc(1, sizeof *answers);
    int result = report == NULL || answers == NULL ? error_set_memory(error, "out of memory")
                                                   : report_reader_new(&reader, call->request->body, call->request->body_size, error);
    if (result != 0) {
        result = result == WIRE_INVALID ? 400 : result;
        goto out;
    }
    answers->expires_seconds = daemon->options.queue.lease_seconds;
    for (size_t count = report_reader_count(reader); result == 0 && answers->count < count; answers->count++)
        result = answer_report(daemon, reader, report, &answers->answers[answers->count], error);
    if (result == 0)
        report_answers_encode(answers, &response->body);
out:
    report_reader_free(reader);
    free(answers);
    free(report);
    return result;
}
