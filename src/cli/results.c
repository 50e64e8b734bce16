/* The results of a study as one table. Of a design: its budgets one after the other, a row for each model, the best of each marked. Else: a
 * row for each model and each of the settings that differ within a model, a column for each number of examples, so that in a cell the runs
 * differ in their seed alone; the cell is their mean, with their standard deviation. When the columns do not fit side by side the table
 * goes on below, with the models repeated. */
#include "format.h"
#include "settings.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES_MAX = 256, LABEL_WIDTH = 26, CELL_WIDTH = 10, SPREAD_WIDTH = 9, COLUMNS_MAX = 38 };

typedef struct Cell {
    double mean, squares; /* of those that finished; squared distances from the mean, summed */
    int64_t finished, other;
    const char *note; /* why a cell has no number */
} Cell;

static int compare_sizes(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The distinct numbers of examples, ascending; at most SIZES_MAX. */
static size_t find_sizes(const Study *study, int64_t sizes[SIZES_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < study->run_count && count < SIZES_MAX; i++) {
        int64_t examples = study->runs[i].examples;
        size_t j = 0;
        while (j < count && sizes[j] != examples)
            j++;
        if (j == count)
            sizes[count++] = examples;
    }
    qsort(sizes, count, sizeof *sizes, compare_sizes);
    return count;
}

static int compare_models(const StudyRun *a, const StudyRun *b) {
    int order = (a->params > b->params) - (a->params < b->params);
    return order ? order : strcmp(a->model, b->model);
}

/* What has a row of its own. */
static int compare_rows(const StudyRun *a, const StudyRun *b) {
    int order = compare_models(a, b);
    return order ? order : (a->setting > b->setting) - (a->setting < b->setting);
}

static int compare_runs(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = compare_rows(a, b);
    return order ? order : (a->examples > b->examples) - (a->examples < b->examples);
}

static const char *state_note(RunState state) {
    switch (state) {
    case RUN_DIVERGED:
        return "diverged";
    case RUN_FAILED:
        return "failed";
    case RUN_CANCELLED:
        return "cancelled";
    case RUN_DONE:
        return "no metric";
    default:
        return "open";
    }
}

static void cell_add(Cell *cell, const StudyRun *run) {
    if (isfinite(run->metric)) {
        double off = run->metric - cell->mean;
        cell->mean += off / (double)++cell->finished;
        cell->squares += off * (run->metric - cell->mean);
    } else {
        cell->other++;
        cell->note = state_note(run->state);
    }
}

static void cell_print(Table *table, const Cell *cell, const char *metric, bool spread) {
    char mean[FORMAT_MAX], deviation[FORMAT_MAX];
    format_metric(metric, cell->mean, mean);
    if (cell->finished > 1 && spread)
        table_cell(table, "%s (%s)%s", mean, format_metric(metric, sqrt(cell->squares / (double)(cell->finished - 1)), deviation),
                   cell->other ? "*" : "");
    else if (cell->finished)
        table_cell(table, "%s%s", mean, cell->other ? "*" : "");
    else
        table_cell(table, "%s", cell->note ? cell->note : "-");
    if (cell->other)
        table_color(table, "red");
}

/* What the sorted runs make of a table. */
typedef struct Layout {
    const StudyRun **sorted; /* [run_count], by row and examples */
    int64_t sizes[SIZES_MAX];
    size_t size_count;
    SettingNames settings; /* a column each: those that differ within some model */
    size_t settings_width;
    bool means;  /* some cell has several runs with the metric */
    bool marked; /* some cell has such and others */
} Layout;

/* Runs that differ in their seed alone: [first, last) of the sorted ones. */
typedef struct Group {
    size_t first, last;
    Cell cell;
} Group;

static Group group_at(const Study *study, const Layout *layout, size_t first) {
    Group group = {.first = first, .last = first};
    while (group.last < study->run_count && !compare_runs(&layout->sorted[first], &layout->sorted[group.last]))
        cell_add(&group.cell, layout->sorted[group.last++]);
    return group;
}

static bool has_marks(const Study *study, const Layout *layout) {
    bool marked = false;
    for (size_t i = 0; i < study->run_count && !marked;) {
        Group group = group_at(study, layout, i);
        marked = group.cell.finished && group.cell.other;
        i = group.last;
    }
    return marked;
}

static int layout_make(Layout *out, const Study *study, Error *error) {
    *out = (Layout){.sorted = calloc(study->run_count + 1, sizeof *out->sorted)};
    if (!out->sorted)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < study->run_count; i++)
        out->sorted[i] = &study->runs[i];
    qsort(out->sorted, study->run_count, sizeof *out->sorted, compare_runs);
    out->size_count = find_sizes(study, out->sizes);
    const StudyRun *measured = NULL;
    for (size_t i = 0; i < study->run_count; i++) {
        const StudyRun *run = out->sorted[i];
        if (i > 0 && !compare_models(out->sorted[i - 1], run))
            settings_compare(study, out->sorted[i - 1], run, &out->settings);
        if (isfinite(run->metric)) {
            out->means = out->means || (measured && !compare_runs(&measured, &run));
            measured = run;
        }
    }
    out->marked = has_marks(study, out);
    settings_drop_decided(study, &out->settings);
    for (size_t i = 0; i < out->settings.count; i++)
        out->settings_width += strlen(out->settings.names[i]) + CELL_WIDTH / 2;
    return 0;
}

static void row_print(Table *table, const Study *study, const Layout *layout, const StudyRun *run) {
    char text[FORMAT_MAX], value[SETTING_TEXT_MAX];
    table_cell(table, "%s", run->model);
    table_cell(table, "%s", format_known_count((int64_t)run->params, text));
    for (size_t i = 0; i < layout->settings.count; i++)
        table_cell(table, "%s", settings_value(study, run, layout->settings.names[i], value));
}

/* The sizes [first, last) get a column each. */
static int print_block(const Study *study, const Cli *cli, const Layout *layout, size_t first, size_t last, Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    for (size_t i = 0; i < layout->settings.count; i++)
        table_column(table, layout->settings.names[i], TABLE_RIGHT, 0);
    for (size_t i = first; i < last; i++)
        table_column(table, format_count(layout->sizes[i], text), TABLE_RIGHT, 0);
    for (size_t row = 0, end; row < study->run_count; row = end) {
        Cell cells[COLUMNS_MAX] = {0};
        for (end = row; end < study->run_count && !compare_rows(layout->sorted[row], layout->sorted[end]); end++)
            for (size_t i = first; i < last; i++)
                if (layout->sizes[i] == layout->sorted[end]->examples)
                    cell_add(&cells[i - first], layout->sorted[end]);
        row_print(table, study, layout, layout->sorted[row]);
        for (size_t i = first; i < last; i++)
            cell_print(table, &cells[i - first], study->options.metric, study->settings != NULL);
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

/* ---- by budget ---- */

static bool budget_has(const Design *design, const DesignBudget *budget, const StudyRun *run) {
    for (size_t i = 0; i < design->model_count; i++) {
        const DesignCell *cell = &budget->cells[i];
        if (cell->verdict == DESIGN_TAKEN && cell->depth == run->depth && cell->width == run->width && cell->examples == run->examples)
            return true;
    }
    return false;
}

/* budget NULL: the runs of none, which the file includes besides. */
static bool is_of_budget(const Design *design, const DesignBudget *budget, const StudyRun *run) {
    if (budget)
        return budget_has(design, budget, run);
    for (size_t i = 0; i < design->budget_count; i++)
        if (budget_has(design, &design->budgets[i], run))
            return false;
    return true;
}

static double best_of_budget(const Study *study, const Layout *layout, const Design *design, const DesignBudget *budget) {
    bool highest = strstr(study->options.metric, "accuracy") != NULL;
    double best = NAN;
    for (size_t i = 0; i < study->run_count;) {
        Group group = group_at(study, layout, i);
        i = group.last;
        if (group.cell.finished && is_of_budget(design, budget, layout->sorted[group.first]))
            best = highest ? fmax(best, group.cell.mean) : fmin(best, group.cell.mean);
    }
    return best;
}

static void budget_rows(Table *table, const Study *study, const Layout *layout, const Design *design, const DesignBudget *budget) {
    char text[FORMAT_MAX];
    double best = budget ? best_of_budget(study, layout, design, budget) : NAN;
    bool first = true;
    for (size_t i = 0; i < study->run_count;) {
        Group group = group_at(study, layout, i);
        const StudyRun *run = layout->sorted[group.first];
        i = group.last;
        if (!is_of_budget(design, budget, run))
            continue;
        table_cell(table, "%s", !first ? "" : budget ? format_scaled(budget->flops, "FLOP", text) : "none");
        row_print(table, study, layout, run);
        table_cell(table, "%s", format_count(run->examples, text));
        cell_print(table, &group.cell, study->options.metric, study->settings != NULL);
        table_cell(table, "%s", group.cell.finished && group.cell.mean == best ? "best" : "");
        first = false;
    }
}

static int print_budgets(const Study *study, const Cli *cli, const Layout *layout, const Design *design, Error *error) {
    Table *table;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Budget", TABLE_RIGHT, 0);
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    for (size_t i = 0; i < layout->settings.count; i++)
        table_column(table, layout->settings.names[i], TABLE_RIGHT, 0);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, study->options.metric, TABLE_RIGHT, 0);
    table_column(table, "Of its budget", TABLE_LEFT, 1);
    for (size_t i = 0; i < design->budget_count; i++)
        budget_rows(table, study, layout, design, &design->budgets[i]);
    budget_rows(table, study, layout, design, NULL);
    int result = table_print(table, error);
    table_free(table);
    putchar('\n');
    return result;
}

/* ---- all ---- */

/* A column for each number of examples, as many side by side as fit. */
static int print_sizes(const Study *study, const Cli *cli, const Layout *layout, Error *error) {
    size_t label = LABEL_WIDTH + layout->settings_width, columns = COLUMNS_MAX;
    size_t width = CELL_WIDTH + (layout->means && study->settings ? SPREAD_WIDTH : 0);
    if (cli->width)
        columns = (size_t)cli->width > label + width ? ((size_t)cli->width - label) / width : 1;
    columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
    /* Without the settings a cell may hold more than seeds. */
    int result = 0;
    for (size_t first = 0; first < layout->size_count && !result; first += columns) {
        size_t last = first + columns < layout->size_count ? first + columns : layout->size_count;
        result = print_block(study, cli, layout, first, last, error);
        putchar('\n');
    }
    return result;
}

int study_print(const Study *study, const Cli *cli, Error *error) {
    Layout layout;
    if (layout_make(&layout, study, error))
        return -1;
    const Design *design = study->file ? sweep_design(study->file) : NULL;
    const char *mean = !layout.means ? "" : study->settings ? ", mean over seeds (standard deviation)" : ", mean over all runs of a cell";
    printf("%s by %s%s%s%s\n\n", study->options.metric, design ? "budget and model" : "model", layout.settings.count ? ", settings" : "",
           design ? "" : " and number of training examples", mean);
    int result = design ? print_budgets(study, cli, &layout, design, error) : print_sizes(study, cli, &layout, error);
    if (!result && layout.marked)
        cli_say(cli,
                "* of some runs only: the others of the cell failed, diverged, were cancelled, have not finished, or lack the metric\n");
    free(layout.sorted);
    return result;
}
