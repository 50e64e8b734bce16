/* The reporter is a thread that lives as long as a batch of leases. It sends one message at a time, with a report of every lease that is
 * not over, and keeps that message until the daemon has answered it; so a message whose answer was lost is sent again as it was, and the
 * daemon can tell.
 *
 * What is due when: an unanswered message after its backoff; else results, at once when nothing is left to be trained and a short while
 * after the first of them otherwise, so that small runs share a message; else points, a while after the first of them, so that a run that
 * is over in a second costs one message and not ten; else heartbeats, an interval after the last message. Points of any kind go before
 * their run's result: the result takes the last of them with it.
 *
 * Leases that wait for the one that is being trained are meant for runs that are over in no time. Those that still wait after a while are
 * handed back, so that another worker can have them: several are leased on the strength of how long the runs before them took, and these
 * turned out to be slower. */
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double REPORTER_POINT_SECONDS = 0.5;   /* points wait this long for company */
static const double REPORTER_RESULT_SECONDS = 0.2;  /* so do results */
static const double REPORTER_WAITING_SECONDS = 0.5; /* and so long leases for their turn */
static const double REPORTER_CALL_SECONDS = 30;     /* for one request */
static const double REPORTER_CAP_SECONDS = 10;      /* of the backoff */
enum { REPORTER_MESSAGE_MAX = WIRE_BODY_MAX / 2 };  /* bytes after which a message takes no other report */

typedef enum { ENTRY_WAITING, ENTRY_TRAINING, ENTRY_ENDED, ENTRY_OVER } EntryStage;

typedef struct Entry {
    const Lease *lease;
    EntryStage stage;
    ReporterState state;
    Directive directive;
    double step, flops;
    PointList points; /* that are not acknowledged */
    int64_t sequence;
    Outcome outcome; /* of one that has ended; as the next three */
    RunState run_state;
    Environment environment;
    char detail[RECORD_TEXT_MAX];
} Entry;

/* What the message under way says of one entry. */
typedef struct Said {
    Entry *entry;
    ReportKind kind;
    size_t points;
} Said;

struct Reporter {
    HttpClient *client;
    double heartbeat_seconds;
    pthread_t thread;
    int descriptor; /* eventfd, written when one of the states changes */

    pthread_mutex_t lock; /* guards all that follows up to the reporter's own */
    pthread_cond_t wake;
    Entry *entries;
    size_t count, next;  /* entries from `next` on have not been begun */
    Entry *current;      /* the last one begun; NULL before */
    ReporterState state; /* of all of them: REPORTER_RUNNING; DELIVERED when each is over; REJECTED, ABANDONED */
    bool stop;           /* the daemon wants its workers to leave */
    bool handed_back;
    bool leaving;                   /* reporter_free was called */
    double results_due, points_due; /* INFINITY: there are none */
    double next_due;                /* of heartbeats, or of the unanswered message */
    double waiting_due;             /* when those that wait are handed back */

    /* the reporter thread's own */
    Report *report;
    ReportAnswers *answers;
    Buffer body, answer;
    bool unanswered; /* body is to be sent again */
    Said *said;
    size_t said_count;
    int repeated; /* failures of the same kind are logged once */
    Backoff backoff;
};

/* ---- ends; called with the lock held ---- */

static void reporter_end(Reporter *reporter, ReporterState state) {
    if (reporter->state != REPORTER_RUNNING)
        return;
    reporter->state = state;
    uint64_t one = 1;
    ssize_t ignored = write(reporter->descriptor, &one, sizeof one);
    (void)ignored;
}

static void reporter_look_for_end(Reporter *reporter) {
    for (size_t i = 0; i < reporter->count; i++)
        if (reporter->entries[i].stage != ENTRY_OVER)
            return;
    reporter_end(reporter, REPORTER_DELIVERED);
}

static void entry_over(Reporter *reporter, Entry *entry, ReporterState state) {
    if (entry->stage == ENTRY_OVER)
        return;
    entry->stage = ENTRY_OVER;
    entry->state = state;
    points_deinit(&entry->points);
    if (state == REPORTER_DROPPED)
        entry->directive = DIRECTIVE_DROP;
    uint64_t one = 1;
    ssize_t ignored = write(reporter->descriptor, &one, sizeof one);
    (void)ignored;
    reporter_look_for_end(reporter);
}

static void entry_ended(Reporter *reporter, Entry *entry, Outcome outcome, RunState state, const char *detail,
                        const Environment *environment) {
    if (entry->stage == ENTRY_OVER)
        return;
    entry->stage = ENTRY_ENDED;
    entry->outcome = outcome;
    entry->run_state = state;
    entry->environment = *environment;
    text_copy(entry->detail, sizeof entry->detail, detail);
    reporter->results_due = fmin(reporter->results_due, clock_monotonic() + REPORTER_RESULT_SECONDS);
}

static void reporter_hand_back(Reporter *reporter) {
    const Environment nothing_new = {0};
    reporter->waiting_due = INFINITY;
    for (; reporter->next < reporter->count; reporter->next++) {
        Entry *entry = &reporter->entries[reporter->next];
        reporter->handed_back = true;
        entry_ended(reporter, entry, OUTCOME_PREEMPTED, RUN_PENDING, "handed back before it was begun", &nothing_new);
    }
}

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
    if (said->kind == REPORT_RESULT) {
        entry_over(reporter, entry, REPORTER_DELIVERED);
    } else if (answer->directive == DIRECTIVE_DROP) {
        log_write(LOG_INFO, "the daemon wants run %.12s dropped", entry->lease->key);
        entry_over(reporter, entry, REPORTER_DROPPED);
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
        entry_over(reporter, said->entry, REPORTER_DROPPED);
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

/* ---- the thread ---- */

static bool reporter_is_training(const Reporter *reporter) {
    return reporter->next < reporter->count || (reporter->current && reporter->current->stage == ENTRY_TRAINING);
}

/* Seconds from now until something is to be done; not positive: now. */
static double reporter_wait_seconds(const Reporter *reporter) {
    double due = reporter->next_due;
    if (!reporter->unanswered) {
        due = fmin(due, reporter->points_due);
        if (isfinite(reporter->results_due) && !reporter_is_training(reporter))
            return 0;
        due = fmin(due, reporter->results_due);
    }
    return fmin(due, reporter->waiting_due) - clock_monotonic();
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
    if (!reporter->unanswered && reporter_compose(reporter, &error)) {
        reporter_settle(reporter, SENT_REJECTED, &error);
        return;
    }
    pthread_mutex_unlock(&reporter->lock);
    SendOutcome outcome = reporter_send(reporter, &error);
    pthread_mutex_lock(&reporter->lock);
    reporter_settle(reporter, outcome, &error);
}

static void *reporter_main(void *context) {
    cores_free_thread(); /* it has its own pace, and little to do */
    Reporter *reporter = context;
    pthread_mutex_lock(&reporter->lock);
    while (!reporter->leaving && reporter->state == REPORTER_RUNNING) {
        double seconds = reporter_wait_seconds(reporter);
        if (seconds > 0)
            reporter_sleep(reporter, seconds);
        else if (clock_monotonic() >= reporter->waiting_due)
            reporter_hand_back(reporter);
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
    for (size_t i = 0; reporter->entries && i < reporter->count; i++)
        points_deinit(&reporter->entries[i].points);
    buffer_deinit(&reporter->body);
    buffer_deinit(&reporter->answer);
    free(reporter->entries);
    free(reporter->said);
    free(reporter->report);
    free(reporter->answers);
    free(reporter);
}

static void reporter_init(Reporter *reporter, HttpClient *client, const LeaseAnswer *leases) {
    double now = clock_monotonic();
    *reporter = (Reporter){.client = client,
                           .heartbeat_seconds = leases->heartbeat_seconds,
                           .count = leases->count,
                           .results_due = INFINITY,
                           .points_due = INFINITY,
                           .next_due = now + leases->heartbeat_seconds,
                           .waiting_due = now + REPORTER_WAITING_SECONDS};
    buffer_init(&reporter->body, WIRE_BODY_MAX);
    buffer_init(&reporter->answer, WIRE_BODY_MAX);
    backoff_init(&reporter->backoff, 0.2, fmin(REPORTER_CAP_SECONDS, fmax(0.5, 2 * leases->heartbeat_seconds)),
                 (uint64_t)getpid() ^ (uint64_t)(clock_unix() * 1e6));
    reporter->entries = calloc(leases->count, sizeof *reporter->entries);
    reporter->said = calloc(leases->count, sizeof *reporter->said);
    reporter->report = calloc(1, sizeof *reporter->report);
    reporter->answers = calloc(1, sizeof *reporter->answers);
    reporter->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; reporter->entries && i < leases->count; i++)
        reporter->entries[i].lease = &leases->leases[i];
}

int reporter_new(Reporter **out, HttpClient *client, const LeaseAnswer *leases, Error *error) {
    Reporter *reporter = calloc(1, sizeof *reporter);
    if (!reporter)
        return error_set_memory(error, "out of memory");
    reporter_init(reporter, client, leases);
    bool complete = reporter->entries && reporter->said && reporter->report && reporter->answers && reporter->descriptor >= 0;
    if (!complete || reporter_start(reporter, error)) {
        if (!complete)
            error_set_memory(error, "out of memory or descriptors");
        reporter_clear(reporter);
        return -1;
    }
    *out = reporter;
    return 0;
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

const Lease *reporter_next(Reporter *reporter) {
    const Lease *lease = NULL;
    pthread_mutex_lock(&reporter->lock);
    while (!lease && reporter->next < reporter->count && reporter->state == REPORTER_RUNNING) {
        Entry *entry = &reporter->entries[reporter->next++];
        if (entry->stage != ENTRY_WAITING) /* dropped before its turn came */
            continue;
        entry->stage = ENTRY_TRAINING;
        reporter->current = entry;
        lease = entry->lease;
    }
    if (reporter->next == reporter->count)
        reporter->waiting_due = INFINITY;
    pthread_mutex_unlock(&reporter->lock);
    return lease;
}

void reporter_release(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    reporter_hand_back(reporter);
    pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
}

bool reporter_handed_back(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    bool handed_back = reporter->handed_back;
    pthread_mutex_unlock(&reporter->lock);
    return handed_back;
}

void reporter_progress(Reporter *reporter, double step, double flops) {
    pthread_mutex_lock(&reporter->lock);
    reporter->current->step = step;
    reporter->current->flops = flops;
    pthread_mutex_unlock(&reporter->lock);
}

int reporter_point(Reporter *reporter, const Point *point, Error *error) {
    pthread_mutex_lock(&reporter->lock);
    Entry *entry = reporter->current;
    int result = entry->stage == ENTRY_OVER ? 0 : points_append(&entry->points, point, error);
    double due = clock_monotonic() + REPORTER_POINT_SECONDS;
    if (due < reporter->points_due) {
        reporter->points_due = due;
        pthread_cond_signal(&reporter->wake);
    }
    pthread_mutex_unlock(&reporter->lock);
    return result;
}

int reporter_format_points(Reporter *reporter, Buffer *out, Error *error) {
    pthread_mutex_lock(&reporter->lock);
    int result = points_format(&reporter->current->points, out, error);
    pthread_mutex_unlock(&reporter->lock);
    return result;
}

Directive reporter_directive(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    Directive directive = reporter->current ? reporter->current->directive : DIRECTIVE_CONTINUE;
    if (directive == DIRECTIVE_CONTINUE && reporter->stop)
        directive = DIRECTIVE_STOP;
    pthread_mutex_unlock(&reporter->lock);
    return directive;
}

void reporter_result(Reporter *reporter, Outcome outcome, RunState state, const char *detail, const Environment *environment) {
    pthread_mutex_lock(&reporter->lock);
    entry_ended(reporter, reporter->current, outcome, state, detail, environment);
    if (!reporter_is_training(reporter))
        pthread_cond_signal(&reporter->wake);
    pthread_mutex_unlock(&reporter->lock);
}

/* What was written to the descriptor says only that it is worth looking again. */
void reporter_wait(Reporter *reporter, double seconds) {
    uint64_t written;
    stop_wait(reporter->descriptor, seconds);
    ssize_t ignored = read(reporter->descriptor, &written, sizeof written);
    (void)ignored;
}

ReporterState reporter_state(Reporter *reporter) {
    pthread_mutex_lock(&reporter->lock);
    ReporterState state = reporter->state;
    if ((state == REPORTER_RUNNING || state == REPORTER_DELIVERED) && reporter->current)
        state = reporter->current->state;
    pthread_mutex_unlock(&reporter->lock);
    return state;
}

ReporterState reporter_state_of_all(Reporter *reporter) {
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
