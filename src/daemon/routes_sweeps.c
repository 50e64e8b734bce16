/* Routes of sweeps and their fits. */

#include "daemon.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEPS_MAX = 4096 };

/* ---- submit ---- */

static int submit(Daemon *daemon, const SubmitRequest *request, SubmitRecord *out, Error *error) {
    Sweep *sweep = NULL;
    size_t size = strlen(request->text);
    if (daemon->draining) {
        error_set(error, "the daemon is stopping; try again");
        return 503;
    }
    int result = sweep_parse(&sweep, request->text, size, request->path, error);
    if (result == SWEEP_INVALID)
        return 400;
    if (result == 0)
        result = sweep_check_data(sweep, request->path, error);
    if (result == 0)
        result = sweep_check_files(sweep, request->path, error);
    if (result == SWEEP_INVALID) {
        sweep_free(sweep);
        return 400;
    }
    /* In a transaction of its own: inside another, SQLite's journal of the inner one makes a large submit quadratic. */
    daemon_commit(daemon);
    if (result == 0)
        result = store_sweep_submit(daemon->store, sweep, request->text, size, clock_unix(), out, error);
    sweep_free(sweep);
    return result;
}

int route_sweep_submit(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SubmitRequest *request = calloc(1, sizeof *request);
    SubmitRecord record = {0};
    if (request == NULL)
        return error_set_memory(error, "out of memory");
    int result = submit_request_decode(request, call->request->body, call->request->body_size, error);
    if (result == WIRE_INVALID)
        result = 400;
    else if (result == 0)
        result = submit(daemon, request, &record, error);
    free(request);
    if (result != 0)
        return result;
    log_write(LOG_INFO, "sweep %s: %lld runs, %lld of them new", record.name, (long long)record.runs, (long long)record.added);
    daemon->supply = true;
    submit_record_encode(&record, &response->body);
    return 0;
}

/* ---- read ---- */

static int find_sweep(Daemon *daemon, const Call *call, SweepRecord *out, Error *error) {
    return route_store_result(store_sweep_find(daemon->store, call->argument, out, error), "sweep", call->argument, error);
}

static int tell_waiting(Daemon *daemon, SweepRecord *record, Error *error) {
    if (record->by_state[RUN_PENDING] == 0 || strcmp(record->state, "active") != 0)
        return 0;
    return queue_sweep_waiting(daemon->queue, record->id, record->waiting, &record->oversized, error);
}

int route_sweep_list(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    (void)call;
    SweepRecord *records = calloc(SWEEPS_MAX, sizeof *records);
    size_t count = 0;
    if (records == NULL)
        return error_set_memory(error, "out of memory");
    int result = store_sweep_list(daemon->store, records, SWEEPS_MAX, &count, error);
    for (size_t i = 0; i < count && result == 0; i++)
        result = tell_waiting(daemon, &records[i], error);
    if (result == 0)
        sweep_records_encode(records, count, &response->body);
    free(records);
    return result;
}

int route_sweep_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SweepRecord record;
    int result = find_sweep(daemon, call, &record, error);
    if (result == 0)
        result = tell_waiting(daemon, &record, error);
    if (result == 0)
        sweep_record_encode(&record, &response->body);
    return result;
}

int route_sweep_file(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SweepRecord record;
    int result = find_sweep(daemon, call, &record, error);
    if (result != 0)
        return result;
    response->content_type = "text/plain; charset=utf-8";
    return route_store_result(store_sweep_text(daemon->store, record.id, &response->body, error), "sweep", call->argument, error);
}

/* ---- change ---- */

static int answer_changed(Daemon *daemon, int64_t changed, HttpResponse *response) {
    daemon->supply = true;
    buffer_printf(&response->body, "{\"changed\":%lld}", (long long)changed);
    return 0;
}

static int set_state(Daemon *daemon, const Call *call, const char *state, HttpResponse *response, Error *error) {
    SweepRecord record;
    int64_t changed = 0;
    int result = find_sweep(daemon, call, &record, error);
    if (result == 0)
        result = route_store_result(store_sweep_set_state(daemon->store, record.id, state, clock_unix(), &changed, error), "sweep",
                                    call->argument, error);
    return result != 0 ? result : answer_changed(daemon, changed, response);
}

int route_sweep_cancel(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return set_state(daemon, call, "cancelled", response, error);
}

int route_sweep_pause(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return set_state(daemon, call, "paused", response, error);
}

int route_sweep_resume(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    return set_state(daemon, call, "active", response, error);
}

int route_sweep_retry(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SweepRecord record;
    int64_t changed = 0;
    int result = find_sweep(daemon, call, &record, error);
    if (result == 0)
        result =
            route_store_result(store_retry(daemon->store, record.id, 0, clock_unix(), &changed, error), "sweep", call->argument, error);
    return result != 0 ? result : answer_changed(daemon, changed, response);
}

/* ---- fits ---- */

int route_fit_add(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SweepRecord record;
    FitRequest request;
    int64_t fit_id = 0;
    int result = find_sweep(daemon, call, &record, error);
    if (result != 0)
        return result;
    result = fit_request_decode(&request, call->request->body, call->request->body_size, error);
    if (result == WIRE_INVALID)
        result = 400;
    else if (result == 0)
        result = store_fit_add(daemon->store, record.id, request.method, request.fit.data, clock_unix(), &fit_id, error);
    fit_request_deinit(&request);
    if (result == 0)
        buffer_printf(&response->body, "{\"fit_id\":%lld}", (long long)fit_id);
    return result;
}

int route_fit_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    SweepRecord record;
    char method[32];
    int result = find_sweep(daemon, call, &record, error);
    if (result != 0)
        return result;
    if (!http_query_get(call->request->query, "method", method, sizeof method)) {
        error_set(error, "method: missing; ask for ?method=parametric or ?method=isoflop");
        return 400;
    }
    return route_store_result(store_fit_latest(daemon->store, record.id, method, &response->body, error), "fit", method, error);
}
