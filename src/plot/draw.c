#include "internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const KINDS[PLOT_KINDS] = {"error-compute", "frontier", "curves",  "isoflop",   "contours",
                                              "residuals",     "cloud",    "holdout", "comparison"};
static const char *const FORMATS[] = {"png", "svg", "pdf"};
enum { FORMAT_COUNT = sizeof FORMATS / sizeof *FORMATS };

const char *plot_kind_text(PlotKind kind) {
    return KINDS[kind];
}

/* A gnuplot string. In double quotes gnuplot runs backquotes and expands macros, in single ones it stumbles over quotes: so
 * whatever is not plainly harmless is written as an octal escape. The string ends behind an escape and another is joined to it, for gnuplot
 * would read a digit that follows as part of it. */
static void append_quoted(Buffer *buffer, const char *text) {
    buffer_append_text(buffer, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (isalnum(*c) || *c >= 0x80 || strchr(" .,:;()[]-_/+*=%", *c) != NULL) {
            buffer_append(buffer, c, 1);
        } else if ((*c > ' ' && *c < 0x7f) || *c == '\n') {
            buffer_printf(buffer, "\\%03o\".\"", *c);
        }
    }
    buffer_append_text(buffer, "\"\n");
}

void figure_set_text(Figure *figure, const char *name, const char *text) {
    buffer_printf(&figure->variables, "%s = ", name);
    append_quoted(&figure->variables, text);
}

void figure_set_text_at(Figure *figure, const char *name, size_t index, const char *text) {
    buffer_printf(&figure->variables, "%s_%zu = ", name, index);
    append_quoted(&figure->variables, text);
}

void figure_set_count(Figure *figure, const char *name, size_t value) {
    buffer_printf(&figure->variables, "%s = %zu\n", name, value);
}

/* Breaks a text, in place, into lines of at most `width` bytes, at spaces; a word longer than a line is cut short. Returns the lines. */
static size_t wrap(char *text, size_t width) {
    size_t lines = 1, from = 0, space = 0, out = 0;
    for (const char *c = text; *c != '\0'; c++) {
        char plain = (unsigned char)*c < ' ' ? ' ' : *c;
        if (out - from >= width && plain != ' ') {
            if (space <= from) {
                /* Where no space is, the rest of the word goes. */
                continue;
            }
            text[space] = '\n';
            from = space + 1;
            lines++;
        }
        if (plain == ' ') {
            space = out;
        }
        text[out++] = plain;
    }
    text[out] = '\0';
    return lines;
}

static void set_wrapped(Figure *figure, const char *name, const char *text, size_t width) {
    char lines[512], rows[64];
    text_copy(lines, sizeof lines, text);
    snprintf(rows, sizeof rows, "%s_ROWS", name);
    figure_set_count(figure, rows, *text != '\0' ? wrap(lines, width) : 0);
    figure_set_text(figure, name, lines);
}

void figure_set_lines(Figure *figure, const char *name, const char *text) {
    enum { WIDTH = 46 };
    set_wrapped(figure, name, text, WIDTH);
}

void figure_set_note(Figure *figure, const char *name, const char *text) {
    enum { WIDTH = 58 };
    set_wrapped(figure, name, text, WIDTH);
}

void figure_format_exponent(const FitEstimate *exponent, char out[96]) {
    if (isfinite(exponent->lo) && isfinite(exponent->hi)) {
        snprintf(out, 96, "%.2f (95 %% interval %.2f to %.2f)", exponent->value, exponent->lo, exponent->hi);
    } else {
        snprintf(out, 96, "%.2f (no interval)", exponent->value);
    }
}

/* The sweep's name as the beginning of a file's name: no path, nothing that a shell or gnuplot reads as more than a name. */
static void make_stem(char stem[PLOT_STEM_MAX], const char *sweep, PlotKind kind) {
    enum { NAME_MAX_LENGTH = 100 };
    size_t length = 0;
    for (const char *c = sweep; *c != '\0' && length < NAME_MAX_LENGTH; c++) {
        bool plain = isalnum((unsigned char)*c) || *c == '_' || (length > 0 && (*c == '-' || *c == '.'));
        stem[length++] = plain ? *c : '_';
    }
    snprintf(stem + length, PLOT_STEM_MAX - length, "%s%s", length > 0 ? "-" : "", KINDS[kind]);
}

static const char *script_text(const char *kind) {
    char name[64];
    snprintf(name, sizeof name, "%s.gp", kind);
    for (const struct EmbeddedFile *file = plots_files; file->name != NULL; file++) {
        if (strcmp(file->name, name) == 0) {
            return file->text;
        }
    }
    return "";
}

/* "test_error" as words, with what it is measured in. */
static void set_metric(Figure *figure) {
    char words[64], label[128];
    text_copy(words, sizeof words, figure->study->metric);
    for (char *c = words; *c != '\0'; c++) {
        *c = *c == '_' ? ' ' : *c;
    }
    size_t length = strlen(words);
    const char *unit = "";
    if (length >= 5 && strcmp(words + length - 5, "error") == 0) {
        unit = " [fraction misclassified]";
    } else if (length >= 4 && strcmp(words + length - 4, "loss") == 0) {
        unit = " [nat]";
    }
    snprintf(label, sizeof label, "%s%s", words, unit);
    figure_set_text(figure, "METRIC", words);
    figure_set_text(figure, "METRIC_LABEL", label);
}

static void set_title(Figure *figure, size_t runs) {
    char title[400];
    const char *data = figure->study->data_title;
    snprintf(title, sizeof title, "%.160s%s%.160s: %zu run%s", figure->study->sweep, *data ? " on " : "", data, runs, runs == 1 ? "" : "s");
    figure_set_lines(figure, "TITLE", title);
}

static int start_format(Figure *figure, PlotKind kind, const char *format, Gnuplot *out) {
    Buffer script;
    buffer_init(&script, PLOT_TEXT_MAX);
    buffer_append(&script, figure->variables.data, figure->variables.size);
    buffer_printf(&script, "FORMAT = '%s'\n", format);
    buffer_append_text(&script, script_text("common"));
    buffer_append_text(&script, script_text(KINDS[kind]));
    int result = buffer_check(&script, figure->error, "the script of a figure");
    if (result == 0) {
        result = gnuplot_start(out, figure->directory, &script, figure->error);
    }
    buffer_deinit(&script);
    return result;
}

/* All formats at the same time, each by a gnuplot of its own. Whatever was started is waited for; the first error stays. */
static int draw_formats(Figure *figure, PlotKind kind) {
    Gnuplot started[FORMAT_COUNT];
    size_t count = 0;
    int result = 0;
    while (count < FORMAT_COUNT && (result = start_format(figure, kind, FORMATS[count], &started[count])) == 0) {
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        int finished = gnuplot_finish(&started[i], result == 0 ? figure->error : NULL);
        if (finished == 0) {
            buffer_printf(figure->paths, "%s/%s.%s\n", figure->directory, figure->stem, FORMATS[i]);
        } else if (result == 0) {
            result = finished;
        }
    }
    return result;
}

int plot_draw(const PlotStudy *study, PlotKind kind, const char *directory, Buffer *paths, Error *error) {
    static int (*const tables[PLOT_KINDS])(Figure *) = {table_error_compute, table_frontier, table_curves,  table_isoflop,   table_contours,
                                                        table_residuals,     table_cloud,    table_holdout, table_comparison};
    Figure figure = {.study = study, .directory = directory, .paths = paths, .error = error};
    if (directory_make(directory, 0777, error) < 0) {
        return -1;
    }
    buffer_init(&figure.variables, PLOT_TEXT_MAX);
    buffer_init(&figure.tables, PLOT_TEXT_MAX);
    make_stem(figure.stem, study->sweep, kind);
    figure_set_text(&figure, "STEM", figure.stem);
    if (kind == PLOT_COMPARISON) {
        figure_set_lines(&figure, "TITLE", study->data_title);
    } else {
        set_title(&figure, kind == PLOT_CURVES ? study->curve_count : study->point_count);
    }
    figure_set_lines(&figure, "FLOPS", study->flops_text);
    set_metric(&figure);
    int result = tables[kind](&figure);
    if (result == 0) {
        result = buffer_check(&figure.variables, error, "the variables of a figure");
    }
    if (result == 0) {
        result = draw_formats(&figure, kind);
    }
    if (figure.tables.size > 0) {
        buffer_append(paths, figure.tables.data, figure.tables.size);
    }
    buffer_deinit(&figure.tables);
    buffer_deinit(&figure.variables);
    return result < 0 ? error_prefix(error, "plot %s", KINDS[kind]) : result;
}
