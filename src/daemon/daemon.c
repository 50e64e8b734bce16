/* One thread, one loop. A sync of the disk is dear, so the writes of one turn of the loop share a transaction: the first of them opens a
 * batch and makes `commit` active, which libevent runs after the turn's other callbacks. The answers of the turn are held back until
 * then. When a commit fails (the disk is full), they become errors, nothing was changed, and workers report again later.
 *
 * To stop, the daemon drains: it grants no lease, tells workers to checkpoint, serves their last reports, and leaves when its own have
 * ended or have used up their time. Workers that remain lose nothing; they journal and report to the next daemon. */

#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DRAIN_SECONDS = 20,
    IDLE_SECONDS = 10,
    STALL_SECONDS = 3,
    PROBLEM_SECONDS = 60,
    HEADER_MAX = 16384,
    REQUEST_SECONDS = 30,
    CONNECTIONS_MAX = 512
};

static const struct timeval turn_interval = {.tv_sec = 1};

/* ---- the loop's turns ---- */

/* The next turn tries again. */
void daemon_complain(Daemon *daemon, const Error *error) {
    log_write(LOG_ERROR, "%s", error->text);
    text_copy(daemon->problem, sizeof daemon->problem, error->text);
    daemon->problem_at = clock_monotonic();
}

/* A commit that went well says little: it may have had nothing to write. So a failure is told until none has come for a while. */
const char *daemon_problem(const Daemon *daemon) {
    if (daemon->fleet.problem[0] != '\0')
        return daemon->fleet.problem;
    return clock_monotonic() - daemon->problem_at < PROBLEM_SECONDS ? daemon->problem : "";
}

static void look_after_fleet(Daemon *daemon) {
    Error error = {0};
    if (fleet_supply(daemon, &error) != 0)
        daemon_complain(daemon, &error);
    if (daemon->draining && daemon->fleet.count == 0 && orphans_leaving(daemon) == 0) {
        struct timeval last_answers = {.tv_usec = 100000};
        event_base_loopexit(daemon->base, &last_answers);
    }
}

int daemon_batch(Daemon *daemon, Error *error) {
    if (daemon->batch_open)
        return 0;
    if (store_batch_begin(daemon->store, error) != 0)
        return -1;
    daemon->batch_open = true;
    event_active(daemon->commit, EV_TIMEOUT, 0);
    return 0;
}

void daemon_commit(Daemon *daemon) {
    Error error = {0};
    if (!daemon->batch_open)
        return;
    daemon->batch_open = false;
    bool kept = store_batch_end(daemon->store, &error) == 0;
    if (!kept)
        daemon_complain(daemon, &error);
    http_server_settle(daemon->server, kept);
}

static void on_commit(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    Daemon *daemon = context;
    daemon_commit(daemon);
    if (daemon->supply || daemon->draining)
        look_after_fleet(daemon);
}

/* After a suspend, a stop or a step of the clock the workers' reports wait to be read, and leases that ran out meanwhile have not been
 * left. The monotonic clock would not show a suspend. */
static void expire_leases(Daemon *daemon) {
    Error error = {0};
    double now = clock_unix(), gap = now - daemon->turn_at;
    bool stalled = daemon->turn_at > 0 && (gap > STALL_SECONDS || gap < 0);
    daemon->turn_at = now;
    if (stalled)
        log_write(LOG_WARNING, "%.1f s have passed between two turns; every lease begins anew", gap);
    if ((stalled ? queue_extend(daemon->queue, now, &error) : queue_expire(daemon->queue, now, &error)) < 0)
        daemon_complain(daemon, &error);
}

/* Runs that no machine has room for do not keep it: they stay pending for the next daemon. */
static void leave_if_idle(Daemon *daemon) {
    Error error = {0};
    int64_t pending = 0, running = 0;
    bool can_go_on = true;
    if (!daemon->leave_when_idle || daemon->draining || clock_monotonic() - daemon->heard_at < IDLE_SECONDS)
        return;
    if (store_pending_count(daemon->store, 1, &pending, &running, &error) != 0 || queue_can_go_on(daemon->queue, &can_go_on, &error) != 0)
        daemon_complain(daemon, &error);
    else if (running == 0 && (pending == 0 || !can_go_on))
        daemon_drain(daemon, "the last run");
}

static void on_timer(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    Daemon *daemon = context;
    Error error = {0};
    expire_leases(daemon);
    if (fleet_reap(daemon, &error) != 0)
        daemon_complain(daemon, &error);
    if (daemon->options.leave_with && getppid() != daemon->options.leave_with)
        daemon->leave_when_idle = true;
    leave_if_idle(daemon);
    look_after_fleet(daemon);
}

static void on_child(evutil_socket_t number, short events, void *context) {
    (void)number;
    (void)events;
    Daemon *daemon = context;
    Error error = {0};
    if (fleet_reap(daemon, &error) != 0)
        daemon_complain(daemon, &error);
    look_after_fleet(daemon);
}

/* ---- stopping ---- */

static void on_patience(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    Daemon *daemon = context;
    log_write(LOG_WARNING, "%zu workers have not left within %d s; they go on and report to the next daemon",
              daemon->fleet.count + daemon->fleet.leaving_count, DRAIN_SECONDS);
    event_base_loopexit(daemon->base, NULL);
}

void daemon_drain(Daemon *daemon, const char *reason) {
    if (daemon->draining)
        return;
    Error error = {0};
    struct timeval patience = {.tv_sec = DRAIN_SECONDS};
    log_write(LOG_INFO, "stopping after %s", reason);
    daemon->draining = true;
    queue_drain(daemon->queue);
    fleet_stop(&daemon->fleet);
    if (orphans_stop(daemon, &error) != 0)
        daemon_complain(daemon, &error);
    event_add(daemon->patience, &patience);
}

static void on_stop(evutil_socket_t number, short events, void *context) {
    (void)events;
    Daemon *daemon = context;
    if (daemon->draining) {
        daemon->second_signal = true;
        event_base_loopbreak(daemon->base);
        return;
    }
    daemon_drain(daemon, strsignal((int)number));
    look_after_fleet(daemon);
}

/* ---- wiring ---- */

static int make_events(Daemon *daemon, Error *error) {
    struct event_base *base = daemon->base;
    daemon->timer = event_new(base, -1, EV_PERSIST, on_timer, daemon);
    daemon->child = evsignal_new(base, SIGCHLD, on_child, daemon);
    daemon->terminate = evsignal_new(base, SIGTERM, on_stop, daemon);
    daemon->interrupt = evsignal_new(base, SIGINT, on_stop, daemon);
    daemon->hangup = evsignal_new(base, SIGHUP, on_stop, daemon);
    daemon->commit = event_new(base, -1, 0, on_commit, daemon);
    daemon->patience = event_new(base, -1, 0, on_patience, daemon);
    struct event *const added[] = {daemon->child, daemon->terminate, daemon->interrupt, daemon->hangup};
    if (daemon->timer == NULL || daemon->commit == NULL || daemon->patience == NULL || event_add(daemon->timer, &turn_interval) != 0)
        return error_set(error, "the event loop cannot be set up");
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
        if (added[i] == NULL || event_add(added[i], NULL) != 0)
            return error_set(error, "signals cannot be watched");
    return 0;
}

static int start_server(Daemon *daemon, Error *error) {
    HttpLimits limits = {HEADER_MAX, WIRE_BODY_MAX, REQUEST_SECONDS, CONNECTIONS_MAX};
    const DaemonOptions *options = &daemon->options;
    if (http_server_new(&daemon->server, daemon->base, &limits, routes_handle, daemon, error) != 0)
        return -1;
    if (http_server_listen_unix(daemon->server, daemon->socket_path, error) != 0)
        return -1;
    if (options->address[0] == '\0')
        return 0;
    return http_server_listen_tcp(daemon->server, options->address, options->port, options->token, error);
}

static int write_pid(Daemon *daemon, Error *error) {
    char text[32];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return file_write_atomic(daemon->pid_path, text, (size_t)size, 0644, error);
}

static int daemon_init(Daemon *daemon, Error *error) {
    const DaemonOptions *options = &daemon->options;
    daemon->started_at = clock_unix();
    machine_read(&daemon->machine);
    signal(SIGPIPE, SIG_IGN);
    if (directory_make(options->home, 0700, error) != 0 || wire_socket_path(options->home, daemon->socket_path, error) != 0 ||
        store_open(&daemon->store, options->home, STORE_WRITE, error) != 0 ||
        queue_new(&daemon->queue, daemon->store, &options->queue, daemon->started_at, error) != 0 ||
        fleet_init(&daemon->fleet, options, daemon->socket_path, error) != 0)
        return -1;
    daemon->base = event_base_new();
    if (daemon->base == NULL)
        return error_set(error, "the event loop cannot be set up");
    if (make_events(daemon, error) != 0 || start_server(daemon, error) != 0)
        return -1;
    /* Only the holder of the store's lock comes here, so the file is this daemon's to write and to remove. */
    if (path_format(daemon->pid_path, error, "%s/sweepd.pid", options->home) != 0)
        return -1;
    return write_pid(daemon, error);
}

int daemon_new(Daemon **out, const DaemonOptions *options, Error *error) {
    Daemon *daemon = calloc(1, sizeof *daemon);
    if (daemon == NULL)
        return error_set_memory(error, "out of memory");
    daemon->options = *options;
    if (daemon_init(daemon, error) != 0) {
        daemon_free(daemon);
        return -1;
    }
    *out = daemon;
    return 0;
}

void daemon_free(Daemon *daemon) {
    if (daemon == NULL)
        return;
    struct event *const events[] = {daemon->timer,  daemon->child,  daemon->terminate, daemon->interrupt,
                                    daemon->hangup, daemon->commit, daemon->patience};
    http_server_free(daemon->server);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (daemon->base != NULL)
        event_base_free(daemon->base);
    if (daemon->pid_path[0] != '\0')
        unlink(daemon->pid_path);
    fleet_deinit(&daemon->fleet);
    queue_free(daemon->queue);
    store_free(daemon->store);
    free(daemon);
}

int daemon_run(Daemon *daemon) {
    log_write(LOG_INFO, "sweepd %s (%s) serves %s with up to %d workers", version_text(), version_commit(), daemon->options.home,
              daemon->options.workers);
    if (daemon->options.token_path[0] != '\0')
        wire_token_warn(daemon->options.token_path);
    event_active(daemon->timer, EV_TIMEOUT, 0);
    int result = event_base_dispatch(daemon->base);
    if (result < 0)
        log_write(LOG_ERROR, "the event loop has failed");
    daemon_commit(daemon);
    log_write(LOG_INFO, "sweepd has stopped");
    return result < 0 || daemon->second_signal ? 1 : 0;
}
