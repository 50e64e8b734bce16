/* daemon: sweepd's event loop, its routes, and the wiring of store, queue, server and executor. One thread does everything. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/exec.h"
#include "sweepd/queue.h"
#include "sweepd/store.h"
#include "sweepd/wire.h"

#include <event2/event.h>

/* ---- options ---- */

enum { OPTIONS_EXIT = 1, OPTIONS_USAGE = 2 };

typedef struct DaemonOptions {
    char home[PATH_TEXT_MAX];
    int workers;       /* local ones at most; 0: none are started */
    int threads;       /* per worker; 0: as many for each run as end its sweep soonest */
    bool unpinned;     /* its workers do not tie their runs to cores */
    char address[256]; /* of TCP; "" when there is none */
    int port;
    char token[WIRE_TOKEN_MAX];
    char token_path[PATH_TEXT_MAX]; /* "": there is no token */
    QueueSettings queue;
    char log_path[PATH_TEXT_MAX]; /* "": standard error */
    bool detach;
    pid_t leave_with; /* the parent with whose end the daemon leaves when it is idle; 0: none */
} DaemonOptions;

/* 0; OPTIONS_EXIT after --help or --version; OPTIONS_USAGE, -1 with the error set. */
int options_parse(DaemonOptions *out, int argc, char **argv, Error *error);

/* ---- fleet: the local workers, started as the queue wants them ---- */

enum { FLEET_MAX = 256 };

typedef struct FleetWorker {
    char name[EXEC_NAME_MAX];
    int64_t pid;
    double asked_at; /* monotonic; its first request for a lease, 0 before */
} FleetWorker;

typedef struct Fleet {
    Executor *executor; /* NULL: none are to be started */
    size_t capacity;
    FleetWorker workers[FLEET_MAX];
    size_t count;
    int64_t leaving[FLEET_MAX]; /* orphans that were asked to leave */
    size_t leaving_count;
    bool orphans;      /* an earlier daemon's workers may hold leases */
    int fruitless;     /* workers in a row that came to nothing */
    double failed_at;  /* monotonic; the last of them */
    double next_start; /* monotonic; not before */
    char problem[ERROR_TEXT_MAX];
    char log_path[PATH_TEXT_MAX];
} Fleet;

typedef struct Daemon Daemon;

int fleet_init(Fleet *fleet, const DaemonOptions *options, const char *socket_path, Error *error);
void fleet_deinit(Fleet *fleet);
/* Starts as many workers as are wanted and allowed now. */
int fleet_supply(Daemon *daemon, Error *error);
/* Collects workers that have ended and tells the queue. */
int fleet_reap(Daemon *daemon, Error *error);
/* A worker has asked for a lease. */
typedef enum { FLEET_STRANGER, FLEET_OWN, FLEET_ORPHAN } FleetKind; /* ORPHAN: an earlier daemon's */
FleetKind fleet_heard(Fleet *fleet, const char *name);
/* Asks every worker to leave. */
void fleet_stop(Fleet *fleet);

/* ---- orphans: workers of an earlier daemon ---- */

int orphans_count(Daemon *daemon, size_t *out, Error *error);
/* Asks them to leave. */
int orphans_stop(Daemon *daemon, Error *error);
/* How many of those have not left yet. */
size_t orphans_leaving(Daemon *daemon);

/* ---- the daemon ---- */

struct Daemon {
    DaemonOptions options;
    struct event_base *base;
    Store *store;
    Queue *queue;
    HttpServer *server;
    Fleet fleet;
    Machine machine;
    double started_at; /* unix */
    double turn_at;    /* unix; the timer's last turn */
    struct event *timer, *child, *terminate, *interrupt, *hangup, *commit, *patience;
    bool batch_open; /* writes that are not committed and answers that have not left */
    bool supply;     /* look after the fleet once they are */
    bool draining;
    bool leave_when_idle; /* who asked it to stop had to leave it to others, or has ended */
    double heard_at;      /* monotonic; the last request */
    bool second_signal;
    char problem[ERROR_TEXT_MAX]; /* what failed last of what keeps the daemon going, */
    double problem_at;            /* monotonic; and when */
    char socket_path[PATH_TEXT_MAX], pid_path[PATH_TEXT_MAX];
};

int daemon_new(Daemon **out, const DaemonOptions *options, Error *error);
void daemon_free(Daemon *daemon);
/* Serves until told to stop; returns the exit code. */
int daemon_run(Daemon *daemon);
/* Stops leasing, asks the workers to checkpoint and leave, and ends the loop when they have. */
void daemon_drain(Daemon *daemon, const char *reason);
/* Opens the batch that this turn's writes share. */
int daemon_batch(Daemon *daemon, Error *error);
/* What keeps it going has failed: the log and, for a while, the status say so. */
void daemon_complain(Daemon *daemon, const Error *error);
/* Why no worker works, else the last failure where it is recent, else "". */
const char *daemon_problem(const Daemon *daemon);
/* Commits it before its turn, and lets the answers go that wait for it. */
void daemon_commit(Daemon *daemon);

/* ---- routes ---- */

typedef struct Call {
    const HttpRequest *request;
    char argument[128]; /* the variable part of the path */
} Call;

/* Every route: 0 when the response holds the answer; an HTTP status with the error set; -1. */
typedef int (*RouteHandler)(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);

/* The server's handler; context is the daemon. */
void routes_handle(void *context, const HttpRequest *request, HttpResponse *response);
/* What a result of the store means to the caller: 0, 404, 409, 400 with the error set, or -1. */
int route_store_result(int result, const char *what, const char *name, Error *error);
/* Decimal digits alone, without a sign or a space; 0, or 1 when it is something else or past 2^63 - 1. */
int route_read_number(const char *text, int64_t *out);
/* Reads a query's value as a number in [minimum, maximum]; `out` keeps its value when the query does not have it. 0 or 400. */
int route_query_integer(const Call *call, const char *name, int64_t minimum, int64_t maximum, int64_t *out, Error *error);

int route_health(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_status(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_shutdown(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_submit(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_list(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_file(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_cancel(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_pause(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_resume(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_sweep_retry(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_fit_add(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_fit_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_run_list(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_run_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_run_log(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_run_cancel(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_run_retry(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_lease(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
int route_reports(Daemon *daemon, const Call *call, HttpResponse *response, Error *error);
