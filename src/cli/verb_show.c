#include "format.h"
#include "source.h"
#include "table.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* ---- for scripts ---- */

static int print_spec(const RunDetail *detail, Error *error) {
    Buffer out;
    buffer_init(&out, RUN_SPEC_MAX + 1);
    int result = run_format(&detail->spec, &out, error);
    buffer_append_text(&out, "\n");
    if (!result)
        result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

static int print_json(const RunDetail *detail, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 28);
    buffer_append_text(&out, "{\"schema_version\":1,\"run\":");
    run_detail_encode(detail, &out);
    buffer_append_text(&out, "}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

/* ---- for people ---- */

static void print_data(const Run *run, const Cli *cli) {
    char text[FORMAT_MAX], other[FORMAT_MAX];
    cli_say_row(cli, "data", "%s: %s examples (subset seed %llu), %s set apart for validation",
                *run->data_name ? run->data_name : "sizes alone", format_count(run->examples, text), (unsigned long long)run->subset_seed,
                format_count(run->validation, other));
}

static void print_training(const Run *run, const Cli *cli) {
    const OptimizerSettings *optimizer = &run->optimizer;
    char rest[96] = "";
    cli_say_row(cli, "training", "%lld epochs, batch %lld, seed %llu, label smoothing %g", (long long)run->epochs, (long long)run->batch,
                (unsigned long long)run->seed, run->label_smoothing);
    if (optimizer->kind == OPTIMIZER_SGD)
        snprintf(rest, sizeof rest, "momentum %g", optimizer->momentum);
    else
        snprintf(rest, sizeof rest, "betas %g and %g", optimizer->beta1, optimizer->beta2);
    cli_say_row(cli, "optimizer", "%s, learning rate %g, weight decay %g, %s", optimizer_kind_text(optimizer->kind), optimizer->lr,
                optimizer->weight_decay, rest);
    if (run->schedule.kind == SCHEDULE_WSD)
        snprintf(rest, sizeof rest, ", decay over the last %g %%", 100 * run->schedule.decay);
    else
        *rest = '\0';
    cli_say_row(cli, "schedule", "%s, warm-up %g %% of the steps%s", schedule_kind_text(run->schedule.kind), 100 * run->schedule.warmup,
                rest);
}

/* ---- settings as a sweep file has them, on a line; digests are in --spec ---- */

static void append_members(json_t *map, Buffer *out);

static void append_flow(json_t *value, Buffer *out) {
    json_t *file = json_object_get(value, "file");
    if (file) {
        append_flow(file, out);
    } else if (json_is_object(value)) {
        buffer_append_text(out, "{");
        append_members(value, out);
        buffer_append_text(out, "}");
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            buffer_append_text(out, i ? ", " : "[");
            append_flow(json_array_get(value, i), out);
        }
        buffer_append_text(out, "]");
    } else if (json_is_string(value)) {
        buffer_append_text(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        buffer_printf(out, "%lld", (long long)json_integer_value(value));
    } else {
        buffer_printf(out, "%.6g", json_number_value(value));
    }
}

static void append_members(json_t *map, Buffer *out) {
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(map, key, value) {
        if (!strcmp(key, "digest"))
            continue;
        buffer_printf(out, "%s%s: ", count++ ? ", " : "", key);
        append_flow(value, out);
    }
}

/* Nothing where the map is absent. */
static void print_members(const char *label, json_t *map, const Cli *cli) {
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX);
    append_members(map, &text);
    if (text.size > 0)
        cli_say_row(cli, label, "%s", text.data);
    buffer_deinit(&text);
}

/* Its keys of train stand beside the others, and the model's classes are those of its data. */
static void print_item(json_t *item, const Cli *cli) {
    static const char *const first[] = {"kind", "name", "data"};
    json_t *line = json_object();
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        json_object_set(line, first[i], json_object_get(item, first[i]));
    json_object_update(line, item);
    json_object_update(line, json_object_get(item, "train"));
    json_object_del(line, "train");
    json_object_del(line, "model");
    print_members("eval", line, cli);
    json_decref(line);
}

static int print_measures(const Run *run, const Cli *cli, Error *error) {
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX);
    int result = run_format(run, &text, error);
    json_t *root = result ? NULL : json_loadb(text.data, text.size, 0, NULL), *items = json_object_get(root, "eval");
    print_members("augment", json_object_get(json_object_get(root, "train"), "augment"), cli);
    print_members("test", json_object_get(root, "test"), cli);
    for (size_t i = 0; i < json_array_size(items); i++)
        print_item(json_array_get(items, i), cli);
    json_decref(root);
    buffer_deinit(&text);
    return result;
}

static void print_trainer(const Run *run, const Cli *cli) {
    const Simulation *law = &run->simulation;
    if (run->trainer == TRAINER_EXTERNAL)
        cli_say_row(cli, "trainer", "external: %s", run->program.command);
    if (run->trainer == TRAINER_SIMULATED)
        cli_say_row(cli, "trainer", "simulated: loss = %g + %g P^-%g + %g N^-%g, noise %g", law->E, law->A, law->alpha, law->B, law->beta,
                    law->noise);
}

static void print_perceptron(const RunRecord *record, const Run *run, const Cli *cli) {
    char exact[FORMAT_MAX], gemm[FORMAT_MAX], paper[FORMAT_MAX], nd6[FORMAT_MAX];
    cli_say_row(cli, "model", "%s%s%s: %s parameters, %s of them in blocks", record->model,
                run->model.kind == MODEL_SMLP ? ", in the form of the paper's " : "",
                run->model.kind == MODEL_SMLP ? smlp_form_text(run->model.form) : "", format_count(record->params, exact),
                format_count(record->params_body, gemm));
    cli_say_row(cli, "FLOPs", "%s executed (%s in matrix products), %s by the paper's count, %s by 6ND",
                format_scaled(record->flops.exact, "", exact), format_scaled(record->flops.gemm, "", gemm),
                format_scaled(record->flops.paper, "", paper), format_scaled(record->flops.nd6, "", nd6));
}

static void print_external(const RunRecord *record, const Cli *cli) {
    char params[FORMAT_MAX], exact[FORMAT_MAX], nd6[FORMAT_MAX];
    if (record->params > 0 && record->flops.exact > 0)
        cli_say_row(cli, "model", "%s: %s parameters, %s, %s by 6ND", record->model, format_count(record->params, params),
                    format_scaled(record->flops.exact, "FLOP", exact), format_scaled(record->flops.nd6, "FLOP", nd6));
    else
        cli_say_row(cli, "model", "%s: parameters and FLOPs are known when its program has told", record->model);
}

static int print_record(const RunRecord *record, const Run *run, const Cli *cli, Error *error) {
    char text[FORMAT_MAX];
    printf("run %lld: %s%s%s\n", (long long)record->id, run_state_text(record->state), *record->detail ? ", " : "", record->detail);
    cli_say_row(cli, "key", "%s", record->key);
    if (run->trainer == TRAINER_EXTERNAL)
        print_external(record, cli);
    else
        print_perceptron(record, run, cli);
    print_data(run, cli);
    print_training(run, cli);
    int result = print_measures(run, cli, error);
    print_trainer(run, cli);
    if (*record->waiting)
        cli_say_row(cli, "waiting", "%s", record->waiting);
    else if (record->state == RUN_PENDING && record->memory_bytes > 0)
        cli_say_row(cli, "memory", "%s wanted", bytes_text(record->memory_bytes, text));
    if (record->gpus > 0)
        cli_say_row(cli, "GPUs", "%lld", (long long)record->gpus);
    if (record->has_point)
        cli_say_row(cli, "took", "%s of training", format_duration(record->seconds, text));
    return result;
}

static int print_attempts(const RunDetail *detail, const Cli *cli, Error *error) {
    Table *table;
    char text[FORMAT_MAX], gpus[GPUS_TEXT_MAX];
    if (detail->attempt_count == 0)
        return 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Attempt", TABLE_RIGHT, 0);
    table_column(table, "Outcome", TABLE_LEFT, 0);
    table_column(table, "Started", TABLE_LEFT, 1);
    table_column(table, "Took", TABLE_RIGHT, 0);
    table_column(table, "Host", TABLE_LEFT, 2);
    table_column(table, "Process", TABLE_RIGHT, 3);
    table_column(table, "Threads", TABLE_RIGHT, 3);
    table_column(table, "GPUs", TABLE_LEFT, 3);
    table_column(table, "Memory", TABLE_RIGHT, 2);
    table_column(table, "Version", TABLE_LEFT, 2);
    table_column(table, "Backend", TABLE_LEFT, 2);
    table_column(table, "Detail", TABLE_LEFT | TABLE_CUT, 1);
    for (size_t i = 0; i < detail->attempt_count; i++) {
        const AttemptRecord *attempt = &detail->attempts[i];
        double end = attempt->ended_at > 0 ? attempt->ended_at : clock_unix();
        table_cell(table, "%lld", (long long)attempt->number);
        table_cell(table, "%s", attempt->outcome == OUTCOME_OPEN ? "under way" : outcome_text(attempt->outcome));
        table_cell(table, "%s", format_time(attempt->started_at, text));
        table_cell(table, "%s", format_duration(attempt->started_at > 0 ? end - attempt->started_at : NAN, text));
        table_cell(table, "%s", attempt->environment.host);
        table_cell(table, "%lld", (long long)attempt->environment.pid);
        table_cell(table, "%lld", (long long)attempt->environment.threads);
        table_cell(table, "%s", attempt->gpus ? gpus_text(attempt->gpus, gpus) : "-");
        table_cell(table, "%s", attempt->environment.memory_bytes > 0 ? bytes_text(attempt->environment.memory_bytes, text) : "-");
        table_cell(table, "%s", attempt->environment.version);
        table_cell(table, "%s", *attempt->environment.backend ? attempt->environment.backend : "-");
        table_cell(table, "%s", attempt->detail);
    }
    putchar('\n');
    int result = table_print(table, error);
    table_free(table);
    if (!result)
        cli_say(cli, "\nProcessor of the last: %s", detail->attempts[detail->attempt_count - 1].environment.cpu);
    return result;
}

/* A metric of the run's points. */
typedef struct Measured {
    const char *name;
    size_t first, points; /* which point has it first, how many have it */
} Measured;

/* In the order of their first appearance. */
static size_t list_measured(const RunDetail *detail, Measured out[POINT_METRICS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < detail->point_count; i++)
        for (size_t j = 0; j < detail->points[i].metric_count; j++) {
            const char *name = detail->points[i].metrics[j].name;
            size_t k = 0;
            if (!format_is_metric(name))
                continue;
            while (k < count && strcmp(out[k].name, name) != 0)
                k++;
            if (k == POINT_METRICS_MAX)
                continue;
            if (k == count)
                out[count++] = (Measured){.name = name, .first = i};
            out[k].points++;
        }
    return count;
}

/* What a run of several points has at its end alone stands below the table, where each metric has a line. */
static bool is_at_end(const RunDetail *detail, const Measured *metric) {
    return detail->point_count > 1 && metric->first + 1 == detail->point_count;
}

static void print_end(const RunDetail *detail, const Measured *metrics, size_t count) {
    char text[FORMAT_MAX];
    const Point *last = &detail->points[detail->point_count - 1];
    int width = 0, values = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_at_end(detail, &metrics[i]))
            continue;
        int size = (int)strlen(metrics[i].name),
            value = (int)strlen(format_metric(metrics[i].name, point_metric(last, metrics[i].name), text));
        width = size > width ? size : width;
        values = value > values ? value : values;
    }
    if (width == 0)
        return;
    printf("\nAt the end\n");
    for (size_t i = 0; i < count; i++)
        if (is_at_end(detail, &metrics[i]))
            printf("  %-*s  %*s\n", width, metrics[i].name, values,
                   format_metric(metrics[i].name, point_metric(last, metrics[i].name), text));
}

static void add_point(Table *table, const RunDetail *detail, const Point *point, const Measured *metrics, size_t count) {
    char text[FORMAT_MAX];
    table_cell(table, "%lld", (long long)point->step);
    table_cell(table, "%s", format_count((int64_t)point->examples, text));
    table_cell(table, "%s", format_scaled(point->flops, "", text));
    table_cell(table, "%s", format_duration(point->seconds, text));
    for (size_t i = 0; i < count; i++)
        if (!is_at_end(detail, &metrics[i]))
            table_cell(table, "%s", format_metric(metrics[i].name, point_metric(point, metrics[i].name), text));
}

static int print_points(const RunDetail *detail, const Cli *cli, Error *error) {
    Table *table;
    Measured metrics[POINT_METRICS_MAX];
    size_t count = list_measured(detail, metrics);
    if (detail->point_count == 0)
        return 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Step", TABLE_RIGHT, 0);
    table_column(table, "Seen", TABLE_RIGHT, 0);
    table_column(table, "FLOPs", TABLE_RIGHT, 0);
    table_column(table, "Time", TABLE_RIGHT, 0);
    for (size_t i = 0; i < count; i++)
        if (!is_at_end(detail, &metrics[i]))
            table_column(table, metrics[i].name, TABLE_RIGHT, 0);
    for (size_t i = 0; i < detail->point_count; i++)
        add_point(table, detail, &detail->points[i], metrics, count);
    putchar('\n');
    int result = table_print_parts(table, 1, error);
    table_free(table);
    if (!result)
        print_end(detail, metrics, count);
    return result;
}

static int print_events(const RunDetail *detail, const Cli *cli, Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    if (detail->event_count == 0)
        return 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Event", TABLE_LEFT, 0);
    table_column(table, "At", TABLE_LEFT, 0);
    table_column(table, "Attempt", TABLE_RIGHT, 2);
    table_column(table, "Detail", TABLE_LEFT | TABLE_CUT, 1);
    for (size_t i = 0; i < detail->event_count; i++) {
        const EventRecord *event = &detail->events[i];
        table_cell(table, "%s", event->kind);
        table_cell(table, "%s", format_time(event->time, text));
        if (event->attempt_id)
            table_cell(table, "%lld", (long long)event->attempt_id);
        else
            table_cell(table, "%s", "");
        table_cell(table, "%s", event->detail);
    }
    putchar('\n');
    int result = table_print(table, error);
    table_free(table);
    return result;
}

int verb_show(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    RunDetail detail = {0};
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = source_run(source, arguments->positional, &detail, error);
    if (!result && arguments_flag(arguments, "spec"))
        result = print_spec(&detail, error);
    else if (!result && arguments_flag(arguments, "json"))
        result = print_json(&detail, error);
    else if (!result) {
        result = print_record(&detail.record, &detail.spec, cli, error);
        if (!result)
            result = print_attempts(&detail, cli, error);
        if (!result)
            result = print_points(&detail, cli, error);
        if (!result)
            result = print_events(&detail, cli, error);
    }
    run_detail_deinit(&detail);
    source_free(source);
    return result;
}
