/* What the files of plot share. A figure is a set of tables and a script's variables; gnuplot reads both and nothing else. */
#pragma once

#include "sweepd/plot.h"

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

/* The tables of each figure and the variables that go with them. 0, PLOT_NOTHING, -1. */
int table_error_compute(Figure *figure);
int table_frontier(Figure *figure);
int table_curves(Figure *figure);

/* Runs gnuplot in `directory` on a script; its complaints become the error. 0, PLOT_NO_GNUPLOT, -1. */
int gnuplot_run(const char *directory, const Buffer *script, Error *error);
