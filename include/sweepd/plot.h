/* plot: tables for gnuplot; runs the scripts of plots/ (embedded at build time) by a pipe. Every figure comes as PNG, SVG and PDF. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/fit.h"

/* One training curve. */
typedef struct PlotCurve {
    char label[64]; /* the model's name */
    double params, examples;
    size_t count;
    const double *flops;  /* [count], ascending, the caller's */
    const double *metric; /* [count], the caller's */
} PlotCurve;

/* One of several studies that are laid beside each other. */
typedef struct PlotSeries {
    const char *name;
    const char *metric; /* that is fitted */
    const Fit *fit;     /* with a frontier */
    const FitPoint *points;
    size_t point_count;
} PlotSeries;

/* All of it is the caller's. */
typedef struct PlotStudy {
    const char *sweep;      /* its name */
    const char *data_title; /* "Fashion-MNIST", or ""; of a comparison the whole title */
    const char *metric;     /* "test_error" */
    const char *flops_text; /* the convention in words: "exact FLOPs executed in training" */
    const FitPoint *points; /* finished runs */
    size_t point_count;
    const PlotCurve *curves;
    size_t curve_count;
    const Fit *fits[FIT_METHODS];      /* NULL: not made */
    const char *refusals[FIT_METHODS]; /* why not; NULL: it was not asked for */
    const FitHoldout *holdout;         /* or NULL */
    const PlotSeries *series;
    size_t series_count;
} PlotStudy;

typedef enum {
    PLOT_ERROR_COMPUTE,
    PLOT_FRONTIER,
    PLOT_CURVES,
    PLOT_ISOFLOP,
    PLOT_CONTOURS,
    PLOT_RESIDUALS,
    PLOT_CLOUD,
    PLOT_HOLDOUT,
    PLOT_COMPARISON, /* of `series`; the others are of one study */
    PLOT_KINDS
} PlotKind;

const char *plot_kind_text(PlotKind kind); /* "error-compute", "frontier", ... */

enum {
    PLOT_NO_GNUPLOT = 1, /* the tables were written, the pictures not */
    PLOT_NOTHING = 2,    /* no finished run, no fit or no curve to draw; the error says which */
};

/* Writes directory/SWEEP-KIND.png, .svg and .pdf and the tables they are drawn from (.tsv), directory made when missing. paths: what was
 * written, one per line, the tables last. 0, PLOT_NO_GNUPLOT, PLOT_NOTHING, -1. */
int plot_draw(const PlotStudy *study, PlotKind kind, const char *directory, Buffer *paths, Error *error);
