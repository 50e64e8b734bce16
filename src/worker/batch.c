/* The leases of one answer, one after the other. How many to ask for is found by trying: more while a batch takes next to no time, so that
 * runs that are over in microseconds do not pay a message each; one as soon as it takes longer, so that no other worker waits for what lies
 * here.
 */
#include "worker.h"

#include <math.h>

static const double BATCH_SHORT_SECONDS = 0.125; /* twice as many may be had */
static const double BATCH_LONG_SECONDS = 0.5;
static const double BATCH_RELEASE_SECONDS = 8;         /* to hand leases back before leaving */
static const double BATCH_DELIVER_SECONDS = 24 * 3600; /* for a result, before the worker gives up */
static const double BATCH_LATE_SECONDS = 2;

void batch_deliver(Reporter *reporter, ReporterState (*state)(Reporter *), bool leave, void (*late)(void *context), void *context) {
    double begun = clock_monotonic();
    double end = begun + (leave ? BATCH_RELEASE_SECONDS : BATCH_DELIVER_SECONDS);
    bool stopping = false;
    while (state(reporter) == REPORTER_RUNNING) {
        double now = clock_monotonic();
        if (stop_requested() && !stopping) {
            stopping = true;
            end = fmin(end, now + BATCH_RELEASE_SECONDS);
        }
        if (late && now >= begun + BATCH_LATE_SECONDS) {
            late(context);
            late = NULL;
        }
        if (now >= end)
            reporter_abandon(reporter);
        else
            reporter_wait(reporter, fmin(1, end - now));
    }
}

static size_t batch_next_max(const LeaseAnswer *leases, double seconds, bool handed_back, size_t runs_max) {
    if (handed_back || seconds > BATCH_LONG_SECONDS)
        return 1;
    if (seconds > BATCH_SHORT_SECONDS || leases->count < runs_max)
        return runs_max;
    return runs_max < WIRE_LEASES_MAX / 2 ? 2 * runs_max : WIRE_LEASES_MAX;
}

static bool batch_is_to_leave(Reporter *reporter) {
    return stop_requested() || reporter_directive(reporter) == DIRECTIVE_STOP;
}

int batch_run(const WorkerSettings *settings, HttpClient *client, const LeaseAnswer *leases, size_t *runs_max, Error *error) {
    Reporter *reporter;
    const Lease *lease;
    int result = 0;
    if (reporter_new(&reporter, client, leases, error))
        return -1;
    double begun = clock_monotonic();
    while (!result && !batch_is_to_leave(reporter) && (lease = reporter_next(reporter)))
        result = attempt_run(settings, reporter, lease, leases->directory, error);
    double seconds = clock_monotonic() - begun;
    *runs_max = batch_next_max(leases, seconds, reporter_handed_back(reporter), *runs_max);
    reporter_release(reporter);
    batch_deliver(reporter, reporter_state_of_all, result || batch_is_to_leave(reporter), NULL, NULL);
    ReporterState state = reporter_state_of_all(reporter);
    if (!result && state == REPORTER_REJECTED)
        result = error_set(error, "the daemon and this worker do not understand each other; see the log");
    else if (!result && batch_is_to_leave(reporter))
        result = ATTEMPT_LEAVE;
    else if (!result && state == REPORTER_ABANDONED)
        result = error_set(error, "results could not be delivered");
    reporter_free(reporter);
    return result;
}
