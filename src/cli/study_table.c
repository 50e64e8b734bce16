/* A study from a CSV file: its rows are points already. */
#include "study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CSV_MAX = 1 << 30 };

static const FitSettings table_settings = {.metric = "loss", .methods = 1u << FIT_PARAMETRIC | 1u << FIT_ISOFLOP, .bootstrap = 1000};

/* ---- --where ---- */

typedef struct RowFields {
    const char *const *names, *const *values; /* [count] */
    size_t count;
} RowFields;

typedef struct RowFilter {
    Study *study;
    char names[512]; /* of the columns, for messages */
} RowFilter;

static WhereField row_field(const void *context, const char *name) {
    const RowFields *row = context;
    for (size_t i = 0; i < row->count; i++) {
        if (strcmp(row->names[i], name) != 0)
            continue;
        const char *text = row->values[i];
        char *end;
        double number = strtod(text, &end);
        bool is_number = end > text && !*end && isfinite(number);
        return (WhereField){is_number ? number : NAN, is_number ? NULL : text};
    }
    return (WhereField){NAN, NULL};
}

static void list_names(RowFilter *filter, const char *const *names, size_t count) {
    for (size_t i = 0, used = 0; i < count && used < sizeof filter->names; i++)
        used += (size_t)snprintf(filter->names + used, sizeof filter->names - used, "%s%s", i ? ", " : "", names[i]);
}

static int keep_row(void *context, const char *const *names, const char *const *values, size_t count, bool *wanted, Error *error) {
    RowFilter *filter = context;
    const RowFields row = {names, values, count};
    if (!filter->names[0])
        list_names(filter, names, count);
    int result = where_holds(&filter->study->options.where, row_field, &row, wanted, error);
    filter->study->left_out.unwanted += !result && !*wanted;
    return result;
}

/* ---- reading ---- */

static int read_points(Study *study, const char *path, Error *error) {
    Buffer text;
    RowFilter rows = {.study = study};
    const FitCsvFilter filter = {keep_row, &rows};
    buffer_init(&text, CSV_MAX);
    int result = file_read(strcmp(path, "-") ? path : "/dev/stdin", CSV_MAX, &text, error) < 0 ? CLI_USAGE : 0;
    if (!result)
        result = fit_points_read_csv(&study->points, &study->point_count, text.data ? text.data : "", text.size, study->name,
                                     study->options.where.count ? &filter : NULL, error);
    if (!result)
        result = where_check_names(&study->options.where, rows.names, error);
    buffer_deinit(&text);
    return result == FIT_CSV_INVALID ? CLI_USAGE : result;
}

int study_open_table(Study *out, const char *path, const Arguments *arguments, Error *error) {
    *out = (Study){.of_table = true};
    text_copy(out->name, sizeof out->name, strcmp(path, "-") ? path : "standard input");
    bool counts =
        cli_option_find(arguments->command, "convention") ? arguments_flag(arguments, "convention") : arguments_flag(arguments, "flops");
    if (counts || arguments_flag(arguments, "params"))
        return cli_usage(error, "how flops and params are counted is chosen for sweeps; a table has its own columns of those names");
    int result = study_options_read(&out->options, arguments, &table_settings, error);
    if (!result)
        result = read_points(out, path, error);
    if (!result)
        result = study_drop_first(out, error);
    if (result)
        study_deinit(out);
    return result;
}
