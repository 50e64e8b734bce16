#include "source.h"

#include "sweepd/fit.h"
#include "sweepd/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 1000, SWEEPS_MAX = 4096, ATTEMPTS_MAX = 1024, POINTS_MAX = 4096, EVENTS_MAX = 256, RUN_PREFIX_MIN = 6 };

static const double call_seconds = 30;

struct Source {
    char home[PATH_TEXT_MAX];
    HttpClient *client; /* or */
    Store *store;
    SourceRevive revive; /* may be NULL */
    void *revive_context;
    size_t revivals;
};

/* ---- opening ---- */

static int daemon_answers(Source *source, Error *error) {
    char socket_path[PATH_TEXT_MAX];
    Buffer answer;
    int status = 0;
    if (wire_socket_path(source->home, socket_path, error) < 0 || http_client_new(&source->client, socket_path, NULL, NULL, error) < 0)
        return -1;
    buffer_init(&answer, WIRE_BODY_MAX);
    int result = http_client_call(source->client, "/v1/health", NULL, 0, 10, &answer, &status, error);
    buffer_deinit(&answer);
    return result == WIRE_STATUS || result == WIRE_TIMEOUT ? error_prefix(error, "the daemon of %s", source->home) : result;
}

int source_no_daemon(const char *home, Error *error) {
    error_set(error, "no daemon serves %s; start one with 'sweepctl daemon start', or use 'sweepctl run FILE'", home);
    return CLI_NO_DAEMON;
}

/* What cannot be looked at (another user's home) is not the same as what is not there. */
static int check_readable(const char *home, Error *error) {
    char path[PATH_TEXT_MAX];
    struct stat status;
    if (stat(home, &status) == 0 && !S_ISDIR(status.st_mode))
        return error_set(error, "the home %s is not a directory", home);
    if (wire_socket_path(home, path, error) < 0)
        return -1;
    if (access(path, W_OK) < 0 && errno != ENOENT && errno != ENOTDIR)
        return error_set_errno(error, errno, "cannot open %s", path);
    if (path_format(path, error, "%s/sweepd.db", home) < 0)
        return -1;
    if (access(path, R_OK) < 0 && errno != ENOENT && errno != ENOTDIR)
        return error_set_errno(error, errno, "cannot open %s", path);
    return 0;
}

/* No daemon answers. */
static int open_store(Source *source, SourceNeed need, Error *error) {
    if (check_readable(source->home, error) < 0)
        return -1;
    if (need == SOURCE_DAEMON)
        return source_no_daemon(source->home, error);
    int result = store_open(&source->store, source->home, STORE_READ_ONLY, error);
    if (result <= 0)
        return result;
    error_set(error, "no daemon serves %s, and it holds no database yet; begin with 'sweepctl run FILE'", source->home);
    return CLI_NO_DAEMON;
}

int source_open_quietly(Source **out, const char *home, SourceNeed need, Error *error) {
    Source *source = calloc(1, sizeof *source);
    int result = source ? 0 : error_set(error, "out of memory");
    if (!result && !text_copy(source->home, sizeof source->home, home))
        result = error_set(error, "the home's path is too long");
    if (!result)
        result = daemon_answers(source, error);
    if (result == WIRE_NO_DAEMON) {
        http_client_free(source->client);
        source->client = NULL;
        result = open_store(source, need, error);
    }
    if (result) {
        source_free(source);
        source = NULL;
    }
    *out = source;
    return result;
}

int source_open(Source **out, const Cli *cli, SourceNeed need, Error *error) {
    char home[PATH_TEXT_MAX];
    *out = NULL;
    if (cli_home(cli, home, error) < 0)
        return -1;
    int result = source_open_quietly(out, home, need, error);
    if (!result && !(*out)->client)
        cli_note("no daemon serves %s; reading its database as it was left", home);
    return result;
}

void source_free(Source *source) {
    if (!source)
        return;
    http_client_free(source->client);
    store_free(source->store);
    free(source);
}

bool source_is_daemon(const Source *source) {
    return source->client != NULL;
}

const char *source_home(const Source *source) {
    return source->home;
}

/* ---- calls ---- */

int source_path(char out[PATH_TEXT_MAX], const char *head, const char *name, const char *tail, Error *error) {
    Buffer escaped;
    buffer_init(&escaped, PATH_TEXT_MAX);
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || strchr("-_.~", *at);
        if (plain)
            buffer_append(&escaped, at, 1);
        else
            buffer_printf(&escaped, "%%%02X", *at);
    }
    int result = buffer_check(&escaped, error, "the name");
    if (!result)
        result = path_format(out, error, "%s%s%s", head, escaped.size ? escaped.data : "", tail);
    buffer_deinit(&escaped);
    return result;
}

void source_set_revive(Source *source, SourceRevive revive, void *context) {
    source->revive = revive;
    source->revive_context = context;
}

size_t source_revivals(const Source *source) {
    return source->revivals;
}

int source_call(Source *source, const char *path, const Buffer *body, double timeout_seconds, Buffer *out, Error *error) {
    int status = 0, result;
    if (!source->client)
        return source_no_daemon(source->home, error);
    const char *data = body ? (body->data ? body->data : "") : NULL;
    size_t size = body ? body->size : 0;
    while ((result = http_client_call(source->client, path, data, size, timeout_seconds, out, &status, error)) == WIRE_NO_DAEMON) {
        source_no_daemon(source->home, error);
        int revived = source->revive ? source->revive(source->revive_context, error) : CLI_NO_DAEMON;
        if (revived)
            return revived;
        source->revivals++;
    }
    if (result == WIRE_TIMEOUT)
        return error_set(error, "the daemon of %s did not answer within %.0f seconds", source->home, timeout_seconds);
    return result == WIRE_STATUS ? CLI_FAILED : result;
}

/* A decoder's complaint is about the daemon's answer, not about the person's input. */
static int decoded(int result, Error *error) {
    return result ? error_prefix(error, "the daemon's answer") : 0;
}

int source_status(Source *source, StatusRecord *out, Error *error) {
    Buffer answer;
    buffer_init(&answer, WIRE_BODY_MAX);
    int result = source_call(source, "/v1/status", NULL, 10, &answer, error);
    if (!result)
        result = decoded(status_record_decode(out, answer.data ? answer.data : "", answer.size, error), error);
    buffer_deinit(&answer);
    return result;
}

/* ---- sweeps ---- */

static int no_sweep(const char *name, Error *error) {
    error_set(error, "there is no sweep '%s'; 'sweepctl status' lists them", name);
    return CLI_FAILED;
}

int source_sweep(Source *source, const char *name, SweepRecord *out, Error *error) {
    if (source->store) {
        int result = store_sweep_find(source->store, name, out, error);
        return result == STORE_NOT_FOUND ? no_sweep(name, error) : result;
    }
    char path[PATH_TEXT_MAX];
    Buffer answer;
    buffer_init(&answer, WIRE_BODY_MAX);
    int result = source_path(path, "/v1/sweeps/", name, "", error);
    if (!result)
        result = source_call(source, path, NULL, call_seconds, &answer, error);
    if (!result)
        result = decoded(sweep_record_decode(out, answer.data, answer.size, error), error);
    buffer_deinit(&answer);
    return result;
}

int source_sweeps(Source *source, SweepRecord **out, size_t *count, Error *error) {
    Buffer answer;
    *count = 0;
    *out = calloc(SWEEPS_MAX, sizeof **out);
    if (!*out)
        return error_set(error, "out of memory");
    buffer_init(&answer, WIRE_BODY_MAX);
    int result;
    if (source->store)
        result = store_sweep_list(source->store, *out, SWEEPS_MAX, count, error);
    else if (!(result = source_call(source, "/v1/sweeps", NULL, call_seconds, &answer, error)))
        result = decoded(sweep_records_decode(*out, SWEEPS_MAX, count, answer.data, answer.size, error), error);
    buffer_deinit(&answer);
    if (result) {
        free(*out);
        *out = NULL;
    }
    return result;
}

/* ---- runs ---- */

static int page_from_daemon(Source *source, const SweepRecord *sweep, const RunFilter *filter, RunRecord *out, size_t *count, int64_t *next,
                            Error *error) {
    char path[PATH_TEXT_MAX];
    Buffer answer;
    buffer_init(&answer, WIRE_BODY_MAX);
    const char *key = filter->state >= 0 ? "&state=" : "";
    const char *state = filter->state >= 0 ? run_state_text((RunState)filter->state) : "";
    int result = path_format(path, error, "/v1/runs?sweep=%s%s%s&after=%lld&limit=%zu", sweep->name, key, state, (long long)filter->after,
                             filter->limit);
    if (!result)
        result = source_call(source, path, NULL, call_seconds, &answer, error);
    if (!result)
        result = decoded(run_records_decode(out, filter->limit, count, next, answer.data, answer.size, error), error);
    buffer_deinit(&answer);
    return result;
}

static int run_page(Source *source, const SweepRecord *sweep, const RunFilter *filter, RunRecord *out, size_t *count, int64_t *next,
                    Error *error) {
    *count = 0;
    *next = 0;
    if (source->store)
        return store_run_list(source->store, filter, out, count, next, error);
    return page_from_daemon(source, sweep, filter, out, count, next, error);
}

int source_runs(Source *source, const SweepRecord *sweep, int state, SourceEach each, void *context, Error *error) {
    RunRecord *page = calloc(PAGE, sizeof *page);
    RunFilter filter = {.sweep_id = sweep->id, .state = state, .limit = PAGE};
    int result = page ? 0 : error_set(error, "out of memory");
    while (!result) {
        size_t count;
        int64_t next;
        result = run_page(source, sweep, &filter, page, &count, &next, error);
        for (size_t i = 0; i < count && !result; i++)
            result = each(context, &page[i], error);
        if (result || next == 0)
            break;
        filter.after = next;
    }
    free(page);
    return result;
}

int source_runs_first(Source *source, const SweepRecord *sweep, int state, size_t limit, RunRecord *out, size_t *count, Error *error) {
    RunFilter filter = {.sweep_id = sweep->id, .state = state, .limit = limit};
    int64_t next;
    return run_page(source, sweep, &filter, out, count, &next, error);
}

/* result: of store_run_find. */
static int no_run(int result, const char *name, Error *error) {
    if (result < 0)
        return result;
    error_set(error, result == STORE_AMBIGUOUS ? "several runs have a key that begins with '%s'" : "there is no run '%s'", name);
    return CLI_FAILED;
}

static int run_from_store(Store *store, const char *name, RunDetail *out, Error *error) {
    int result = store_run_find(store, name, &out->record, error);
    if (result)
        return no_run(result, name, error);
    out->attempts = calloc(ATTEMPTS_MAX, sizeof *out->attempts);
    out->points = calloc(POINTS_MAX, sizeof *out->points);
    out->events = calloc(EVENTS_MAX, sizeof *out->events);
    if (!out->attempts || !out->points || !out->events)
        return error_set(error, "out of memory");
    int64_t id = out->record.id;
    if (store_run_spec(store, id, &out->spec, error) || store_point_list(store, id, out->points, POINTS_MAX, &out->point_count, error) ||
        store_attempt_list(store, id, out->attempts, ATTEMPTS_MAX, &out->attempt_count, error) ||
        store_event_list(store, id, out->events, EVENTS_MAX, &out->event_count, error))
        return error_prefix(error, "run %s", name);
    return 0;
}

/* What is too short to be looked for is said to be, in place of "no such run". */
static void explain_name(const char *name, Error *error) {
    if (name[strspn(name, "0123456789")] && strlen(name) < RUN_PREFIX_MIN)
        error_set(error, "'%s' names no run: give its id, or at least the first %d digits of its key", name, RUN_PREFIX_MIN);
}

int source_run(Source *source, const char *name, RunDetail *out, Error *error) {
    char path[PATH_TEXT_MAX];
    Buffer answer;
    *out = (RunDetail){0};
    buffer_init(&answer, WIRE_BODY_MAX);
    int result;
    if (source->store)
        result = run_from_store(source->store, name, out, error);
    else if (!(result = source_path(path, "/v1/runs/", name, "", error)) &&
             !(result = source_call(source, path, NULL, call_seconds, &answer, error)))
        result = decoded(run_detail_decode(out, answer.data, answer.size, error), error);
    buffer_deinit(&answer);
    if (result == CLI_FAILED)
        explain_name(name, error);
    if (result)
        run_detail_deinit(out);
    return result;
}

/* The worker's file, in the run's directory. */
static int log_from_home(Source *source, const char *name, int64_t from, int64_t bytes, Buffer *out, Error *error) {
    RunRecord run;
    char path[PATH_TEXT_MAX];
    int result = store_run_find(source->store, name, &run, error);
    if (result)
        return no_run(result, name, error);
    if (path_format(path, error, "%s/runs/%.2s/%s/log", source->home, run.key, run.key) < 0)
        return -1;
    result = file_read_part(path, from, (size_t)bytes, out, error);
    if (result != FILE_MISSING)
        return result;
    run_without_log(&run, name, source->home, error);
    return CLI_FAILED;
}

int source_log(Source *source, const char *name, int64_t from, int64_t bytes, Buffer *out, Error *error) {
    char path[PATH_TEXT_MAX], query[80];
    if (source->store)
        return log_from_home(source, name, from, bytes, out, error);
    int used = snprintf(query, sizeof query, "/log?bytes=%lld", (long long)bytes);
    if (from != FILE_END)
        snprintf(query + used, sizeof query - (size_t)used, "&from=%lld", (long long)from);
    int result = source_path(path, "/v1/runs/", name, query, error);
    return result ? result : source_call(source, path, NULL, call_seconds, out, error);
}

int source_sweep_text(Source *source, const SweepRecord *sweep, Buffer *out, Error *error) {
    char path[PATH_TEXT_MAX];
    if (source->store)
        return store_sweep_text(source->store, sweep->id, out, error);
    int result = source_path(path, "/v1/sweeps/", sweep->name, "/file", error);
    return result ? result : source_call(source, path, NULL, call_seconds, out, error);
}

int source_sweep_parse(Source *source, const SweepRecord *sweep, Sweep **out, Error *error) {
    Buffer text;
    RunRecord first;
    RunDetail detail = {0};
    size_t count = 0;
    Error ignored = {0};
    *out = NULL;
    buffer_init(&text, WIRE_BODY_MAX);
    int result = source_sweep_text(source, sweep, &text, error);
    bool known = !result && source_runs_first(source, sweep, -1, 1, &first, &count, &ignored) == 0 && count > 0 &&
                 source_run(source, first.key, &detail, &ignored) == 0;
    if (!result)
        result = sweep_parse_stored(out, text.data ? text.data : "", text.size, sweep->name, known ? &detail.spec : NULL, error);
    run_detail_deinit(&detail);
    buffer_deinit(&text);
    return result;
}

int source_fit_settings(Source *source, const SweepRecord *sweep, FitSettings *out, Error *error) {
    Sweep *parsed;
    *out = (FitSettings){
        .metric = "test_error", .select = "validation_error", .methods = 1u << FIT_PARAMETRIC | 1u << FIT_ISOFLOP, .bootstrap = 1000};
    int result = source_sweep_parse(source, sweep, &parsed, error);
    if (result == 0)
        *out = *sweep_fit_settings(parsed);
    sweep_free(parsed);
    return result;
}
