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
#include "reporter.h"

#include <math.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double REPORTER_WAITING_SECONDS = 0.5; /* and so long leases for their turn */
static const double REPORTER_CAP_SECONDS = 10;      /* of the backoff */

/* ---- ends; called with the lock held ---- */

void reporter_end(Reporter *reporter, ReporterState state) {
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

void reporter_entry_over(Reporter *reporter, Entry *entry, ReporterState state) {
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

int reporter_format_points(Reporter *reporter, size_t *kept, bool *append, Buffer *out, Error *error) {
    pthread_mutex_lock(&reporter->lock);
    const Entry *entry = reporter->current;
    *append = *kept > entry->acknowledged;
    int result = points_format(&entry->points, *append ? *kept - entry->acknowledged : 0, out, error);
    *kept = entry->acknowledged + entry->points.count;
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
