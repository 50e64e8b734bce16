/* A study with a fit by each method, the figures that gnuplot makes of it, and what they say. */
#pragma once

#include "../scratch.h"

#include <math.h>
#include <sys/stat.h>

#include "sweepd/plot.h"

enum { COUNT = 42, STEPS = 6 };

static FitPoint points[COUNT];
static PlotCurve curves[COUNT];
static double curve_flops[COUNT][STEPS], curve_metric[COUNT][STEPS];
static Fit parametric, isoflop, power, vpnls;
static FitHoldout holdout;
static PlotSeries series[2];

static inline int set_up(void **state) {
    if (scratch_setup(state) != 0) {
        return -1;
    }
    Rng rng;
    rng_init(&rng, 1, 1);
    for (size_t i = 0; i < COUNT; i++) {
        double params = 5e3 * pow(2, (double)(i / 6)), examples = 500 * pow(2.5, (double)(i % 6));
        double loss = (0.08 + 3 * pow(params, -0.4) + 5 * pow(examples, -0.45)) * exp(0.01 * rng_normal(&rng));
        points[i] = (FitPoint){params, examples, 90 * params * examples, loss, 1, (int64_t)i};
        snprintf(curves[i].label, sizeof curves[i].label, "B_1-Wi_%zu", i / 6);
        curves[i].params = params;
        curves[i].examples = examples;
        curves[i].count = STEPS;
        curves[i].flops = curve_flops[i];
        curves[i].metric = curve_metric[i];
        for (size_t j = 0; j < STEPS; j++) {
            curve_flops[i][j] = points[i].flops * (double)j / (STEPS - 1);
            curve_metric[i][j] = j == 0 ? 0.9 : loss * (1 + 1 / (double)j);
        }
    }
    /* IsoFLOP wants sizes around the optimum of each budget. */
    static FitPoint budgets[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        double flops = 1e12 * pow(10, 0.5 * (double)(i / 7));
        double params = 0.48 * pow(flops / 6, 0.53) * pow(2.5, (double)(i % 7) - 3), examples = flops / (6 * params);
        double loss = (0.08 + 3 * pow(params, -0.4) + 5 * pow(examples, -0.45)) * exp(0.002 * rng_normal(&rng));
        budgets[i] = (FitPoint){params, examples, flops, loss, 1, (int64_t)i};
    }
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 40;
    options.threads = 2;
    series[0] = (PlotSeries){"one study", "test_error", &parametric, points, COUNT};
    series[1] =
        (PlotSeries){"a/path/to/another whose name is longer than a line of the legend.csv", "test_error", &isoflop, budgets, COUNT};
    return fit_make(&parametric, FIT_PARAMETRIC, points, COUNT, &options, NULL) != 0 ||
           fit_make(&vpnls, FIT_VPNLS, points, COUNT, &options, NULL) != 0 ||
           fit_make(&power, FIT_POWER, points, COUNT, &options, NULL) != 0 ||
           fit_make(&isoflop, FIT_ISOFLOP, budgets, COUNT, &options, NULL) != 0 ||
           fit_holdout(&holdout, FIT_PARAMETRIC, points, COUNT, 0.3, &options, NULL) != 0;
}

static inline int tear_down(void **state) {
    fit_deinit(&parametric);
    fit_deinit(&vpnls);
    fit_deinit(&power);
    fit_deinit(&isoflop);
    fit_holdout_deinit(&holdout);
    return scratch_teardown(state);
}

static inline PlotStudy make_study(void) {
    return (PlotStudy){.sweep = "study",
                       .data_title = "Fashion-MNIST",
                       .metric = "test_error",
                       .flops_text = "exact FLOPs executed in training",
                       .points = points,
                       .point_count = COUNT,
                       .curves = curves,
                       .curve_count = COUNT,
                       .fits = {[FIT_PARAMETRIC] = &parametric, [FIT_ISOFLOP] = &isoflop},
                       .holdout = &holdout,
                       .series = series,
                       .series_count = 2};
}

static inline size_t file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static inline bool file_begins(const char *path, const char *begin) {
    Buffer text;
    buffer_init(&text, 1 << 24);
    bool begins = file_read(path, 1 << 24, &text, NULL) == 0 && text.size > strlen(begin) && memcmp(text.data, begin, strlen(begin)) == 0;
    buffer_deinit(&text);
    return begins;
}

/* Draws, and checks every path that was reported; returns how many. */
static inline size_t draw(const PlotStudy *study, PlotKind kind) {
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    int result = plot_draw(study, kind, scratch_root, &paths, &error);
    if (result != 0) {
        fail_msg("%s", error.text);
    }
    size_t count = 0;
    for (char *path = strtok(paths.data, "\n"); path != NULL; path = strtok(NULL, "\n"), count++) {
        size_t length = strlen(path);
        assert_true(file_size(path) > 0);
        if (strcmp(path + length - 4, ".png") == 0) {
            assert_true(file_size(path) > 10000 && file_begins(path, "\x89PNG\r\n"));
        } else if (strcmp(path + length - 4, ".svg") == 0) {
            assert_true(file_begins(path, "<?xml"));
        } else if (strcmp(path + length - 4, ".pdf") == 0) {
            assert_true(file_begins(path, "%PDF-"));
        } else {
            assert_string_equal(path + length - 4, ".tsv");
        }
    }
    buffer_deinit(&paths);
    return count;
}

/* A file of the study's figures: "-curves.svg", "-frontier.tsv". */
static inline void read_figure(const char *name, Buffer *out) {
    char path[PATH_TEXT_MAX];
    Error error = {0};
    assert_int_equal(path_format(path, &error, "%s/study%s", scratch_root, name), 0);
    buffer_init(out, 1 << 24);
    if (file_read(path, 1 << 24, out, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static inline void assert_figure_says(const char *name, const char *text, bool expected) {
    Buffer figure;
    read_figure(name, &figure);
    if ((strstr(figure.data, text) != NULL) != expected) {
        fail_msg("%s %s \"%s\"", name, expected ? "lacks" : "has", text);
    }
    buffer_deinit(&figure);
}
