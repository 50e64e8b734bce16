/* What an external program says, line by line: docs/external-trainers.md is the protocol. Nothing is guessed: a line that is none of the
 * protocol's ends the run, with its number in the error. */
#include "external.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const double AGREEMENT = 1e-6; /* between two statements of one number */

#define refuse_line(external, error, format, ...)                                                                                          \
    error_set(error, "line %lld of the program's output: " format, (long long)(external)->lines, ##__VA_ARGS__)

/* Python writes NaN, Infinity and -Infinity, which JSON has not: they become null. */
static void append_plain(const char *line, size_t size, Buffer *out) {
    static const char *const words[] = {"NaN", "-Infinity", "Infinity"};
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        size_t length = 0;
        for (size_t j = 0; !quoted && length == 0 && j < sizeof words / sizeof *words; j++)
            if (size - i >= strlen(words[j]) && !memcmp(line + i, words[j], strlen(words[j])))
                length = strlen(words[j]);
        if (length > 0) {
            buffer_append_text(out, "null");
            i += length - 1;
            continue;
        }
        if (line[i] == '"')
            quoted = !quoted;
        if (quoted && line[i] == '\\' && i + 1 < size)
            buffer_append(out, &line[i++], 1);
        buffer_append(out, &line[i], 1);
    }
}

static bool agree(double a, double b) {
    return fabs(a - b) <= AGREEMENT * fmax(fabs(a), fabs(b));
}

/* ---- the first line: {"params":..,"flops":..,"steps":..} ---- */

static int take_told(External *external, const char *key, double value, double *known, Error *error) {
    if (!(value >= 1) || !isfinite(value))
        return refuse_line(external, error, "%s: %g; expected a number of at least 1", key, value);
    if (*known > 0 && !agree(*known, value))
        return refuse_line(external, error, "%s: %.12g, but the sweep file, or an earlier attempt, says %.12g", key, value, *known);
    if (*known <= 0)
        *known = value;
    return 0;
}

static int read_told(External *external, json_t *object, Error *error) {
    const char *key;
    json_t *value;
    double steps = (double)external->base.steps;
    json_object_foreach(object, key, value) {
        int result;
        double number = json_is_number(value) ? json_number_value(value) : (double)NAN;
        if (!strcmp(key, "params")) {
            external->params_told = external->params_told || external->params <= 0;
            result = take_told(external, key, number, &external->params, error);
        } else if (!strcmp(key, "flops")) {
            result = take_told(external, key, number, &external->run_flops, error);
        } else if (!strcmp(key, "steps")) {
            result = take_told(external, key, number, &steps, error);
        } else {
            result = refuse_line(external, error, "no \"step\", and \"%.40s\" is none of params, flops, steps", key);
        }
        if (result)
            return result;
    }
    return 0;
}

/* ---- points ---- */

static int read_step(External *external, json_t *object, Point *out, Error *error) {
    json_t *step = json_object_get(object, "step");
    if (!json_is_integer(step) || json_integer_value(step) < 0)
        return refuse_line(external, error, "step: expected a whole number");
    out->step = json_integer_value(step);
    if (out->step > external->base.steps)
        return refuse_line(external, error, "step: %lld, but the run has %lld steps", (long long)out->step,
                           (long long)external->base.steps);
    if (out->step <= external->last_step)
        return refuse_line(external, error, "step: %lld after %lld", (long long)out->step, (long long)external->last_step);
    return 0;
}

/* What has been done does not become less; *last: at the point before. */
static int check_rise(External *external, const char *key, double value, double *last, Error *error) {
    if (value < *last)
        return refuse_line(external, error, "%s: %.12g after %.12g", key, value, *last);
    *last = value;
    return 0;
}

static int read_flops(External *external, json_t *value, Point *out, Error *error) {
    const Trainer *trainer = &external->base;
    bool last = out->step == trainer->steps;
    double share = external->run_flops * (double)out->step / (double)trainer->steps;
    out->flops = value ? json_number_value(value) : fmax(share, external->last_flops);
    if (value && (!json_is_number(value) || out->flops < 0))
        return refuse_line(external, error, "flops: expected a number of at least 0");
    if (out->flops > external->run_flops * (1 + AGREEMENT) || (last && !agree(out->flops, external->run_flops)))
        return refuse_line(external, error, "flops: %.12g at step %lld of %lld, but the run's are %.12g", out->flops, (long long)out->step,
                           (long long)trainer->steps, external->run_flops);
    out->flops = fmin(out->flops, external->run_flops);
    return check_rise(external, "flops", out->flops, &external->last_flops, error);
}

static int read_amount(External *external, json_t *object, const char *key, double usual, double *last, double *out, Error *error) {
    json_t *value = json_object_get(object, key);
    *out = value ? json_number_value(value) : usual;
    if (value && (!json_is_number(value) || *out < 0))
        return refuse_line(external, error, "%s: expected a number of at least 0", key);
    return value ? check_rise(external, key, *out, last, error) : 0; /* what the program says, against what it said */
}

static int read_metric(External *external, const char *key, json_t *value, Point *out, Error *error) {
    size_t size = strlen(key);
    bool plain =
        size > 0 && size < METRIC_NAME_MAX && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == size;
    if (!plain)
        return refuse_line(external, error, "\"%.60s\": a metric's name has 1 to %d letters, digits, '_', '.' and '-'", key,
                           METRIC_NAME_MAX - 1);
    if (!json_is_number(value) && !json_is_null(value))
        return refuse_line(external, error, "%s: expected a number, or null where it is none", key);
    if (!strcmp(key, "params"))
        return refuse_line(external, error, "params: belongs into the first line");
    if (!point_set_metric(out, key, json_is_null(value) ? (double)NAN : json_number_value(value)))
        return refuse_line(external, error, "more than %d metrics", POINT_METRICS_MAX - external->params_told);
    return 0;
}

static int read_metrics(External *external, json_t *object, Point *out, Error *error) {
    static const char *const others[] = {"step", "examples", "flops", "seconds"};
    const char *key;
    json_t *value;
    if (external->params_told)
        point_set_metric(out, "params", external->params);
    json_object_foreach(object, key, value) {
        bool is_metric = true;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            is_metric = is_metric && strcmp(key, others[i]) != 0;
        if (is_metric && read_metric(external, key, value, out, error))
            return -1;
    }
    return 0;
}

static int read_point(External *external, json_t *object, Point *out, Error *error) {
    const Trainer *trainer = &external->base;
    const Run *run = &trainer->run;
    double now = external->seconds_before + clock_monotonic() - external->begun;
    *out = (Point){0};
    if (read_step(external, object, out, error))
        return -1;
    external->last_step = out->step;
    if (external->run_flops <= 0 || external->params <= 0)
        return refuse_line(external, error, "%s: neither the sweep file nor the program's first line says how many",
                           external->run_flops <= 0 ? "flops" : "params");
    double seen = (double)run->examples * (double)run->epochs * (double)out->step / (double)trainer->steps;
    if (read_amount(external, object, "examples", seen, &external->last_examples, &out->examples, error) ||
        read_amount(external, object, "seconds", now, &external->last_seconds, &out->seconds, error) ||
        read_flops(external, json_object_get(object, "flops"), out, error) || read_metrics(external, object, out, error))
        return -1;
    if (++external->points > EXTERNAL_POINTS_MAX)
        return refuse_line(external, error, "more than %d points", EXTERNAL_POINTS_MAX);
    return out->step > external->resumed ? LINE_POINT : LINE_NOTHING;
}

static int read_object(External *external, json_t *object, bool first, Point *out, Error *error) {
    if (!json_is_object(object))
        return refuse_line(external, error, "expected a JSON object");
    if (first && !json_object_get(object, "step"))
        return read_told(external, object, error) ? -1 : LINE_NOTHING;
    return read_point(external, object, out, error);
}

int external_line(External *external, const char *line, size_t size, Point *out, Error *error) {
    json_error_t problem;
    Buffer text;
    if (++external->lines > EXTERNAL_LINES_MAX)
        return refuse_line(external, error, "more than %d lines", EXTERNAL_LINES_MAX);
    if (size >= EXTERNAL_LINE_MAX)
        return refuse_line(external, error, "longer than %d bytes", EXTERNAL_LINE_MAX - 1);
    buffer_init(&text, 2 * EXTERNAL_LINE_MAX);
    append_plain(line, size, &text);
    json_t *object = text.size > 0 ? json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &problem) : NULL;
    buffer_deinit(&text);
    if (!object)
        return refuse_line(external, error, "not JSON: %.60s", size > 0 ? problem.text : "an empty line");
    int result = read_object(external, object, external->lines == 1, out, error);
    json_decref(object);
    return result;
}
