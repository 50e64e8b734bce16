/* What the files of plot share. A figure is a set of tables and a script's variables; gnuplot reads both and nothing else. */
#pragma once

#include "sweepd/plot.h"

#include <math.h>
#include <sys/types.h>

/* plots/NAME.gp, as scripts/embed keeps it. */
struct EmbeddedFile {
    const char *name;
    const char *text;
    size_t size;
};
extern const struct EmbeddedFile plots_files[];

enum { PLOT_TEXT_MAX = 64 << 20, PLOT_SERIES_MAX = 12, PLOT_STEM_MAX = 160 };

/* A figure in the making. */
typedef struct Figure {
    const PlotStudy *study;
    const char *directory;
    char stem[PLOT_STEM_MAX]; /* SWEEP-KIND: what every file's name begins with */
    Buffer variables;         /* gnuplot assignments */
    Buffer tables;            /* paths of the tables written */
    Buffer *paths;
    Error *error;
} Figure;

/* Assignments that gnuplot reads back as given: nothing in a text can end its string. */
void figure_set_text(Figure *figure, const char *name, const char *text);
void figure_set_count(Figure *figure, const char *name, size_t value);
/* Broken into lines that fit the column; NAME_ROWS is how many. */
void figure_set_lines(Figure *figure, const char *name, const char *text);
/* Sets NAME_index; the script reads it by value(). */
void figure_set_text_at(Figure *figure, const char *name, size_t index, const char *text);

/* The same, but of the size of an axis's text, and 0 rows where the text is empty. */
void figure_set_note(Figure *figure, const char *name, const char *text);
/* "0.56 (95 % interval 0.50 to 0.62)". */
void figure_format_exponent(const FitEstimate *exponent, char out[96]);

/* ---- tables ---- */

enum { PLOT_LINE_POINTS = 121 };
#define PLOT_LEVEL 0.95

typedef struct Range {
    double low, high;
} Range;

#define PLOT_NO_RANGE                                                                                                                      \
    { INFINITY, 0 }

/* What the runs span. */
typedef struct Ranges {
    Range params, examples, flops;
} Ranges;

void range_take(Range *range, double value);
bool range_holds(const Range *range, double value);
/* The index'th of PLOT_LINE_POINTS log-spaced values. */
double range_at(const Range *range, int index);
Ranges study_ranges(const PlotStudy *study);
/* An optimum of which size and examples lie among the runs'. */
bool frontier_among(const Ranges *ranges, double params, double examples);
/* The parametric law, by whichever method; NULL: none. */
const Fit *study_law(const PlotStudy *study);

/* Cells end with tabs, the row with a newline; what is not finite is "NaN", which gnuplot takes for a gap. */
void table_append_row(Buffer *table, const double *cells, size_t count);
/* directory/STEMsuffix.tsv, with a failed buffer as an error. */
int table_write(Figure *figure, Buffer *table, const char *suffix);
/* Sorts and keeps one of each; returns how many. */
size_t values_keep_distinct(double *values, size_t count);
size_t values_index_of(const double *values, size_t count, double value);
/* "7,106", "124.8 million". */
void format_quantity(double value, char *out, size_t capacity);
/* "1.2 × 10⁹", in UTF-8. */
void format_power_of_ten(double value, char out[64]);

/* The tables of each figure and the variables that go with them. 0, PLOT_NOTHING, -1. */
int table_error_compute(Figure *figure);
int table_frontier(Figure *figure);
int table_curves(Figure *figure);
int table_isoflop(Figure *figure);
int table_contours(Figure *figure);
int table_residuals(Figure *figure);
int table_cloud(Figure *figure);
int table_holdout(Figure *figure);
int table_comparison(Figure *figure);

typedef struct Gnuplot {
    pid_t child;
    int complaints; /* read end of what it says */
} Gnuplot;

/* Starts gnuplot in `directory` on a script. 0, and the caller calls gnuplot_finish; PLOT_NO_GNUPLOT, -1. */
int gnuplot_start(Gnuplot *out, const char *directory, const Buffer *script, Error *error);
/* Waits for its end; its complaints become the error. 0, -1. */
int gnuplot_finish(Gnuplot *gnuplot, Error *error);
