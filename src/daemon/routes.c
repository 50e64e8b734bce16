/* The route table, and what all routes share. docs/api.md describes every route. */

#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Route {
    const char *method;
    const char *pattern; /* "*" stands for one part of the path */
    RouteHandler handler;
} Route;

static const Route routes[] = {
    {"GET", "/v1/health", route_health},
    {"GET", "/v1/status", route_status},
    {"POST", "/v1/shutdown", route_shutdown},
    {"POST", "/v1/sweeps", route_sweep_submit},
    {"GET", "/v1/sweeps", route_sweep_list},
    {"GET", "/v1/sweeps/*", route_sweep_get},
    {"GET", "/v1/sweeps/*/file", route_sweep_file},
    {"POST", "/v1/sweeps/*/cancel", route_sweep_cancel},
    {"POST", "/v1/sweeps/*/pause", route_sweep_pause},
    {"POST", "/v1/sweeps/*/resume", route_sweep_resume},
    {"POST", "/v1/sweeps/*/retry", route_sweep_retry},
    {"POST", "/v1/sweeps/*/fits", route_fit_add},
    {"GET", "/v1/sweeps/*/fits", route_fit_get},
    {"GET", "/v1/runs", route_run_list},
    {"GET", "/v1/runs/*", route_run_get},
    {"GET", "/v1/runs/*/log", route_run_log},
    {"POST", "/v1/runs/*/cancel", route_run_cancel},
    {"POST", "/v1/runs/*/retry", route_run_retry},
    {"POST", "/v1/leases", route_lease},
    {"POST", "/v1/reports", route_reports},
};

/* ---- finding ---- */

static bool pattern_matches(const char *pattern, const char *path, char *argument, size_t capacity) {
    while (*pattern != '\0' && *path != '\0') {
        if (*pattern == '*') {
            size_t length = strcspn(path, "/");
            if (length == 0 || length >= capacity)
                return false;
            memcpy(argument, path, length);
            argument[length] = '\0';
            path += length;
            pattern++;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

/* NULL with *known_path telling whether another method would have done. */
static const Route *find_route(const HttpRequest *request, Call *call, bool *known_path) {
    *known_path = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!pattern_matches(routes[i].pattern, request->path, call->argument, sizeof call->argument))
            continue;
        *known_path = true;
        if (strcmp(routes[i].method, request->method) == 0)
            return &routes[i];
    }
    return NULL;
}

/* ---- answering ---- */

/* A decoder's error begins with the field: "points[0].step: must be ...". */
static bool error_field(const char *text, char *field, size_t capacity) {
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.[]");
    if (length == 0 || length >= capacity || strncmp(text + length, ": ", 2) != 0)
        return false;
    memcpy(field, text, length);
    field[length] = '\0';
    return true;
}

static void answer_error(HttpResponse *response, int status, const char *message) {
    char field[256];
    response->status = status;
    response->content_type = "application/json";
    buffer_clear(&response->body);
    wire_error_encode(message, status == 400 && error_field(message, field, sizeof field) ? field : NULL, &response->body);
}

static int call_route(Daemon *daemon, const Route *route, const Call *call, HttpResponse *response, Error *error) {
    if (strcmp(route->method, "POST") == 0 && daemon_batch(daemon, error) != 0)
        return -1;
    return route->handler(daemon, call, response, error);
}

/* What workers ask: nothing goes on when it fails. */
static bool is_of_work(const Route *route) {
    return route->handler == route_lease || route->handler == route_reports;
}

void routes_handle(void *context, const HttpRequest *request, HttpResponse *response) {
    Daemon *daemon = context;
    daemon->heard_at = clock_monotonic();
    Call call = {.request = request};
    bool known_path;
    Error error = {0};
    const Route *route = find_route(request, &call, &known_path);
    if (route == NULL) {
        answer_error(response, known_path ? 405 : 404, known_path ? "the path does not take this method" : "no such path");
        return;
    }
    int status = call_route(daemon, route, &call, response, &error);
    response->provisional = daemon->batch_open;
    if (status < 0) {
        answer_error(response, 500, error.text);
        error_prefix(&error, "%s %s", request->method, request->path);
        if (is_of_work(route))
            daemon_complain(daemon, &error);
        else
            log_write(LOG_ERROR, "%s", error.text);
    } else if (status > 0 && response->body.size == 0) {
        answer_error(response, status, error.text);
    } else if (status > 0) {
        response->status = status;
    }
}

int route_store_result(int result, const char *what, const char *name, Error *error) {
    switch (result) {
    case STORE_NOT_FOUND:
        error_set(error, "no such %s: %s", what, name);
        return 404;
    case STORE_AMBIGUOUS:
        error_set(error, "several runs have a key that begins with %s", name);
        return 400;
    case STORE_CONFLICT:
        error_set(error, "the state of %s %s does not allow it", what, name);
        return 409;
    default:
        return result;
    }
}

int route_read_number(const char *text, int64_t *out) {
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return *text == '\0' || strspn(text, "0123456789") != strlen(text) || errno == ERANGE;
}

int route_query_integer(const Call *call, const char *name, int64_t minimum, int64_t maximum, int64_t *out, Error *error) {
    char text[2048];
    int64_t value;
    if (!http_query_get(call->request->query, name, text, sizeof text))
        return 0;
    if (route_read_number(text, &value) != 0 || value < minimum || value > maximum) {
        error_set(error, "%s: must be an integer from %lld to %lld", name, (long long)minimum, (long long)maximum);
        return 400;
    }
    *out = value;
    return 0;
}

/* ---- the daemon itself ---- */

int route_health(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    (void)daemon;
    (void)call;
    (void)error;
    buffer_printf(&response->body, "{\"schema_version\":%d,\"status\":\"ok\",\"version\":\"%s\"}", WIRE_SCHEMA_VERSION, version_text());
    return 0;
}

int route_status(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    (void)call;
    StatusRecord record = {.pid = getpid(),
                           .uptime_seconds = clock_unix() - daemon->started_at,
                           .workers_alive = (int64_t)daemon->fleet.count,
                           .workers_capacity = (int64_t)daemon->fleet.capacity,
                           .stopping = daemon->draining,
                           .leaves = daemon->leave_when_idle || daemon->options.leave_with};
    snprintf(record.version, sizeof record.version, "%s (%s)", version_text(), version_commit());
    text_copy(record.home, sizeof record.home, daemon->options.home);
    text_copy(record.problem, sizeof record.problem, daemon_problem(daemon));
    if (store_pending_count(daemon->store, INT64_MAX, &record.pending, &record.running, error) != 0)
        return -1;
    status_record_encode(&record, &response->body);
    return 0;
}

/* Several people, or several `sweepctl run`, may share a daemon that one of them started: it stops for one only when the others have
 * nothing to do, and by itself once that is so. */
int route_shutdown(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    ShutdownRequest request;
    bool others = false;
    if (shutdown_request_decode(&request, call->request->body, call->request->body_size, error) != 0)
        return 400;
    if (request.sweep[0] != '\0' && !daemon->draining && store_others_work(daemon->store, request.sweep, &others, error) != 0)
        return -1;
    if (others)
        daemon->leave_when_idle = true;
    else
        daemon_drain(daemon, "a request to shut down");
    buffer_printf(&response->body, "{\"stopping\":%s}", others ? "false" : "true");
    return 0;
}
