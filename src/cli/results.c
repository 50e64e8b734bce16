/* The results of a study as one table: a row for each model, a column for each number of examples, in each cell the metric's mean over
 * the runs there (the seeds). When the columns do not fit side by side the table goes on below, with the models repeated. */
#include "format.h"
#include "study.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES_MAX = 256, LABEL_WIDTH = 26, CELL_WIDTH = 10, COLUMNS_MAX = 40 };

typedef struct Cell {
    double sum;
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

static int compare_models(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = (a->params > b->params) - (a->params < b->params);
    return order ? order : strcmp(a->model, b->model);
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
        cell->sum += run->metric;
        cell->finished++;
    } else {
        cell->other++;
        cell->note = state_note(run->state);
    }
}

static void cell_print(Table *table, const Cell *cell, const char *metric) {
    char text[FORMAT_MAX];
    if (cell->finished)
        table_cell(table, "%s%s", format_metric(metric, cell->sum / (double)cell->finished, text), cell->other ? "*" : "");
    else
        table_cell(table, "%s", cell->note ? cell->note : "-");
    if (cell->other)
        table_color(table, "red");
}

/* sorted: [count], by model. The sizes [first, last) get a column each. */
static int print_block(const Study *study, const Cli *cli, const StudyRun **sorted, const int64_t *sizes, size_t first, size_t last,
                       Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    for (size_t i = first; i < last; i++)
        table_column(table, format_count(sizes[i], text), TABLE_RIGHT, 0);
    for (size_t row = 0, end; row < study->run_count; row = end) {
        Cell cells[COLUMNS_MAX] = {0};
        for (end = row; end < study->run_count && !compare_models(&sorted[row], &sorted[end]); end++)
            for (size_t i = first; i < last; i++)
                if (sizes[i] == sorted[end]->examples)
                    cell_add(&cells[i - first], sorted[end]);
        table_cell(table, "%s", sorted[row]->model);
        table_cell(table, "%s", format_count((int64_t)sorted[row]->params, text));
        for (size_t i = first; i < last; i++)
            cell_print(table, &cells[i - first], study->options.metric);
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static bool several_seeds(const Study *study) {
    for (size_t i = 1; i < study->run_count; i++)
        if (study->runs[i].seed != study->runs[0].seed)
            return true;
    return false;
}

int study_print(const Study *study, const Cli *cli, Error *error) {
    int64_t sizes[SIZES_MAX];
    size_t size_count = find_sizes(study, sizes), columns = COLUMNS_MAX;
    if (cli->width)
        columns = cli->width > LABEL_WIDTH + CELL_WIDTH ? (size_t)(cli->width - LABEL_WIDTH) / CELL_WIDTH : 1;
    const StudyRun **sorted = calloc(study->run_count + 1, sizeof *sorted);
    if (!sorted)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < study->run_count; i++)
        sorted[i] = &study->runs[i];
    qsort(sorted, study->run_count, sizeof *sorted, compare_models);
    printf("%s by model and number of training examples%s\n\n", study->options.metric, several_seeds(study) ? ", mean over seeds" : "");
    int result = 0;
    for (size_t first = 0; first < size_count && !result; first += columns) {
        size_t last = first + columns < size_count ? first + columns : size_count;
        result = print_block(study, cli, sorted, sizes, first, last < first + COLUMNS_MAX ? last : first + COLUMNS_MAX, error);
        putchar('\n');
    }
    free(sorted);
    return result;
}
