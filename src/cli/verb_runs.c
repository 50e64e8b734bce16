#include "format.h"
#include "source.h"
#include "table.h"

#include <string.h>

typedef struct Listing {
    Table *table; /* or */
    Buffer *json;
    size_t count;
} Listing;

static const char *state_color(RunState state) {
    return state == RUN_DONE ? "green" : state == RUN_FAILED ? "red" : state == RUN_DIVERGED ? "brown" : NULL;
}

static int add_row(void *context, const RunRecord *run, Error *error) {
    (void)error;
    Table *table = ((Listing *)context)->table;
    char text[FORMAT_MAX];
    table_cell(table, "%lld", (long long)run->id);
    table_cell(table, "%s", run_state_text(run->state));
    table_color(table, state_color(run->state));
    table_cell(table, "%s", run->model);
    table_cell(table, "%s", format_count(run->params, text));
    table_cell(table, "%s", format_count(run->examples, text));
    table_cell(table, "%llu", (unsigned long long)run->seed);
    table_cell(table, "%.3g", run->lr);
    table_cell(table, "%s", format_scaled(run->flops.exact, "FLOP", text));
    table_cell(table, "%s", run->has_point ? format_metric("test_error", point_metric(&run->last, "test_error"), text) : "-");
    table_cell(table, "%s", run->has_point ? format_duration(run->seconds, text) : "-");
    table_cell(table, "%lld", (long long)run->attempts);
    table_cell(table, "%.12s", run->key);
    table_cell(table, "%s", *run->waiting ? run->waiting : run->detail);
    return 0;
}

static int add_json(void *context, const RunRecord *run, Error *error) {
    Listing *listing = context;
    if (listing->count++)
        buffer_append_text(listing->json, ",\n");
    run_record_encode(run, listing->json);
    return buffer_check(listing->json, error, "the list of runs");
}

static int list_table(Source *source, const SweepRecord *sweep, int state, const Cli *cli, Error *error) {
    Listing listing = {0};
    if (table_new(&listing.table, cli, error) < 0)
        return -1;
    table_column(listing.table, "Run", TABLE_RIGHT, 0);
    table_column(listing.table, "State", TABLE_LEFT, 0);
    table_column(listing.table, "Model", TABLE_LEFT, 0);
    table_column(listing.table, "Parameters", TABLE_RIGHT, 1);
    table_column(listing.table, "Examples", TABLE_RIGHT, 0);
    table_column(listing.table, "Seed", TABLE_RIGHT, 1);
    table_column(listing.table, "Learning rate", TABLE_RIGHT, 4);
    table_column(listing.table, "FLOPs", TABLE_RIGHT, 2);
    table_column(listing.table, "Test error", TABLE_RIGHT, 0);
    table_column(listing.table, "Training", TABLE_RIGHT, 3);
    table_column(listing.table, "Attempts", TABLE_RIGHT, 5);
    table_column(listing.table, "Key", TABLE_LEFT, 6);
    table_column(listing.table, "Detail", TABLE_LEFT | TABLE_CUT, 4);
    int result = source_runs(source, sweep, state, add_row, &listing, error);
    if (!result)
        result = table_print(listing.table, error);
    table_free(listing.table);
    return result;
}

static int list_json(Source *source, const SweepRecord *sweep, int state, Error *error) {
    Buffer out;
    Listing listing = {.json = &out};
    buffer_init(&out, (size_t)1 << 34);
    buffer_append_text(&out, "{\"schema_version\":1,\"sweep\":");
    buffer_append_json(&out, sweep->name);
    buffer_append_text(&out, ",\"runs\":[");
    int result = source_runs(source, sweep, state, add_json, &listing, error);
    buffer_append_text(&out, "]}\n");
    if (!result)
        result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

int verb_runs(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    SweepRecord sweep;
    RunState state = RUN_PENDING;
    const char *wanted = arguments_text(arguments, "state", NULL);
    int filter = wanted && run_state_find(wanted, &state) == 0 ? (int)state : -1;
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = source_sweep(source, arguments->positional, &sweep, error);
    if (!result)
        result =
            arguments_flag(arguments, "json") ? list_json(source, &sweep, filter, error) : list_table(source, &sweep, filter, cli, error);
    source_free(source);
    return result;
}
