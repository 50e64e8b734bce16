/* The local workers. The queue says how many more are worth starting; workers leave by themselves when there is nothing to do.
 *
 * A worker that ends before it ever asked for a lease did not work: the program is missing, is another one, or fails at once. Neither did
 * one that handed its lease back and failed, since the run's directory cannot be written. Starting it again and again would spin, so each
 * such end doubles a pause, and the reason stands in the daemon's status until a worker gets on: it asks a second time, leaves as it
 * should, or has worked for a while.
 *
 * Workers of an earlier daemon that was cut off go on and report here. They keep the leases they have, and while they do they take places,
 * so that the machine does not get twice the workers it was given; they get no other lease, so that in the end all workers are this
 * daemon's, with its settings. */

#include "daemon.h"

#include <string.h>

enum { PAUSE_MAX_SECONDS = 60, DOUBLINGS_MAX = 7, WORKING_SECONDS = 10 };

int fleet_init(Fleet *fleet, const DaemonOptions *options, const char *socket_path, Error *error) {
    char program[PATH_TEXT_MAX];
    fleet->capacity = (size_t)options->workers;
    fleet->orphans = true;
    if (options->workers == 0)
        return 0;
    if (path_format(fleet->log_path, error, "%s/workers.log", options->home) != 0)
        return -1;
    if (path_program("sweep-worker", program, error) != 0) {
        /* Workers elsewhere may still come; the status says why there are none here. */
        text_copy(fleet->problem, sizeof fleet->problem, error->text);
        log_write(LOG_ERROR, "%s", error->text);
        return 0;
    }
    ExecLocalSettings settings = {program, options->home, socket_path, options->threads, options->unpinned, fleet->log_path};
    return exec_local_new(&fleet->executor, &settings, error);
}

void fleet_deinit(Fleet *fleet) {
    exec_free(fleet->executor);
    fleet->executor = NULL;
}

static FleetWorker *fleet_find(Fleet *fleet, const char *name) {
    for (size_t i = 0; i < fleet->count; i++)
        if (strcmp(fleet->workers[i].name, name) == 0)
            return &fleet->workers[i];
    return NULL;
}

/* The way is clear. */
static void fleet_get_on(Fleet *fleet) {
    fleet->fruitless = 0;
    fleet->next_start = 0;
    fleet->problem[0] = '\0';
}

FleetKind fleet_heard(Fleet *fleet, const char *name) {
    FleetWorker *worker = fleet_find(fleet, name);
    if (worker == NULL)
        return strncmp(name, "local-", 6) == 0 ? FLEET_ORPHAN : FLEET_STRANGER;
    if (worker->asked_at > 0)
        fleet_get_on(fleet);
    else
        worker->asked_at = clock_monotonic();
    return FLEET_OWN;
}

static void fleet_pause(Fleet *fleet, const char *reason) {
    fleet->fruitless++;
    fleet->failed_at = clock_monotonic();
    int doublings = fleet->fruitless < DOUBLINGS_MAX ? fleet->fruitless : DOUBLINGS_MAX;
    double pause = 0.5 * (double)(1 << doublings);
    fleet->next_start = clock_monotonic() + (pause < PAUSE_MAX_SECONDS ? pause : PAUSE_MAX_SECONDS);
    text_copy(fleet->problem, sizeof fleet->problem, reason);
    log_write(LOG_ERROR, "%s; the next worker is started in %.0f s", reason, fleet->next_start - clock_monotonic());
}

/* A worker that asked before the last failure says nothing of what failed since. */
static void fleet_look(Fleet *fleet) {
    double now = clock_monotonic();
    for (size_t i = 0; fleet->fruitless > 0 && i < fleet->count; i++)
        if (fleet->workers[i].asked_at > fleet->failed_at && now - fleet->workers[i].asked_at > WORKING_SECONDS)
            fleet_get_on(fleet);
}

/* ---- start, end ---- */

static int fleet_start(Fleet *fleet, Error *error) {
    ExecWorker started;
    if (fleet->executor->interface->start(fleet->executor, &started, error) != 0)
        return -1;
    FleetWorker *worker = &fleet->workers[fleet->count++];
    *worker = (FleetWorker){.pid = started.pid};
    text_copy(worker->name, sizeof worker->name, started.name);
    return 0;
}

int fleet_supply(Daemon *daemon, Error *error) {
    Fleet *fleet = &daemon->fleet;
    size_t orphans, wanted;
    daemon->supply = false;
    fleet_look(fleet);
    if (fleet->executor == NULL || daemon->draining || clock_monotonic() < fleet->next_start)
        return 0;
    if (orphans_count(daemon, &orphans, error) != 0)
        return -1;
    if (queue_workers_wanted(daemon->queue, fleet->count + orphans, fleet->capacity, clock_unix(), &wanted, error) != 0)
        return -1;
    /* After a failure one is enough to find out. */
    if (fleet->fruitless > 0 && wanted > 1)
        wanted = fleet->count > 0 ? 0 : 1;
    for (; wanted > 0; wanted--) {
        Error problem = {0};
        if (fleet_start(fleet, &problem) != 0) {
            error_prefix(&problem, "a worker cannot be started");
            fleet_pause(fleet, problem.text);
            break;
        }
    }
    return 0;
}

/* Why the run's lease was handed back, when it was; else how the process ended. */
static void describe_failure(Daemon *daemon, const ExecWorker *ended, bool asked, char reason[ERROR_TEXT_MAX]) {
    AttemptRecord last;
    bool told = asked && store_attempt_latest_of_worker(daemon->store, ended->name, &last, NULL) == 0 &&
                last.outcome == OUTCOME_PREEMPTED && last.detail[0] != '\0';
    snprintf(reason, ERROR_TEXT_MAX, "workers %s (%s); see %.512s", asked ? "fail" : "end before they ask for a run",
             told ? last.detail : ended->detail, daemon->fleet.log_path);
}

static void forget_worker(Daemon *daemon, const ExecWorker *ended) {
    Fleet *fleet = &daemon->fleet;
    FleetWorker *worker = fleet_find(fleet, ended->name);
    if (ended->by_signal || ended->code != 0)
        log_write(LOG_WARNING, "worker %s ended: %s", ended->name, ended->detail);
    if (worker == NULL)
        return;
    bool asked = worker->asked_at > 0, failed = !asked || (!ended->by_signal && ended->code != 0);
    *worker = fleet->workers[--fleet->count];
    if (daemon->draining)
        return;
    if (failed) {
        char reason[ERROR_TEXT_MAX];
        describe_failure(daemon, ended, asked, reason);
        fleet_pause(fleet, reason);
    } else if (!ended->by_signal) {
        fleet_get_on(fleet);
    }
}

/* One that the queue cannot be told of does not hide the others: its lease runs out. */
static int reap_some(Daemon *daemon, const ExecWorker *ended, size_t count, Error *error) {
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        forget_worker(daemon, &ended[i]);
        if (queue_worker_ended(daemon->queue, &ended[i], clock_unix(), error) < 0)
            result = -1;
    }
    daemon->supply = daemon->supply || count > 0;
    return result;
}

int fleet_reap(Daemon *daemon, Error *error) {
    Executor *executor = daemon->fleet.executor;
    ExecWorker ended[16];
    size_t count = 0;
    int result = 0;
    do {
        if (executor != NULL && executor->interface->reap(executor, ended, sizeof ended / sizeof ended[0], &count, error) != 0)
            return -1;
        if (reap_some(daemon, ended, count, error) != 0)
            result = -1;
    } while (count == sizeof ended / sizeof ended[0]);
    return result;
}

void fleet_stop(Fleet *fleet) {
    if (fleet->executor != NULL)
        fleet->executor->interface->stop(fleet->executor);
}
