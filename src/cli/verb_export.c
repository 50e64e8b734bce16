/* Runs or points as rows. Settings and metrics differ from run to run, so a CSV's columns are found before its rows are written. */
#include "format.h"
#include "settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { METRICS_MAX = 64, ROW_MAX = 1 << 20, COLUMNS_MAX = 1 << 16, TITLE_MAX = METRIC_NAME_MAX + sizeof METRIC_PREFIX };

typedef struct MetricColumn {
    char metric[METRIC_NAME_MAX];
    char title[TITLE_MAX];
} MetricColumn;

typedef struct Export {
    Source *source;
    FILE *out;
    Buffer row;
    bool csv, points;
    Study study;
    size_t at;             /* into the study's runs: the next */
    SettingNames settings; /* a column each: those that differ, beside what a record has */
    Buffer columns;        /* ",run,key,...,": of both forms, but for the metrics */
    MetricColumn metrics[METRICS_MAX];
    size_t metric_count;
} Export;

/* ---- which metrics there are ---- */

static int compare_metrics(const void *left, const void *right) {
    return strcmp(((const MetricColumn *)left)->metric, ((const MetricColumn *)right)->metric);
}

/* A name that begins with the prefix gets it, too, so that no two metrics have one column. */
static void title_metric(const Buffer *columns, const char *metric, char out[TITLE_MAX]) {
    char among[METRIC_NAME_MAX + 2];
    snprintf(among, sizeof among, ",%s,", metric);
    bool taken = strstr(columns->data, among) || !strncmp(metric, METRIC_PREFIX, strlen(METRIC_PREFIX));
    snprintf(out, TITLE_MAX, "%s%s", taken ? METRIC_PREFIX : "", metric);
}

static int note_metrics(void *context, const RunRecord *record, Error *error) {
    Export *export = context;
    (void)error;
    for (size_t i = 0; record->has_point && i < record->last.metric_count; i++) {
        const char *name = record->last.metrics[i].name;
        size_t j = 0;
        if (!format_is_metric(name))
            continue;
        while (j < export->metric_count && strcmp(export->metrics[j].metric, name) != 0)
            j++;
        if (j == export->metric_count && j < METRICS_MAX) {
            text_copy(export->metrics[j].metric, METRIC_NAME_MAX, name);
            title_metric(&export->columns, name, export->metrics[j].title);
            export->metric_count++;
        }
    }
    return 0;
}

/* ---- rows ---- */

/* A value under its name: "name":value in JSON, the value alone in CSV, and the name alone in the CSV's first line. */
typedef struct Fields {
    Buffer *out;
    bool csv, header;
    size_t count;
} Fields;

static bool field_begin(Fields *fields, const char *name) {
    if (fields->count++)
        buffer_append_text(fields->out, ",");
    if (fields->csv && fields->header)
        buffer_append_text(fields->out, name);
    else if (!fields->csv)
        buffer_printf(fields->out, "\"%s\":", name);
    return !fields->header;
}

static void csv_text(const char *text, Buffer *out) {
    if (!strpbrk(text, ",\"\r\n")) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_text(out, "\"");
    for (; *text; text++) {
        buffer_append(out, text, 1);
        if (*text == '"')
            buffer_append_text(out, "\"");
    }
    buffer_append_text(out, "\"");
}

static void field_text(Fields *fields, const char *name, const char *text) {
    if (!field_begin(fields, name))
        return;
    if (fields->csv)
        csv_text(text, fields->out);
    else
        buffer_append_json(fields->out, text);
}

static void field_number(Fields *fields, const char *name, double value) {
    if (field_begin(fields, name) && (isfinite(value) || !fields->csv))
        buffer_append_double(fields->out, value);
}

static void field_integer(Fields *fields, const char *name, int64_t value) {
    if (field_begin(fields, name))
        buffer_printf(fields->out, "%lld", (long long)value);
}

/* What is above 0 once it is known. */
static void field_known_integer(Fields *fields, const char *name, int64_t value) {
    if (value > 0)
        field_integer(fields, name, value);
    else
        field_number(fields, name, NAN);
}

static void field_known_number(Fields *fields, const char *name, double value) {
    field_number(fields, name, value > 0 ? value : NAN);
}

static void field_unsigned(Fields *fields, const char *name, uint64_t value) {
    if (field_begin(fields, name))
        buffer_printf(fields->out, "%llu", (unsigned long long)value);
}

static void field_setting(Fields *fields, const char *name, const json_t *value, const char *text) {
    if (json_is_integer(value))
        field_integer(fields, name, json_integer_value(value));
    else if (json_is_number(value))
        field_number(fields, name, json_number_value(value));
    else if (value)
        field_text(fields, name, text);
    else
        field_number(fields, name, NAN);
}

/* run NULL: none is known. */
static void setting_fields(const Export *export, Fields *fields, const StudyRun *run) {
    char text[SETTING_TEXT_MAX] = "";
    for (size_t i = 0; i < export->settings.count; i++) {
        const char *name = export->settings.names[i];
        const json_t *value = run ? settings_find(&export->study, run, name) : NULL;
        field_setting(fields, name, value, run ? settings_value(&export->study, run, name, text) : text);
    }
}

static void run_fields(const Export *export, Fields *fields, const RunRecord *record, const StudyRun *run) {
    field_integer(fields, "run", record->id);
    field_text(fields, "key", record->key);
    field_text(fields, "state", run_state_text(record->state));
    field_text(fields, "model", record->model);
    field_integer(fields, "depth", record->depth);
    field_integer(fields, "width", record->width);
    field_known_integer(fields, "params", record->params);
    field_known_integer(fields, "params_body", record->params_body);
    field_integer(fields, "examples", record->examples);
    field_unsigned(fields, "seed", record->seed);
    field_number(fields, "lr", record->lr);
    setting_fields(export, fields, run);
}

static void metric_fields(const Export *export, Fields *fields, const Point *point) {
    for (size_t i = 0; i < export->metric_count; i++)
        field_number(fields, export->metrics[i].title, point ? point_metric(point, export->metrics[i].metric) : NAN);
}

/* `flops` is the exact count, under the name that `fit --points` reads. */
static void whole_run(const Export *export, Fields *fields, const RunRecord *record, const StudyRun *run) {
    run_fields(export, fields, record, run);
    field_known_number(fields, "flops", record->flops.exact);
    field_known_number(fields, "flops_gemm", record->flops.gemm);
    field_known_number(fields, "flops_paper", record->flops.paper);
    field_known_number(fields, "flops_6nd", record->flops.nd6);
    field_number(fields, "seconds", record->seconds);
    field_number(fields, "started_at", record->started_at);
    field_number(fields, "ended_at", record->ended_at);
    field_integer(fields, "attempts", record->attempts);
    field_integer(fields, "failures", record->failures);
    metric_fields(export, fields, record->has_point ? &record->last : NULL);
    field_text(fields, "detail", record->detail);
}

static void point_row(const Export *export, Fields *fields, const RunRecord *record, const StudyRun *run, const Point *point) {
    run_fields(export, fields, record, run);
    field_integer(fields, "step", point->step);
    field_number(fields, "examples_seen", point->examples);
    field_number(fields, "flops", point->flops);
    field_number(fields, "seconds", point->seconds);
    metric_fields(export, fields, point);
}

/* point NULL: a row for the whole run. */
static int write_row(Export *export, const RunRecord *record, const StudyRun *run, const Point *point, bool header, Error *error) {
    Fields fields = {.out = &export->row, .csv = export->csv, .header = header};
    buffer_clear(&export->row);
    if (!export->csv)
        buffer_append_text(&export->row, "{\"schema_version\":1,");
    if (export->points)
        point_row(export, &fields, record, run, point);
    else
        whole_run(export, &fields, record, run);
    buffer_append_text(&export->row, export->csv ? "\n" : "}\n");
    if (buffer_check(&export->row, error, "a row") < 0)
        return -1;
    if (fwrite(export->row.data, 1, export->row.size, export->out) != export->row.size)
        return error_set_errno(error, errno, "cannot write");
    return 0;
}

static int write_run(void *context, const RunRecord *record, Error *error) {
    Export *export = context;
    const StudyRun *run = study_run_after(&export->study, &export->at, record->id);
    if (!export->points)
        return write_row(export, record, run, NULL, false, error);
    char name[32];
    RunDetail detail = {0};
    if (!record->has_point)
        return 0;
    snprintf(name, sizeof name, "%lld", (long long)record->id);
    int result = source_run(export->source, name, &detail, error);
    for (size_t i = 0; i < detail.point_count && !result; i++)
        result = write_row(export, record, run, &detail.points[i], false, error);
    run_detail_deinit(&detail);
    return result;
}

/* The rate is in the record. */
static int find_settings(Export *export, const SweepRecord *sweep, Error *error) {
    SettingNames all;
    int result = study_load_runs(&export->study, export->source, sweep, error);
    if (result)
        return result;
    if (!export->study.settings)
        cli_note("the file of %s does not tell its runs' settings any more; they are left out, but for lr", sweep->name);
    settings_differing(&export->study, &all);
    for (size_t i = 0; i < all.count; i++)
        if (strcmp(all.names[i], "lr") != 0)
            text_copy(export->settings.names[export->settings.count++], SETTING_NAME_MAX, all.names[i]);
    return 0;
}

static const RunRecord no_run;
static const Point no_point;

/* Before any metric is known. Both forms, so that a metric has one name in both. */
static int find_columns(Export *export, Error *error) {
    Fields fields = {.out = &export->columns, .csv = true, .header = true};
    buffer_append_text(&export->columns, ",schema_version,");
    whole_run(export, &fields, &no_run, NULL);
    point_row(export, &fields, &no_run, NULL, &no_point);
    buffer_append_text(&export->columns, ",");
    return buffer_check(&export->columns, error, "the columns");
}

static int export_write(Export *export, const SweepRecord *sweep, Error *error) {
    int result = find_settings(export, sweep, error);
    if (!result)
        result = find_columns(export, error);
    if (!result)
        result = source_runs(export->source, sweep, -1, note_metrics, export, error);
    qsort(export->metrics, export->metric_count, sizeof *export->metrics, compare_metrics);
    if (!result && export->csv)
        result = write_row(export, &no_run, NULL, &no_point, true, error);
    if (!result)
        result = source_runs(export->source, sweep, -1, write_run, export, error);
    return result;
}

int verb_export(const Cli *cli, const Arguments *arguments, Error *error) {
    SweepRecord sweep;
    const char *path = arguments_text(arguments, "out", NULL);
    Export *export = calloc(1, sizeof *export);
    if (!export)
        return error_set(error, "out of memory");
    export->csv = !strcmp(arguments_text(arguments, "format", "csv"), "csv");
    export->points = arguments_flag(arguments, "points");
    buffer_init(&export->row, ROW_MAX);
    buffer_init(&export->columns, COLUMNS_MAX);
    int result = source_open(&export->source, cli, SOURCE_ANY, error);
    if (!result)
        result = source_sweep(export->source, arguments->positional, &sweep, error);
    if (!result && !(export->out = path ? fopen(path, "we") : stdout))
        result = error_set_errno(error, errno, "%s", path);
    if (!result)
        result = export_write(export, &sweep, error);
    if (path && export->out && fclose(export->out) && !result)
        result = error_set_errno(error, errno, "%s", path);
    study_deinit(&export->study);
    source_free(export->source);
    buffer_deinit(&export->row);
    buffer_deinit(&export->columns);
    free(export);
    return result;
}
