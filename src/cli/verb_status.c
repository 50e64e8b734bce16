#include "format.h"
#include "progress.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *state_word(const SweepRecord *sweep) {
    if (strcmp(sweep->state, "active") != 0)
        return sweep->state;
    return !progress_finished(sweep) ? "active" : sweep->by_state[RUN_FAILED] ? "finished, with failures" : "finished";
}

static const char *state_color(const SweepRecord *sweep) {
    if (sweep->by_state[RUN_FAILED])
        return "red";
    return progress_finished(sweep) ? "green" : NULL;
}

/* ---- all sweeps ---- */

static void sweep_row(const SweepRecord *sweep, Table *table) {
    char text[FORMAT_MAX], done[FORMAT_MAX];
    table_cell(table, "%s", sweep->name);
    table_cell(table, "%s", state_word(sweep));
    table_color(table, state_color(sweep));
    table_cell(table, "%s", format_count(sweep->runs, text));
    for (RunState state = RUN_PENDING; state < RUN_STATES; state++) {
        table_cell(table, "%s", format_count(sweep->by_state[state], text));
        if (state == RUN_FAILED && sweep->by_state[state])
            table_color(table, "red");
    }
    table_cell(table, "%s", format_percent(progress_share(sweep), text));
    table_cell(table, "%s", format_scaled(sweep->done_flops, "FLOP", done));
    table_cell(table, "%s", format_known_scaled(sweep->planned_flops, "FLOP", text));
    table_cell(table, "%s", *sweep->data ? sweep->data : "-");
    table_cell(table, "%s", format_time(sweep->submitted_at, text));
}

static int print_all(const SweepRecord *sweeps, size_t count, const Cli *cli, Error *error) {
    Table *table;
    if (count == 0) {
        puts("no sweeps yet; 'sweepctl submit FILE' or 'sweepctl run FILE' adds one");
        return 0;
    }
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Sweep", TABLE_LEFT, 0);
    table_column(table, "State", TABLE_LEFT, 1);
    table_column(table, "Runs", TABLE_RIGHT, 0);
    table_column(table, "Pending", TABLE_RIGHT, 0);
    table_column(table, "Running", TABLE_RIGHT, 0);
    table_column(table, "Done", TABLE_RIGHT, 0);
    table_column(table, "Diverged", TABLE_RIGHT, 2);
    table_column(table, "Failed", TABLE_RIGHT, 0);
    table_column(table, "Cancelled", TABLE_RIGHT, 3);
    table_column(table, "Compute", TABLE_RIGHT, 0);
    table_column(table, "FLOPs done", TABLE_RIGHT, 4);
    table_column(table, "planned", TABLE_RIGHT, 4);
    table_column(table, "Data", TABLE_LEFT, 5);
    table_column(table, "Submitted", TABLE_LEFT, 6);
    for (size_t i = 0; i < count; i++)
        sweep_row(&sweeps[i], table);
    int result = table_print(table, error);
    table_free(table);
    for (size_t i = 0; i < count && result == 0; i++)
        if (*sweeps[i].waiting)
            cli_say(cli, "%s: %s", sweeps[i].name, sweeps[i].waiting);
    return result;
}

static void json_begin(Source *source, const char *problem, Buffer *out) {
    buffer_printf(out, "{\"schema_version\":1,\"daemon\":%s,\"problem\":", source_is_daemon(source) ? "true" : "false");
    buffer_append_json(out, problem);
}

static int print_all_json(Source *source, const char *problem, const SweepRecord *sweeps, size_t count, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 28);
    json_begin(source, problem, &out);
    buffer_append_text(&out, ",\"sweeps\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_append_text(&out, ",");
        sweep_record_encode(&sweeps[i], &out);
    }
    buffer_append_text(&out, "]}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

static int status_all(Source *source, const char *problem, const Cli *cli, bool json, Error *error) {
    SweepRecord *sweeps;
    size_t count;
    int result = source_sweeps(source, &sweeps, &count, error);
    if (!result)
        result = json ? print_all_json(source, problem, sweeps, count, error) : print_all(sweeps, count, cli, error);
    free(sweeps);
    return result;
}

/* ---- one sweep ---- */

static int print_running(Source *source, const Progress *progress, const Cli *cli, Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    FitSettings fit;
    Error ignored = {0};
    if (progress->running_count == 0)
        return 0;
    source_fit_settings(source, &progress->sweep, &fit, &ignored); /* else the defaults */
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Run", TABLE_RIGHT, 0);
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, "Seed", TABLE_RIGHT, 1);
    table_column(table, "Attempt", TABLE_RIGHT, 2);
    table_column(table, "Done", TABLE_RIGHT, 0);
    table_column(table, "Planned", TABLE_RIGHT, 0);
    table_column(table, fit.metric, TABLE_RIGHT, 0);
    table_column(table, "Started", TABLE_LEFT, 1);
    for (size_t i = 0; i < progress->running_count; i++) {
        const RunRecord *run = &progress->running[i];
        table_cell(table, "%lld", (long long)run->id);
        table_cell(table, "%s", run->model);
        table_cell(table, "%s", format_count(run->examples, text));
        table_cell(table, "%llu", (unsigned long long)run->seed);
        table_cell(table, "%lld", (long long)run->attempts);
        table_cell(table, "%s", format_percent(progress_run_share(run), text));
        table_cell(table, "%s", format_known_scaled(run->flops.exact, "FLOP", text));
        table_cell(table, "%s", run->has_point ? format_metric(fit.metric, point_metric(&run->last, fit.metric), text) : "-");
        table_cell(table, "%s", format_time(run->started_at, text));
    }
    putchar('\n');
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static int print_one(Source *source, const Progress *progress, const Cli *cli, Error *error) {
    const SweepRecord *sweep = &progress->sweep;
    char text[FORMAT_MAX], other[FORMAT_MAX];
    printf("%s: %s, %s%s%ssubmitted %s\n", sweep->name, state_word(sweep), *sweep->data ? "on " : "", sweep->data, *sweep->data ? ", " : "",
           format_time(sweep->submitted_at, text));
    printf("  runs     %s:", format_count(sweep->runs, text));
    const char *between = " ";
    for (RunState state = RUN_PENDING; state < RUN_STATES; state++) {
        if (!sweep->by_state[state] && state != RUN_DONE)
            continue;
        printf("%s%s %s", between, format_count(sweep->by_state[state], text), run_state_text(state));
        between = ", ";
    }
    printf("\n  compute  %s of %s", format_scaled(sweep->done_flops, "FLOP", text),
           format_known_scaled(sweep->planned_flops, "FLOP", other));
    printf(" (%s)\n", format_percent(progress_share(sweep), text));
    if (progress_finished(sweep) && sweep->last_ended_at > sweep->first_started_at && sweep->first_started_at > 0)
        printf("  took     %s from the first start to the last end\n",
               format_duration(sweep->last_ended_at - sweep->first_started_at, text));
    else if (isfinite(progress->seconds_left))
        printf("  rate     %s, %s left\n", format_scaled(progress->flops_per_second, "FLOP/s", text),
               format_left(progress->seconds_left, other));
    if (*sweep->waiting)
        cli_say(cli, "  waiting  %s", sweep->waiting);
    return print_running(source, progress, cli, error);
}

static int print_one_json(Source *source, const char *problem, const Progress *progress, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 24);
    json_begin(source, problem, &out);
    buffer_append_text(&out, ",\"sweep\":");
    sweep_record_encode(&progress->sweep, &out);
    buffer_printf(&out, ",\"finished\":%s,\"flops_per_second\":", progress_finished(&progress->sweep) ? "true" : "false");
    buffer_append_double(&out, progress->flops_per_second);
    buffer_append_text(&out, ",\"eta_seconds\":");
    buffer_append_double(&out, progress->seconds_left);
    buffer_append_text(&out, ",\"running\":[");
    for (size_t i = 0; i < progress->running_count; i++) {
        if (i)
            buffer_append_text(&out, ",");
        run_record_encode(&progress->running[i], &out);
    }
    buffer_append_text(&out, "]}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

static int status_one(Source *source, const char *name, const char *problem, const Cli *cli, bool json, Error *error) {
    Progress progress;
    int result = progress_read(&progress, source, name, error);
    if (result)
        return result;
    return json ? print_one_json(source, problem, &progress, error) : print_one(source, &progress, cli, error);
}

int verb_status(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    StatusRecord status = {0};
    bool json = arguments_flag(arguments, "json");
    const char *name = arguments->positional;
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (!result && source_is_daemon(source))
        result = source_status(source, &status, error);
    if (!result && !json && *status.problem)
        cli_note("%s%s", progress_problem, status.problem);
    if (!result)
        result = name ? status_one(source, name, status.problem, cli, json, error) : status_all(source, status.problem, cli, json, error);
    source_free(source);
    return result;
}
