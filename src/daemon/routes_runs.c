/* Routes of runs. */

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE_DEFAULT = 100,
    PAGE_MAX = 1000,
    ATTEMPTS_MAX = 1024,
    POINTS_MAX = 4096,
    EVENTS_MAX = 64,
    LOG_DEFAULT = 1 << 16,
    LOG_MAX = 1 << 20,
    QUERY_MAX = 2048
};

/* ---- list ---- */

static int read_filter(Daemon *daemon, const Call *call, RunFilter *out, Error *error) {
    char text[QUERY_MAX];
    int64_t limit = PAGE_DEFAULT;
    *out = (RunFilter){.state = -1};
    if (http_query_get(call->request->query, "sweep", text, sizeof text)) {
        SweepRecord sweep;
        int result = route_store_result(store_sweep_find(daemon->store, text, &sweep, error), "sweep", text, error);
        if (result != 0)
            return result;
        out->sweep_id = sweep.id;
    }
    if (http_query_get(call->request->query, "state", text, sizeof text)) {
        RunState state;
        if (run_state_find(text, &state) != 0) {
            error_set(error, "state: must be pending, running, done, diverged, failed or cancelled");
            return 400;
        }
        out->state = (int)state;
    }
    int result = route_query_integer(call, "after", 0, INT64_MAX, &out->after, error);
    if (result == 0)
        result = route_query_integer(call, "limit", 1, PAGE_MAX, &limit, error);
    out->limit = (size_t)limit;
    return result;
}

/* Runs that need the same wait for the same. */
static int tell_waiting(Daemon *daemon, RunRecord *records, size_t count, Error *error) {
    const RunRecord *told = NULL;
    for (size_t i = 0; i < count; i++) {
        RunRecord *record = &records[i];
        if (record->state != RUN_PENDING)
            continue;
        if (told && told->memory_bytes == record->memory_bytes && told->gpus == record->gpus)
            text_copy(record->waiting, sizeof record->waiting, told->waiting);
        else if (queue_waiting(daemon->queue, (Need){record->memory_bytes, record->gpus}, record->waiting, error) < 0)
            return -1;
        told = record;
    }
    return 0;
}

int route_run_list(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    RunFilter filter;
    size_t count = 0;
    int64_t next = 0;
    int result = read_filter(daemon, call, &filter, error);
    if (result != 0)
        return result;
    RunRecord *records = calloc(filter.limit, sizeof *records);
    if (records == NULL)
        return error_set_memory(error, "out of memory");
    result = store_run_list(daemon->store, &filter, records, &count, &next, error);
    if (result == 0)
        result = tell_waiting(daemon, records, count, error);
    if (result == 0)
        run_records_encode(records, count, next, &response->body);
    free(records);
    return result;
}

/* ---- one run ---- */

static int find_run(Daemon *daemon, const Call *call, RunRecord *out, Error *error) {
    return route_store_result(store_run_find(daemon->store, call->argument, out, error), "run", call->argument, error);
}

static int read_detail(Daemon *daemon, RunDetail *detail, Error *error) {
    int64_t id = detail->record.id;
    detail->attempts = calloc(ATTEMPTS_MAX, sizeof *detail->attempts);
    detail->points = calloc(POINTS_MAX, sizeof *detail->points);
    detail->events = calloc(EVENTS_MAX, sizeof *detail->events);
    if (detail->attempts == NULL || detail->points == NULL || detail->events == NULL)
        return error_set_memory(error, "out of memory");
    int result = store_run_spec(daemon->store, id, &detail->spec, error);
    if (result == 0)
        result = store_attempt_list(daemon->store, id, detail->attempts, ATTEMPTS_MAX, &detail->attempt_count, error);
    if (result == 0)
        result = store_point_list(daemon->store, id, detail->points, POINTS_MAX, &detail->point_count, error);
    if (result == 0)
        result = store_event_list(daemon->store, id, detail->events, EVENTS_MAX, &detail->event_count, error);
    return result > 0 ? error_set(error, "run %lld: incomplete in the store", (long long)id) : result;
}

int route_run_get(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    RunDetail detail = {0};
    int result = find_run(daemon, call, &detail.record, error);
    if (result == 0)
        result = tell_waiting(daemon, &detail.record, 1, error);
    if (result == 0)
        result = read_detail(daemon, &detail, error);
    if (result == 0)
        run_detail_encode(&detail, &response->body);
    run_detail_deinit(&detail);
    return result;
}

int route_run_cancel(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    RunRecord record;
    int64_t changed = 0;
    int result = find_run(daemon, call, &record, error);
    if (result == 0)
        result =
            route_store_result(store_run_cancel(daemon->store, record.id, clock_unix(), &changed, error), "run", call->argument, error);
    if (result == 0)
        buffer_printf(&response->body, "{\"changed\":%lld}", (long long)changed);
    return result;
}

int route_run_retry(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    RunRecord record;
    int64_t changed = 0;
    int result = find_run(daemon, call, &record, error);
    if (result == 0)
        result = route_store_result(store_retry(daemon->store, 0, record.id, clock_unix(), &changed, error), "run", call->argument, error);
    if (result != 0)
        return result;
    daemon->supply = true;
    buffer_printf(&response->body, "{\"changed\":%lld}", (long long)changed);
    return 0;
}

/* ---- log ---- */

int route_run_log(Daemon *daemon, const Call *call, HttpResponse *response, Error *error) {
    RunRecord record;
    char path[PATH_TEXT_MAX];
    int64_t bytes = LOG_DEFAULT, from = FILE_END;
    int result = route_query_integer(call, "bytes", 1, LOG_MAX, &bytes, error);
    if (result == 0)
        result = route_query_integer(call, "from", 0, INT64_MAX, &from, error);
    if (result == 0)
        result = find_run(daemon, call, &record, error);
    if (result != 0)
        return result;
    if (path_format(path, error, "%s/runs/%.2s/%s/log", daemon->options.home, record.key, record.key) != 0)
        return -1;
    response->content_type = "text/plain; charset=utf-8";
    result = file_read_part(path, from, (size_t)bytes, &response->body, error);
    if (result != FILE_MISSING)
        return result;
    run_without_log(&record, call->argument, daemon->options.home, error);
    return 404;
}
