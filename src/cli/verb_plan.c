/* What a sweep would cost: every run is counted, none is kept, so that a grid of any size takes the memory of its models alone. */
#include "cli.h"
#include "design.h"
#include "format.h"
#include "rate.h"
#include "sweep_file.h"
#include "table.h"

#include <math.h>
#include <search.h>
#include <stdlib.h>

typedef struct PlanModel {
    Architecture arch;
    char name[ARCH_NAME_MAX];
    int64_t params, params_body, forward_macs; /* 0: not known before the program has told */
    int64_t runs;
    Flops flops;
} PlanModel;

typedef struct Plan {
    const Sweep *sweep;
    const Rate *rate; /* NULL: not known */
    int64_t runs;
    int workers;
    Flops flops;
    Flops transfers[RUN_TRANSFERS_MAX]; /* never a part of flops */
    double seconds, longest;            /* of one worker; of the longest run */
    void *tree;                         /* of PlanModel, by shape */
    PlanModel **models;                 /* owned; in the sweep's order */
    size_t model_count, model_capacity;
} Plan;

static int compare_shapes(const void *left, const void *right) {
    const Architecture *a = left, *b = right;
    const int64_t pairs[][2] = {{a->kind, b->kind},   {a->form, b->form},   {a->inputs, b->inputs},      {a->classes, b->classes},
                                {a->depth, b->depth}, {a->width, b->width}, {a->expansion, b->expansion}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] != pairs[i][1])
            return pairs[i][0] < pairs[i][1] ? -1 : 1;
    return 0;
}

static PlanModel *model_add(Plan *plan, const Run *run) {
    if (plan->model_count == plan->model_capacity) {
        size_t capacity = plan->model_capacity ? 2 * plan->model_capacity : 64;
        PlanModel **models = reallocarray(plan->models, capacity, sizeof(PlanModel *));
        if (!models)
            return NULL;
        plan->models = models;
        plan->model_capacity = capacity;
    }
    PlanModel *model = calloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->arch = run->model;
    run_model(run, model->name);
    model->params = run_params(run);
    model->params_body = run_params_body(run);
    model->forward_macs = run->trainer == TRAINER_EXTERNAL ? 0 : arch_forward_macs(&run->model);
    if (!tsearch(model, &plan->tree, compare_shapes)) {
        free(model);
        return NULL;
    }
    return plan->models[plan->model_count++] = model;
}

static void flops_add(Flops *sum, const Flops *flops) {
    sum->exact += flops->exact;
    sum->gemm += flops->gemm;
    sum->paper += flops->paper;
    sum->nd6 += flops->nd6;
}

static int plan_count(Plan *plan, Error *error) {
    SweepCursor cursor;
    Run run;
    PlanModel *model = NULL;
    sweep_cursor_init(&cursor, plan->sweep);
    while (sweep_cursor_next(&cursor, &run)) {
        if (!model || compare_shapes(model, &run.model)) {
            PlanModel **found = tfind(&run.model, &plan->tree, compare_shapes);
            model = found ? *found : model_add(plan, &run);
        }
        if (!model)
            return error_set(error, "out of memory");
        Flops flops = run_flops(&run);
        double seconds = plan->rate ? rate_run_seconds(plan->rate, &run) : 0;
        flops_add(&plan->flops, &flops);
        for (size_t i = 0; i < run.transfer_count; i++) {
            Flops transfer = run_transfer_flops(&run, i);
            flops_add(&plan->transfers[i], &transfer);
        }
        flops_add(&model->flops, &flops);
        model->runs++;
        plan->runs++;
        plan->seconds += seconds;
        plan->longest = fmax(plan->longest, seconds);
    }
    return 0;
}

static void plan_deinit(Plan *plan) {
    for (size_t i = 0; i < plan->model_count; i++) {
        tdelete(plan->models[i], &plan->tree, compare_shapes);
        free(plan->models[i]);
    }
    free(plan->models);
}

/* Runs are dealt out to workers as these become free, the dearest first: about the mean, but never less than the longest run. */
static double plan_eta(const Plan *plan) {
    return plan->rate && !sweep_is_external(plan->sweep) ? fmax(plan->seconds / plan->workers, plan->longest) : NAN;
}

static void encode_flops(const Flops *flops, Buffer *out) {
    buffer_append_text(out, "\"flops\":{\"exact\":");
    buffer_append_double(out, flops->exact);
    buffer_append_text(out, ",\"paper\":");
    buffer_append_double(out, flops->paper);
    buffer_append_text(out, ",\"6nd\":");
    buffer_append_double(out, flops->nd6);
    buffer_append_text(out, "}");
}

static void encode_transfers(const Plan *plan, Buffer *out) {
    for (size_t i = 0; i < sweep_transfer_count(plan->sweep); i++) {
        const Transfer *transfer = sweep_transfer(plan->sweep, i);
        buffer_printf(out, "%s{\"kind\":\"%s\",\"name\":", i ? "," : ",\"eval\":[", transfer_kind_text(transfer->kind));
        buffer_append_json(out, transfer->name);
        buffer_append_text(out, ",");
        encode_flops(&plan->transfers[i], out);
        buffer_append_text(out, "}");
    }
    if (sweep_transfer_count(plan->sweep) > 0)
        buffer_append_text(out, "]");
}

/* Why it can only be planned. */
static void encode_missing(const Plan *plan, Buffer *out) {
    Buffer missing;
    buffer_init(&missing, ERROR_TEXT_MAX);
    sweep_append_missing(plan->sweep, &missing);
    buffer_append_text(out, ",\"missing\":");
    if (missing.size)
        buffer_append_json(out, missing.data);
    else
        buffer_append_text(out, "null");
    buffer_deinit(&missing);
}

static int plan_print_json(const Plan *plan, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 30);
    buffer_append_text(&out, "{\"schema_version\":1,\"sweep\":");
    buffer_append_json(&out, sweep_name(plan->sweep));
    buffer_printf(&out, ",\"runs\":%lld,", (long long)plan->runs);
    encode_flops(&plan->flops, &out);
    buffer_append_text(&out, ",\"eta_seconds\":");
    buffer_append_double(&out, plan_eta(plan));
    buffer_printf(&out, ",\"workers\":%d,\"models\":[", plan->workers);
    for (size_t i = 0; i < plan->model_count; i++) {
        const PlanModel *model = plan->models[i];
        buffer_append_text(&out, i ? ",{\"name\":" : "{\"name\":");
        buffer_append_json(&out, model->name);
        buffer_printf(&out, ",\"params\":%lld,\"params_body\":%lld,\"forward_macs\":%lld,\"runs\":%lld,", (long long)model->params,
                      (long long)model->params_body, (long long)model->forward_macs, (long long)model->runs);
        encode_flops(&model->flops, &out);
        buffer_append_text(&out, "}");
    }
    buffer_append_text(&out, "]");
    encode_transfers(plan, &out);
    encode_missing(plan, &out);
    design_encode(plan->sweep, &out);
    buffer_append_text(&out, "}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

static void flops_cells(Table *table, const Flops *flops) {
    char text[FORMAT_MAX];
    table_cell(table, "%s", format_known_scaled(flops->exact, "", text));
    table_cell(table, "%s", format_known_scaled(flops->paper, "", text));
    table_cell(table, "%s", format_known_scaled(flops->nd6, "", text));
}

static void plan_rows(const Plan *plan, Table *table) {
    char text[FORMAT_MAX];
    for (size_t i = 0; i < plan->model_count; i++) {
        const PlanModel *model = plan->models[i];
        table_cell(table, "%s", model->name);
        table_cell(table, "%s", format_known_count(model->params, text));
        table_cell(table, "%s", format_known_count(model->params_body, text));
        table_cell(table, "%s", format_known_count(model->forward_macs, text));
        table_cell(table, "%s", format_count(model->runs, text));
        flops_cells(table, &model->flops);
    }
    table_cell(table, "all");
    table_color(table, "bold");
    for (int i = 0; i < 3; i++)
        table_cell(table, "%s", "");
    table_cell(table, "%s", format_count(plan->runs, text));
    flops_cells(table, &plan->flops);
}

/* What the items of eval take is no part of a run's compute. */
static int transfers_print(const Plan *plan, const Cli *cli, Error *error) {
    Table *table;
    if (sweep_transfer_count(plan->sweep) == 0)
        return 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    cli_say(cli, "\nBeside that, counted apart, what eval takes:\n");
    table_column(table, "Eval", TABLE_LEFT, 0);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, "Epochs", TABLE_RIGHT, 0);
    table_column(table, "FLOPs exact", TABLE_RIGHT, 0);
    table_column(table, "paper", TABLE_RIGHT, 0);
    table_column(table, "6nd", TABLE_RIGHT, 0);
    for (size_t i = 0; i < sweep_transfer_count(plan->sweep); i++) {
        const Transfer *transfer = sweep_transfer(plan->sweep, i);
        table_cell(table, "%s.%s", transfer_kind_text(transfer->kind), transfer->name);
        table_cell(table, "%lld", (long long)transfer->examples);
        table_cell(table, "%lld", (long long)transfer->epochs);
        flops_cells(table, &plan->transfers[i]);
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static void missing_print(const Plan *plan, const Cli *cli) {
    Buffer missing;
    buffer_init(&missing, ERROR_TEXT_MAX);
    sweep_append_missing(plan->sweep, &missing);
    if (missing.size)
        cli_say(cli, "\nIt cannot be run yet: %s.", missing.data);
    buffer_deinit(&missing);
}

static int plan_print(const Plan *plan, const Cli *cli, Error *error) {
    Table *table;
    char text[FORMAT_MAX], other[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    printf("%s: %s runs, %s\n\n", sweep_name(plan->sweep), format_count(plan->runs, text),
           sweep_is_simulated(plan->sweep)   ? "simulated"
           : sweep_is_external(plan->sweep)  ? "an external program"
           : sweep_is_plan_only(plan->sweep) ? "for planning"
                                             : sweep_data_name(plan->sweep));
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    table_column(table, "in blocks", TABLE_RIGHT, 1);
    table_column(table, "Forward MACs", TABLE_RIGHT, 0);
    table_column(table, "Runs", TABLE_RIGHT, 0);
    table_column(table, "FLOPs exact", TABLE_RIGHT, 0);
    table_column(table, "paper", TABLE_RIGHT, 0);
    table_column(table, "6nd", TABLE_RIGHT, 0);
    plan_rows(plan, table);
    int result = table_print(table, error);
    table_free(table);
    cli_say(cli, "\nForward MACs: multiply-adds for one example. FLOPs of training, counted in three ways: exact: executed, 2 for a "
                 "multiply-add; paper: 3 N T (MACs + 5 per LayerNorm element); 6nd: 6 P N T.");
    if (!result)
        result = transfers_print(plan, cli, error);
    if (plan->rate && !sweep_is_external(plan->sweep))
        printf("\nTime on this machine: about %s with %d worker%s (%s for one).\n", format_duration(plan_eta(plan), text), plan->workers,
               plan->workers == 1 ? "" : "s", format_duration(plan->seconds, other));
    missing_print(plan, cli);
    return result ? result : design_print(plan->sweep, cli, error);
}

int verb_plan(const Cli *cli, const Arguments *arguments, Error *error) {
    Buffer text;
    Sweep *sweep;
    Rate rate;
    Machine machine;
    char home[PATH_TEXT_MAX];
    Error unknown = {0};
    Plan plan = {0};
    int result = sweep_file_read(arguments->positional, &text, &sweep, error);
    if (result)
        goto out;
    machine_read(&machine);
    plan.sweep = sweep;
    plan.workers = (int)arguments_number(arguments, "workers", machine.cores);
    if (cli_home(cli, home, &unknown) == 0 && rate_read(&rate, home, &unknown) == 0)
        plan.rate = &rate;
    else
        cli_note("no time estimate, for this machine's rate is not known: %s", unknown.text);
    result = plan_count(&plan, error);
    if (!result)
        result = arguments_flag(arguments, "json") ? plan_print_json(&plan, error) : plan_print(&plan, cli, error);
out:
    plan_deinit(&plan);
    sweep_free(sweep);
    buffer_deinit(&text);
    return result;
}
