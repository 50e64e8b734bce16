#include "sweepd/record.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const state_texts[RUN_STATES] = {
    [RUN_PENDING] = "pending",   [RUN_RUNNING] = "running", [RUN_DONE] = "done",
    [RUN_DIVERGED] = "diverged", [RUN_FAILED] = "failed",   [RUN_CANCELLED] = "cancelled",
};

static const char *const outcome_texts[OUTCOMES] = {
    [OUTCOME_OPEN] = "open",
    [OUTCOME_OK] = "ok",
    [OUTCOME_CRASHED] = "crashed",
    [OUTCOME_LOST] = "lost",
    [OUTCOME_PREEMPTED] = "preempted",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_OUT_OF_MEMORY] = "out_of_memory",
    [OUTCOME_REFUSED] = "refused",
};

static int find_text(const char *const *texts, int count, const char *text) {
    for (int i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return i;
    return -1;
}

const char *run_state_text(RunState state) {
    return (int)state >= 0 && state < RUN_STATES ? state_texts[state] : "unknown";
}

int run_state_find(const char *text, RunState *out) {
    int found = find_text(state_texts, RUN_STATES, text);
    if (found < 0)
        return 1;
    *out = (RunState)found;
    return 0;
}

const char *outcome_text(Outcome outcome) {
    return (int)outcome >= 0 && outcome < OUTCOMES ? outcome_texts[outcome] : "unknown";
}

int outcome_find(const char *text, Outcome *out) {
    int found = find_text(outcome_texts, OUTCOMES, text);
    if (found < 0)
        return 1;
    *out = (Outcome)found;
    return 0;
}

bool outcome_counts(Outcome outcome) {
    return outcome == OUTCOME_CRASHED || outcome == OUTCOME_TIMEOUT || outcome == OUTCOME_OUT_OF_MEMORY;
}

double point_metric(const Point *point, const char *name) {
    for (size_t i = 0; i < point->metric_count; i++)
        if (strcmp(point->metrics[i].name, name) == 0)
            return point->metrics[i].value;
    return NAN;
}

bool point_set_metric(Point *point, const char *name, double value) {
    size_t i = 0;
    while (i < point->metric_count && strcmp(point->metrics[i].name, name) != 0)
        i++;
    if (i == POINT_METRICS_MAX || strlen(name) >= METRIC_NAME_MAX)
        return false;
    if (i == point->metric_count) {
        text_copy(point->metrics[i].name, METRIC_NAME_MAX, name);
        point->metric_count++;
    }
    point->metrics[i].value = value;
    return true;
}

bool metric_is_count(const char *name, double value) {
    static const char *const others[] = {"error", "accuracy", "loss"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(name, others[i]))
            return false;
    return value == floor(value) && fabs(value) < 1e18;
}

void point_format_metrics(const Point *point, Buffer *out) {
    buffer_append_text(out, "{");
    for (size_t i = 0; i < point->metric_count; i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        buffer_append_json(out, point->metrics[i].name);
        buffer_append_text(out, ":");
        buffer_append_double(out, point->metrics[i].value);
    }
    buffer_append_text(out, "}");
}

static int read_metrics(Point *point, json_t *metrics, Error *error) {
    const char *name;
    json_t *value;
    if (json_object_size(metrics) > POINT_METRICS_MAX)
        return error_set(error, "found %zu metrics; expected at most %d", json_object_size(metrics), POINT_METRICS_MAX);
    json_object_foreach(metrics, name, value) {
        if (strlen(name) >= METRIC_NAME_MAX)
            return error_set(error, "a metric's name has %zu bytes; expected fewer than %d", strlen(name), METRIC_NAME_MAX);
        if (!json_is_number(value) && !json_is_null(value))
            return error_set(error, "metric %s: expected a number or null", name);
        point_set_metric(point, name, json_is_null(value) ? (double)NAN : json_number_value(value));
    }
    return 0;
}

int point_parse_metrics(Point *point, const char *json, size_t size, Error *error) {
    json_error_t problem;
    json_t *metrics = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    point->metric_count = 0;
    if (!metrics)
        return error_set(error, "metrics: byte %d: %s", problem.position, problem.text);
    int result = json_is_object(metrics) ? read_metrics(point, metrics, error) : error_set(error, "metrics: expected an object");
    json_decref(metrics);
    return result;
}

int run_without_log(const RunRecord *run, const char *name, const char *home, Error *error) {
    if (run->attempts == 0 && run->state == RUN_PENDING)
        return error_set(error, "run %s has not begun, so it has no log yet", name);
    if (run->attempts == 0)
        return error_set(error, "run %s has no log: it is %s and never began", name, run_state_text(run->state));
    return error_set(error, "run %s has no log here, as one that is over at once; this machine's workers write to %s/workers.log", name,
                     home);
}
