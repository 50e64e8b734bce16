/* A message of the reporter: what it says of every lease that is not over, how it is sent, and what its answer means. */
#include "reporter.h"

#include <math.h>
#include <string.h>

static const double REPORTER_CALL_SECONDS = 30;    /* for one request */
enum { REPORTER_MESSAGE_MAX = WIRE_BODY_MAX / 2 }; /* bytes after which a message takes no other report */

/* ---- composing; called with the lock held ---- */

static void compose_entry(Reporter *reporter, Entry *entry) {
    Report *report = reporter->report;
    *report = (Report){.kind = REPORT_HEARTBEAT, .attempt_id = entry->lease->attempt_id, .step = entry->step, .flops = entry->flops};
    text_copy(report->token, sizeof report->token, entry->lease->token);
    report->sequence = ++entry->sequence;
    report->point_count = entry->points.count < WIRE_POINTS_MAX ? entry->points.count : WIRE_POINTS_MAX;
    if (report->point_count)
        memcpy(report->points, entry->points.points, report->point_count * sizeof *report->points);
    bool ends = entry->stage == ENTRY_ENDED && entry->points.count <= WIRE_POINTS_MAX;
    if (ends) {
        report->kind = REPORT_RESULT;
        report->outcome = entry->outcome;
        report->state = entry->run_state;
        report->environment = entry->environment;
        text_copy(report->detail, sizeof report->detail, entry->detail);
    } else if (report->point_count) {
        report->kind = REPORT_POINTS;
    }
    reporter->said[reporter->said_count++] = (Said){entry, report->kind, report->point_count};
    reports_add(report, &reporter->body);
}

static int reporter_compose(Reporter *reporter, Error *error) {
    reporter->said_count = 0;
    buffer_clear(&reporter->body);
    reports_begin(&reporter->body);
    for (size_t i = 0; i < reporter->count && reporter->body.size < REPORTER_MESSAGE_MAX; i++)
        if (reporter->entries[i].stage != ENTRY_OVER)
            compose_entry(reporter, &reporter->entries[i]);
    reports_end(&reporter->body);
    return buffer_check(&reporter->body, error, "a message");
}

/* ---- sending ---- */

typedef enum { SENT, SENT_REJECTED, SENT_FAILED } SendOutcome;

static SendOutcome reporter_classify(int result, int status) {
    if (!result)
        return SENT;
    bool passing = status >= 500 || status == 401 || status == 403 || status == 408 || status == 429;
    return result != WIRE_STATUS || passing ? SENT_FAILED : SENT_REJECTED;
}

static SendOutcome reporter_send(Reporter *reporter, Error *error) {
    int status = 0;
    buffer_clear(&reporter->answer);
    int result = http_client_call(reporter->client, "/v1/reports", reporter->body.data, reporter->body.size, REPORTER_CALL_SECONDS,
                                  &reporter->answer, &status, error);
    SendOutcome outcome = reporter_classify(result, status);
    if (outcome != SENT)
        return outcome;
    if (report_answers_decode(reporter->answers, reporter->answer.data, reporter->answer.size, error))
        return SENT_FAILED;
    if (reporter->answers->count == reporter->said_count)
        return SENT;
    error_set(error, "%zu answers to %zu reports", reporter->answers->count, reporter->said_count);
    return SENT_REJECTED;
}

/* ---- what an answer means; called with the lock held ---- */

static void reporter_rejected(Reporter *reporter, const char *text) {
    log_write(LOG_ERROR, "a report cannot be made or is not accepted: %s", text);
    for (size_t i = 0; i < reporter->count; i++)
        reporter->entries[i].directive = DIRECTIVE_DROP;
    reporter_end(reporter, REPORTER_REJECTED);
}

static void settle_accepted(Reporter *reporter, const Said *said, const ReportAnswer *answer) {
    Entry *entry = said->entry;
    points_drop(&entry->points, said->points);
    entry->acknowledged += said->points;
    if (said->kind == REPORT_RESULT) {
        reporter_entry_over(reporter, entry, REPORTER_DELIVERED);
    } else if (answer->directive == DIRECTIVE_DROP) {
        log_write(LOG_INFO, "the daemon wants run %.12s dropped", entry->lease->key);
        reporter_entry_over(reporter, entry, REPORTER_DROPPED);
    } else if (answer->directive == DIRECTIVE_STOP) {
        reporter->stop = true;
    }
}

static void settle_one(Reporter *reporter, const Said *said, const ReportAnswer *answer) {
    if (said->entry->stage == ENTRY_OVER)
        return;
    if (answer->status == 200) {
        settle_accepted(reporter, said, answer);
    } else if (answer->status == 404 || answer->status == 409) {
        log_write(LOG_WARNING, "the lease of run %.12s is no longer this worker's, the run is dropped: %s", said->entry->lease->key,
                  answer->message);
        reporter_entry_over(reporter, said->entry, REPORTER_DROPPED);
    } else {
        reporter_rejected(reporter, answer->message);
    }
}

/* When what is left is due. */
static void reporter_schedule(Reporter *reporter) {
    double now = clock_monotonic();
    bool all = reporter->said_count == WIRE_REPORTS_MAX || reporter->body.size < REPORTER_MESSAGE_MAX;
    reporter->results_due = reporter->points_due = INFINITY;
    reporter->next_due = now + (all ? reporter->heartbeat_seconds : 0);
    for (size_t i = 0; i < reporter->count; i++) {
        const Entry *entry = &reporter->entries[i];
        if (entry->stage == ENTRY_ENDED)
            reporter->results_due = now + REPORTER_RESULT_SECONDS;
        else if (entry->points.count)
            reporter->points_due = now + (entry->points.count < WIRE_POINTS_MAX ? REPORTER_POINT_SECONDS : 0);
    }
}

static void reporter_accepted(Reporter *reporter) {
    if (reporter->repeated)
        log_write(LOG_INFO, "the daemon answers again after %d failed reports", reporter->repeated);
    reporter->repeated = 0;
    backoff_reset(&reporter->backoff);
    reporter->unanswered = false;
    for (size_t i = 0; i < reporter->said_count && reporter->state == REPORTER_RUNNING; i++)
        settle_one(reporter, &reporter->said[i], &reporter->answers->answers[i]);
    reporter_schedule(reporter);
}

static void reporter_failed(Reporter *reporter, const Error *error) {
    double wait = backoff_next(&reporter->backoff);
    if (!reporter->repeated++)
        log_write(LOG_WARNING, "a report is not delivered and will be sent again: %s", error->text);
    reporter->unanswered = true;
    reporter->next_due = clock_monotonic() + wait;
}

static void reporter_settle(Reporter *reporter, SendOutcome outcome, const Error *error) {
    switch (outcome) {
    case SENT:
        reporter_accepted(reporter);
        break;
    case SENT_FAILED:
        reporter_failed(reporter, error);
        break;
    case SENT_REJECTED:
        reporter_rejected(reporter, error->text);
        break;
    }
}

/* ---- all of it ---- */

void reporter_exchange(Reporter *reporter) {
    Error error = {0};
    if (!reporter->unanswered && reporter_compose(reporter, &error)) {
        reporter_settle(reporter, SENT_REJECTED, &error);
        return;
    }
    pthread_mutex_unlock(&reporter->lock);
    SendOutcome outcome = reporter_send(reporter, &error);
    pthread_mutex_lock(&reporter->lock);
    reporter_settle(reporter, outcome, &error);
}
