/* The reporter is a thread per attempt. It sends one report at a time and keeps that report, with its sequence number, until the daemon has
 * answered it; so a report whose answer was lost is sent again as it was, and the daemon can tell.
 *
 * What is due when: an unanswered report after its backoff; else the result, once the training thread has given it; else points, a short
 * while after the first of them, so that a run that is over in a second costs one request and not ten; else a heartbeat, an interval after
 * the last report. Points of any kind go before the result: the result report takes the last of them with it. */
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double REPORTER_LINGER_SECONDS = 0.5; /* points wait this long for company */
static const double REPORTER_CALL_SECONDS = 30;    /* for one request */
static const double REPORTER_CAP_SECONDS = 10;     /* of the backoff */

struct Reporter {
    HttpClient *client;
    const Lease *lease;
    Journal *journal;
    pthread_t thread;
    int descriptor; /* eventfd, written when the state is no longer REPORTER_RUNNING */

    pthread_mutex_t lock; /* guards all that follows up to the reporter's own */
    pthread_cond_t wake;
    ReporterState state;
    Directive directive;
    bool has_result;
    bool leaving; /* reporter_free was called */
    double step, flops;
    double points_due; /* when journaled points should go; INFINITY: there are none */
    double next_due;   /* of a heartbeat, or of the unanswered report */
    Report result;     /* outcome, state, detail, environment */

    /* the reporter thread's own */
    Report *report;
    Buffer body, answer;
    bool unanswered; /* body is to be sent again */
    int64_t sequence, journal_end;
    bool journal_more;
    int repeated; /* failures of the same kind are logged once */
    Backoff backoff;
};

/* ---- composing ---- */

static void reporter_compose_result(Reporter *reporter, Report *report) {
    report->kind = REPORT_RESULT;
    report->outcome = reporter->result.outcome;
    report->state = reporter->result.state;
    report->environment = reporter->result.environment;
    text_copy(report->detail, sizeof report->detail, reporter->result.detail);
}

/* Called with the lock held. */
static int reporter_compose(Reporter *reporter, Error *error) {
    Report *report = reporter->report;
    *report = (Report){.kind = REPORT_HEARTBEAT, .attempt_id = reporter->lease->attempt_id};
    text_copy(report->token, sizeof report->token, reporter->lease->token);
    report->step = reporter->step;
    report->flops = reporter->flops;
    if (reporter->journal && journal_read(reporter->journal, report->points, WIRE_POINTS_MAX, &report->point_count, &reporter->journal_end,
                                          &reporter->journal_more, error))
        return -1;
    if (reporter->has_result && !reporter->journal_more)
        reporter_compose_result(reporter, report);
    else if (report->point_count)
        report->kind = REPORT_POINTS;
    report->sequence = ++reporter->sequence;
    buffer_clear(&reporter->body);
    report_encode(report, &reporter->body);
    return buffer_check(&reporter->body, error, "a report");
}

/* ---- sending ---- */

typedef enum { SENT, SENT_STALE, SENT_REJECTED, SENT_FAILED } SendOutcome;

static SendOutcome reporter_classify(int result, int status) {
    if (!result)
        return SENT;
    if (result != WIRE_STATUS)
        return SENT_FAILED;
    if (status == 409 || status == 404)
        return SENT_STALE;
    bool passing = status >= 500 || status == 401 || status == 403 || status == 408 || status == 429;
    return passing ? SENT_FAILED : SENT_REJECTED;
}

static SendOutcome reporter_send(Reporter *reporter, ReportAnswer *answer, Error *error) {
    static const char *const routes[] = {[REPORT_HEARTBEAT] = "heartbeat", [REPORT_POINTS] = "points", [REPORT_RESULT] = "result"};
    char path[128];
    snprintf(path, sizeof path, "/v1/attempts/%lld/%s", (long long)reporter->lease->attempt_id, routes[reporter->report->kind]);
    int status = 0;
    buffer_clear(&reporter->answer);
    int result = http_client_call(reporter->client, path, reporter->body.data, reporter->body.size, REPORTER_CALL_SECONDS,
                                  &reporter->answer, &status, error);
    SendOutcome outcome = reporter_classify(result, status);
    if (outcome == SENT && report_answer_decode(answer, reporter->answer.data, reporter->answer.size, error))
        outcome = SENT_FAILED;
    return outcome;
}

/* ---- what an answer means; called with the lock held ---- */

static void reporter_end(Reporter *reporter, ReporterState state) {
    if (reporter->state != REPORTER_RUNNING)
        return;
    reporter->state = state;
    uint64_t one = 1;
    ssize_t ignored = write(reporter->descriptor, &one, sizeof one);
    (void)ignored;
}

static void reporter_accepted(Reporter *reporter, const ReportAnswer *answer) {
    Error error;
    if (reporter->repeated)
        log_write(LOG_INFO, "the daemon answers again after %d failed reports", reporter->repeated);
    reporter->repeated = 0;
    backoff_reset(&reporter->backoff);
    reporter->unanswered = false;
    reporter->next_due = clock_monotonic() + reporter->lease->heartbeat_seconds;
    if (reporter->report->point_count && journal_acknowledge(reporter->journal, reporter->journal_end, &error))
        log_write(LOG_WARNING, "%s", error.text);
    if (reporter->report->kind == REPORT_RESULT) {
        reporter_end(reporter, REPORTER_DELIVERED);
        return;
    }
    if (answer->directive > reporter->directive)
        reporter->directive = answer->directive;
    if (answer->directive == DIRECTIVE_DROP) {
        log_write(LOG_INFO, "the daemon wants this run dropped");
        reporter_end(reporter, REPORTER_DROPPED);
    }
}

static void reporter_failed(Reporter *reporter, const Error *error) {
    double wait = backoff_next(&reporter->backoff);
    if (!reporter->repeated++)
        log_write(LOG_WARNING, "a report is not delivered and will be sent again: %s", error->text);
    reporter->unanswered = true;
    reporter->next_due = clock_monotonic() + wait;
}

static void reporter_settle(Reporter *reporter, SendOutcome outcome, const ReportAnswer *answer, const Error *error) {
    switch (outcome) {
    case SENT:
        reporter_accepted(reporter, answer);
        break;
    case SENT_FAILED:
        reporter_failed(reporter, error);
        break;
    case SENT_STALE:
        log_write(LOG_WARNING, "the lease is no longer this worker's, the run is dropped: %s", error->text);
        reporter->directive = DIRECTIVE_DROP;
        reporter_end(reporter, REPORTER_DROPPED);
        break;
    case SENT_REJECTED:
        log_write(LOG_ERROR, "a report cannot be made or is not accepted: %s", error->text);
        reporter->directive = DIRECTIVE_DROP;
        reporter_end(reporter, REPORTER_REJECTED);
        break;
    }
}

/* ---- the thread ---- */

/* Seconds from now until something is to be sent; not positive: now. */
static double reporter_wait_seconds(const Reporter *reporter) {
    double due = reporter->next_due;
    if (!reporter->unanswered) {
        due = fmin(due, reporter->points_due);
        if (reporter->has_result)
            return 0;
    }
    return due - clock_monotonic();
}

static void reporter_sleep(Reporter *reporter, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&reporter->wake, &reporter->lock, &until);
}

/* One message, with the lock released while the network has it. */
static void reporter_exchange(Reporter *reporter) {
    Error error = {0};
    ReportAnswer answer = {0};
    if (!reporter->unanswered) {
        if (reporter_compose(reporter, &error)) {
            reporter_settle(reporter, SENT_REJECTED, &answer, &error);
            return;
        }
        reporter->points_due = reporter->journal_more ? 0 : INFINITY;
    }
    pthread_mutex_unlock(&reporter->lock);
    SendOutcome outcome = reporter_send(reporter, &answer, &error);
    pthread_mutex_lock(&reporter->lock);
    reporter_settle(reporter, outcome, &answer, &error);
}

static void *reporter_main(void *context) {
    Reporter *reporter = context;
    pthread_mutex_lock(&reporter->lock);
    while (!reporter->leaving && reporter->state == REPORTER_RUNNING) {
        double seconds = reporter_wait_seconds(reporter);
        if (seconds > 0)
            reporter_sleep(reporter, seconds);
        else
            reporter_exchange(reporter);
    }
    pthread_mutex_unlock(&reporter->lock);
    return NULL;
}

/* ---- from outside ---- */

static int reporter_start(Reporter *reporter, Error *error) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reporter->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&reporter->lock, NULL);
    int problem = pthread_create(&reporter->thread, NULL, reporter_main, reporter);
    if (!problem)
        return 0;
    pthread_mutex_destroy(&reporter->lock);
    pthread_cond_destroy(&reporter->wake);
    return error_set_errno(error, problem, "cannot start the reporting thread");
}

static void reporter_clear(Reporter *reporter) {
    if (reporter->descriptor >= 0)
        close(reporter->descriptor);
    buffer_deinit(&reporter->body);
    buffer_deinit(&reporter->answer);
    free(reporter->report);
    free(reporter);
}

int reporter_new(Reporter **out, HttpClient *client, const Lease *lease, Journal *journal, Error *error) {
    Reporter *reporter = calloc(1, sizeof *reporter);
    if (!reporter)
        return error_set(error, "out of memory");
    reporter->client = client;
    reporter->lease = lease;
    reporter->journal = journal;
    buffer_init(&reporter->body, WIRE_BODY_MAX);
    buffer_init(&reporter->answer, WIRE_BODY_MAX);
    double now = clock_monotonic();
    reporter->points_due = journal && !journal_is_empty(journal) ? now : INFINITY; /* what an earlier attempt left */
    reporter->next_due = now + lease->heartbeat_seconds;
    backoff_init(&reporter->backoff, 0.2, fmin(REPORTER_CAP_SECONDS, fmax(0.5, 2 * lease->heartbeat_seconds)),
                 (uint64_t)getpid() ^ (uint64_t)(clock_unix() * 1e6));
    reporter->report = calloc(1, sizeof *reporter->report);
    reporter->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!reporter->report || reporter->descriptor < 0) {
        error_set(error, "out of memory or descriptors");
        goto fail;
    }
    if (reporter_start(reporter, error))
        goto fail;
    *out = reporter;
    return 0;
fail:
    reporter_clear(reporter);
    return -1;
}

void reporter_free(Reporter *reporter) {
    if (!reporter)
        return;
    pthread_mutex_lock(&reporter->lock);
    reporter->leaving = true;
    pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
    pthread_join(reporter->thread, NULL);
    pthread_mutex_destroy(&reporter->lock);
    pthread_cond_destroy(&reporter->wake);
    reporter_clear(reporter);
}

void reporter_progress(Reporter *reporter, double step, double flops) {
    pthread_mutex_lock(&reporter->lock);
    reporter->step = step;
    reporter->flops = flops;
    pthread_mutex_unlock(&reporter->lock);
}

void reporter_point(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    reporter->points_due = fmin(reporter->points_due, clock_monotonic() + REPORTER_LINGER_SECONDS);
    pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
}

Directive reporter_directive(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    Directive directive = reporter->directive;
    pthread_mutex_unlock(&reporter->lock);
    return directive;
}

void reporter_result(Reporter *reporter, Outcome outcome, RunState state, const char *detail, const Environment *environment) {
    pthread_mutex_lock(&reporter->lock);
    reporter->result.outcome = outcome;
    reporter->result.state = state;
    reporter->result.environment = *environment;
    text_copy(reporter->result.detail, sizeof reporter->result.detail, detail);
    reporter->has_result = true;
    pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
}

int reporter_descriptor(const Reporter *reporter) {
    return reporter->descriptor;
}

ReporterState reporter_state(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    ReporterState state = reporter->state;
    pthread_mutex_unlock(&reporter->lock);
    return state;
}

void reporter_abandon(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    reporter_end(reporter, REPORTER_ABANDONED);
    pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
}
