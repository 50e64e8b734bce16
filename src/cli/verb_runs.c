#include "format.h"
#include "settings.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

typedef struct Listing {
    Table *table; /* or */
    Buffer *json;
    size_t count;
    Study study;
    size_t at;             /* into the study's runs: the next */
    SettingNames settings; /* that differ between the sweep's runs */
    FitSettings fit;       /* whose metric has a column */
} Listing;

static const char *state_color(RunState state) {
    return state == RUN_DONE ? "green" : state == RUN_FAILED ? "red" : state == RUN_DIVERGED ? "brown" : NULL;
}

/* The rate has one anyway. */
static bool has_column(const char *setting) {
    return strcmp(setting, "lr") != 0;
}

static int add_row(void *context, const RunRecord *run, Error *error) {
    (void)error;
    Listing *listing = context;
    Table *table = listing->table;
    const StudyRun *known = study_run_after(&listing->study, &listing->at, run->id);
    const char *metric = listing->fit.metric;
    char text[FORMAT_MAX], value[SETTING_TEXT_MAX];
    table_cell(table, "%lld", (long long)run->id);
    table_cell(table, "%s", run_state_text(run->state));
    table_color(table, state_color(run->state));
    table_cell(table, "%s", run->model);
    table_cell(table, "%s", format_known_count(run->params, text));
    table_cell(table, "%s", format_count(run->examples, text));
    table_cell(table, "%llu", (unsigned long long)run->seed);
    table_cell(table, "%.3g", run->lr);
    for (size_t i = 0; i < listing->settings.count; i++)
        if (has_column(listing->settings.names[i]))
            table_cell(table, "%s", known ? settings_value(&listing->study, known, listing->settings.names[i], value) : "-");
    table_cell(table, "%s", format_known_scaled(run->flops.exact, "FLOP", text));
    table_cell(table, "%s", run->has_point ? format_metric(metric, point_metric(&run->last, metric), text) : "-");
    table_cell(table, "%s", run->has_point ? format_duration(run->seconds, text) : "-");
    table_cell(table, "%lld", (long long)run->attempts);
    table_cell(table, "%.12s", run->key);
    table_cell(table, "%s", *run->waiting ? run->waiting : run->detail);
    return 0;
}

static void append_settings(const Listing *listing, const StudyRun *run, Buffer *out) {
    const char *separator = "";
    buffer_append_text(out, ",\"settings\":{");
    for (size_t i = 0; i < listing->settings.count; i++) {
        const char *name = listing->settings.names[i];
        char *value = json_dumps(settings_find(&listing->study, run, name), JSON_COMPACT | JSON_ENCODE_ANY);
        if (value)
            buffer_printf(out, "%s\"%s\":%s", separator, name, value);
        separator = value ? "," : separator;
        free(value);
    }
    buffer_append_text(out, "}");
}

/* The record, with its settings before its end. */
static int add_json(void *context, const RunRecord *run, Error *error) {
    Listing *listing = context;
    Buffer record;
    const StudyRun *known = study_run_after(&listing->study, &listing->at, run->id);
    buffer_init(&record, 1 << 20);
    run_record_encode(run, &record);
    int result = buffer_check(&record, error, "a run");
    if (!result) {
        buffer_append_text(listing->json, listing->count++ ? ",\n" : "");
        buffer_append(listing->json, record.data, record.size - 1);
        if (known && listing->study.settings)
            append_settings(listing, known, listing->json);
        buffer_append_text(listing->json, "}");
        result = buffer_check(listing->json, error, "the list of runs");
    }
    buffer_deinit(&record);
    return result;
}

static bool differs(const Listing *listing, const char *setting) {
    for (size_t i = 0; i < listing->settings.count; i++)
        if (!strcmp(listing->settings.names[i], setting))
            return true;
    return false;
}

static void add_columns(const Listing *listing) {
    Table *table = listing->table;
    table_column(table, "Run", TABLE_RIGHT, 0);
    table_column(table, "State", TABLE_LEFT, 0);
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 1);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, "Seed", TABLE_RIGHT, 1);
    table_column(table, "Learning rate", TABLE_RIGHT, differs(listing, "lr") ? 1 : 4);
    for (size_t i = 0; i < listing->settings.count; i++)
        if (has_column(listing->settings.names[i]))
            table_column(table, listing->settings.names[i], TABLE_RIGHT, 1);
    table_column(table, "FLOPs", TABLE_RIGHT, 2);
    table_column(table, listing->fit.metric, TABLE_RIGHT, 0);
    table_column(table, "Training", TABLE_RIGHT, 3);
    table_column(table, "Attempts", TABLE_RIGHT, 5);
    table_column(table, "Key", TABLE_LEFT, 6);
    table_column(table, "Detail", TABLE_LEFT | TABLE_CUT, 4);
}

static int list_table(Source *source, Listing *listing, int state, const Cli *cli, Error *error) {
    Error ignored = {0};
    if (table_new(&listing->table, cli, error) < 0)
        return -1;
    source_fit_settings(source, &listing->study.sweep, &listing->fit, &ignored); /* else the defaults */
    add_columns(listing);
    int result = source_runs(source, &listing->study.sweep, state, add_row, listing, error);
    if (!result)
        result = table_print(listing->table, error);
    table_free(listing->table);
    return result;
}

static int list_json(Source *source, Listing *listing, int state, Error *error) {
    Buffer out;
    listing->json = &out;
    buffer_init(&out, (size_t)1 << 34);
    buffer_append_text(&out, "{\"schema_version\":1,\"sweep\":");
    buffer_append_json(&out, listing->study.name);
    buffer_append_text(&out, ",\"runs\":[");
    int result = source_runs(source, &listing->study.sweep, state, add_json, listing, error);
    buffer_append_text(&out, "]}\n");
    if (!result)
        result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

int verb_runs(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    SweepRecord sweep;
    Listing listing = {0};
    RunState state = RUN_PENDING;
    const char *wanted = arguments_text(arguments, "state", NULL);
    int filter = wanted && run_state_find(wanted, &state) == 0 ? (int)state : -1;
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = source_sweep(source, arguments->positional, &sweep, error);
    if (!result)
        result = study_load_runs(&listing.study, source, &sweep, error);
    if (!result) {
        settings_differing(&listing.study, &listing.settings);
        result = arguments_flag(arguments, "json") ? list_json(source, &listing, filter, error)
                                                   : list_table(source, &listing, filter, cli, error);
    }
    study_deinit(&listing.study);
    source_free(source);
    return result;
}
