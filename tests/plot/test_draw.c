/* Figures from a real fit by the real gnuplot; hostile names; what happens without gnuplot or without anything to draw. */
#include "sweepd/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT = 42, STEPS = 6 };

static char directory[PATH_TEXT_MAX];
static FitPoint points[COUNT];
static PlotCurve curves[COUNT];
static double curve_flops[COUNT][STEPS], curve_metric[COUNT][STEPS];
static Fit parametric, isoflop, power, vpnls;
static FitHoldout holdout;
static PlotSeries series[2];

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

static int set_up(void **state) {
    (void)state;
    text_copy(directory, sizeof directory, "/tmp/sweepd-plot-XXXXXX");
    if (mkdtemp(directory) == NULL) {
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

static int tear_down(void **state) {
    (void)state;
    fit_deinit(&parametric);
    fit_deinit(&vpnls);
    fit_deinit(&power);
    fit_deinit(&isoflop);
    fit_holdout_deinit(&holdout);
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static PlotStudy make_study(void) {
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

static size_t file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static bool file_begins(const char *path, const char *begin) {
    Buffer text;
    buffer_init(&text, 1 << 24);
    bool begins = file_read(path, 1 << 24, &text, NULL) == 0 && text.size > strlen(begin) && memcmp(text.data, begin, strlen(begin)) == 0;
    buffer_deinit(&text);
    return begins;
}

/* Draws, and checks every path that was reported; returns how many. */
static size_t draw(const PlotStudy *study, PlotKind kind) {
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    int result = plot_draw(study, kind, directory, &paths, &error);
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
static void read_figure(const char *name, Buffer *out) {
    char path[PATH_TEXT_MAX];
    Error error = {0};
    assert_int_equal(path_format(path, &error, "%s/study%s", directory, name), 0);
    buffer_init(out, 1 << 24);
    if (file_read(path, 1 << 24, out, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void assert_figure_says(const char *name, const char *text, bool expected) {
    Buffer figure;
    read_figure(name, &figure);
    if ((strstr(figure.data, text) != NULL) != expected) {
        fail_msg("%s %s \"%s\"", name, expected ? "lacks" : "has", text);
    }
    buffer_deinit(&figure);
}

static void test_draws_every_kind(void **state) {
    (void)state;
    PlotStudy study = make_study();
    static const size_t tables[PLOT_KINDS] = {
        [PLOT_ERROR_COMPUTE] = 3, [PLOT_FRONTIER] = 2, [PLOT_CURVES] = 1,  [PLOT_ISOFLOP] = 3,   [PLOT_CONTOURS] = 4,
        [PLOT_RESIDUALS] = 1,     [PLOT_CLOUD] = 1,    [PLOT_HOLDOUT] = 2, [PLOT_COMPARISON] = 2};
    for (int kind = 0; kind < PLOT_KINDS; kind++) {
        assert_int_equal(draw(&study, (PlotKind)kind), 3 + tables[kind]);
    }
    study.fits[FIT_POWER] = &power;
    study.fits[FIT_VPNLS] = &vpnls;
    study.fits[FIT_ENVELOPE] = &isoflop; /* any frontier does */
    draw(&study, PLOT_ERROR_COMPUTE);
    draw(&study, PLOT_FRONTIER);
    assert_figure_says("-error-compute.svg", "power law of the lowest", true);
    assert_figure_says("-frontier.svg", "by projection: slope", true);
    assert_figure_says("-frontier.svg", "envelope: slope", true);
}

static void test_draws_with_one_fit_or_none(void **state) {
    (void)state;
    PlotStudy study = make_study();
    study.fits[FIT_PARAMETRIC] = NULL;
    draw(&study, PLOT_FRONTIER);
    draw(&study, PLOT_ERROR_COMPUTE);
    study.fits[FIT_ISOFLOP] = NULL;
    draw(&study, PLOT_ERROR_COMPUTE);
    study.fits[FIT_PARAMETRIC] = &parametric;
    draw(&study, PLOT_FRONTIER);
    Fit bare = parametric;
    bare.cloud = NULL;
    bare.cloud_count = 0;
    bare.params.exponent.lo = bare.params.exponent.hi = NAN;
    study.fits[FIT_PARAMETRIC] = &bare;
    draw(&study, PLOT_FRONTIER);
    draw(&study, PLOT_ERROR_COMPUTE);
    draw(&study, PLOT_CONTOURS);
    study.fits[FIT_PARAMETRIC] = NULL;
    study.fits[FIT_VPNLS] = &vpnls;
    draw(&study, PLOT_RESIDUALS);
    draw(&study, PLOT_CLOUD);
}

static void test_draws_one_run_and_many_sizes(void **state) {
    (void)state;
    PlotStudy study = make_study();
    study.fits[FIT_PARAMETRIC] = NULL;
    study.point_count = 1;
    study.curve_count = 1;
    draw(&study, PLOT_ERROR_COMPUTE);
    draw(&study, PLOT_CURVES);
    FitPoint many[COUNT];
    PlotCurve many_curves[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = points[i];
        many[i].params *= 1 + 0.01 * (double)i;
        many_curves[i] = curves[i];
        many_curves[i].params = many[i].params;
    }
    study.points = many;
    study.point_count = COUNT;
    study.curves = many_curves;
    study.curve_count = COUNT;
    study.sweep = "many";
    draw(&study, PLOT_ERROR_COMPUTE);
    draw(&study, PLOT_CURVES);
}

/* Where the text before `at` begins, from its place in the SVG: <g transform="translate(X,Y)" ...><text>... */
static double text_begin(const char *svg, const char *at) {
    static const char begin[] = "translate(";
    while (at > svg && strncmp(at, begin, sizeof begin - 1) != 0) {
        at--;
    }
    return strtod(at + sizeof begin - 1, NULL);
}

/* The whole label is on the page, which is 340 units wide; a character of this font takes 5 at least. */
static void assert_on_page(const char *name, const char *label) {
    enum { PAGE = 340, CHARACTER = 5 };
    Buffer figure;
    char text[128];
    read_figure(name, &figure);
    snprintf(text, sizeof text, "<text>%s<", label);
    const char *at = strstr(figure.data, text);
    assert_non_null(at);
    if (text_begin(figure.data, at) + CHARACTER * (double)strlen(label) > PAGE) {
        fail_msg("\"%s\" begins at %g", label, text_begin(figure.data, at));
    }
    buffer_deinit(&figure);
}

/* Curves of `count` sizes from 124.8 million up, named like the paper's largest models. */
static void make_large(PlotCurve large[COUNT], FitPoint large_points[COUNT], size_t count, const char *format) {
    for (size_t i = 0; i < COUNT; i++) {
        large[i] = curves[i];
        large[i].params = 124843998 + 1e7 * (double)(i % count);
        snprintf(large[i].label, sizeof large[i].label, format, 1 + (int)(i % count));
        large_points[i] = points[i];
        large_points[i].params = large[i].params;
    }
}

static void test_long_labels_stay_on_the_page(void **state) {
    (void)state;
    PlotStudy study = make_study();
    PlotCurve large[COUNT];
    FitPoint large_points[COUNT];
    make_large(large, large_points, 10, "B_%d-Wi_1024_8");
    study.curves = large;
    study.points = large_points;
    draw(&study, PLOT_CURVES);
    assert_on_page("-curves.svg", "B_9-Wi_1024_8: 204.8 million");
    assert_on_page("-curves.svg", "B_1-Wi_1024_8: 124.8 million");
    draw(&study, PLOT_ERROR_COMPUTE);
    assert_on_page("-error-compute.svg", "204.8 million");
}

static void test_naming(void **state) {
    (void)state;
    static const struct {
        const char *format, *says;
    } namings[] = {{"B_%d-Wi_64", "B_(blocks)-Wi_(width): size"},
                   {"S_%d-Wi_64", "S_(blocks)-Wi_(width): size"},
                   {"B_%d-Wi_64_2", "B_(blocks)-Wi_(width)_(expansion): size"},
                   {"mine-%d", ">model: size"}};
    PlotStudy study = make_study();
    PlotCurve named[COUNT];
    FitPoint unused[COUNT];
    study.curves = named;
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        make_large(named, unused, 5, namings[i].format);
        draw(&study, PLOT_CURVES);
        assert_figure_says("-curves.svg", namings[i].says, true);
    }
    assert_figure_says("-curves.svg", "the best of each size", true);
    make_large(named, unused, 20, "B_%d-Wi_64");
    text_copy(named[0].label, sizeof named[0].label, "B_1-Wi_64_2");
    named[0].metric = (double[STEPS]){1, 1, 1, 1, 1, 0.001};
    draw(&study, PLOT_CURVES);
    assert_figure_says("-curves.svg", "the best of 12 of 20 sizes", true);
    assert_figure_says("-curves.svg", "B_(blocks)-Wi_(width)[_(expansion)]: size", true);
}

/* Of two runs of one size the one that ends lower is in front, whichever has more examples. */
static void test_best_curve_in_front(void **state) {
    (void)state;
    static const double steps[] = {1e9, 2e9}, low[] = {0.5, 0.25}, high[] = {0.8, 0.75};
    PlotCurve two[2] = {{.label = "B_1-Wi_8", .params = 1000, .examples = 9000, .count = 2, .flops = steps, .metric = high},
                        {.label = "B_1-Wi_8", .params = 1000, .examples = 500, .count = 2, .flops = steps, .metric = low}};
    PlotStudy study = make_study();
    study.curves = two;
    study.curve_count = 2;
    draw(&study, PLOT_CURVES);
    assert_figure_says("-curves.tsv", "\n1\t1000\t500\t2000000000\t0.25\n", true);
    assert_figure_says("-curves.tsv", "\n1\t1000\t9000\t", false);
}

/* One point is no line: a run that has but one is not in front, and where no run has more there is no figure. */
static void test_points_are_no_curves(void **state) {
    (void)state;
    static const double steps[] = {1e9, 2e9}, low[] = {0.25}, high[] = {0.8, 0.75};
    PlotCurve two[2] = {{.label = "B_1-Wi_8", .params = 1000, .examples = 9000, .count = 1, .flops = steps + 1, .metric = low},
                        {.label = "B_1-Wi_8", .params = 1000, .examples = 500, .count = 2, .flops = steps, .metric = high}};
    PlotStudy study = make_study();
    Buffer paths;
    Error error = {0};
    study.curves = two;
    study.curve_count = 2;
    draw(&study, PLOT_CURVES);
    assert_figure_says("-curves.tsv", "\n1\t1000\t500\t2000000000\t0.75\n", true);
    study.curve_count = 1;
    buffer_init(&paths, 1 << 16);
    assert_int_equal(plot_draw(&study, PLOT_CURVES, directory, &paths, &error), PLOT_NOTHING);
    assert_int_equal(paths.size, 0);
    if (!strstr(error.text, "at their end alone") || !strstr(error.text, study.metric))
        fail_msg("%s", error.text);
    buffer_deinit(&paths);
}

/* The keys name what is drawn and nothing else. */
static void test_keys(void **state) {
    (void)state;
    static const char *const figures[] = {"-frontier.svg", "-error-compute.svg"};
    PlotStudy study = make_study();
    FitPoint wide[COUNT + 2];
    memcpy(wide, points, sizeof points);
    draw(&study, PLOT_FRONTIER);
    assert_figure_says("-frontier.svg", "95 % interval of IsoFLOP", true);
    study.fits[FIT_ISOFLOP] = NULL;
    draw(&study, PLOT_FRONTIER);
    draw(&study, PLOT_ERROR_COMPUTE);
    assert_figure_says("-frontier.svg", "IsoFLOP", false);
    for (size_t i = 0; i < 2; i++) {
        assert_figure_says(figures[i], "beyond the sizes and data run", true);
    }
    /* Two runs widen the sizes and examples to both sides, within the compute of the rest: nothing of the frontier is beyond. */
    wide[COUNT] = (FitPoint){1, 1e12, points[0].flops, 0.5, 1, COUNT};
    wide[COUNT + 1] = (FitPoint){1e12, 1, points[0].flops, 0.5, 1, COUNT + 1};
    study.points = wide;
    study.point_count = COUNT + 2;
    draw(&study, PLOT_FRONTIER);
    draw(&study, PLOT_ERROR_COMPUTE);
    for (size_t i = 0; i < 2; i++) {
        assert_figure_says(figures[i], "beyond the sizes and data run", false);
    }
    Fit narrow = parametric;
    double same[FIT_FRONTIER_COLUMNS + FIT_PARAMETERS_MAX] = {parametric.params.exponent.value, parametric.params.coefficient.value,
                                                              parametric.examples.exponent.value, parametric.examples.coefficient.value};
    for (size_t i = 0; i < parametric.parameter_count; i++) {
        same[FIT_FRONTIER_COLUMNS + i] = parametric.parameters[i].estimate.value;
    }
    narrow.cloud = same;
    narrow.cloud_count = 1;
    study.fits[FIT_PARAMETRIC] = &narrow;
    draw(&study, PLOT_ERROR_COMPUTE);
    assert_figure_says("-error-compute.svg", "within its line", true);
}

/* The interval of IsoFLOP in the table is the cloud's percentiles around its line. */
static void test_isoflop_band(void **state) {
    (void)state;
    enum { CELLS = 19, SIDE = 9 };
    PlotStudy study = make_study();
    Buffer table;
    size_t rows = 0;
    draw(&study, PLOT_FRONTIER);
    read_figure("-frontier.tsv", &table);
    for (char *line = strchr(table.data, '\n'); line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n'), rows++) {
        double cells[CELLS];
        char *at = line + 1;
        for (size_t i = 0; i < CELLS; i++) {
            cells[i] = strtod(at, &at);
        }
        for (int examples = 0; examples < 2; examples++) {
            const double *side = cells + 1 + SIDE * examples;
            FitEstimate expected = fit_frontier_at(&isoflop, examples != 0, cells[0], 0.95);
            assert_true(fabs(side[3] / expected.value - 1) < 1e-9);
            assert_true(fabs(side[4] / expected.lo - 1) < 1e-9 && fabs(side[5] / expected.hi - 1) < 1e-9);
            assert_true(side[4] < side[5]);
        }
    }
    assert_int_equal(rows, 121);
    buffer_deinit(&table);
}

/* A row of a table as numbers; returns how many, *at moves to the next line. */
static size_t read_row(char **at, double *cells, size_t capacity) {
    size_t count = 0;
    char *end = strchr(*at, '\n');
    while (count < capacity && *at < end) {
        cells[count++] = strtod(*at, at);
    }
    *at = end + 1;
    return count;
}

/* A refused budget is drawn, as refused, and has no vertex. */
static void test_refused_budget(void **state) {
    (void)state;
    PlotStudy study = make_study();
    Fit some = isoflop;
    IsoflopBudget *budgets = calloc(isoflop.budget_count, sizeof *budgets);
    assert_non_null(budgets);
    memcpy(budgets, isoflop.budgets, isoflop.budget_count * sizeof *budgets);
    for (size_t i = 0; i < isoflop.budget_count; i++) {
        budgets[i].refused = false;
    }
    some.budgets = budgets;
    study.fits[FIT_ISOFLOP] = &some;
    draw(&study, PLOT_ISOFLOP);
    assert_figure_says("-isoflop.svg", "refused", false);
    budgets[1].refused = true;
    draw(&study, PLOT_ISOFLOP);
    assert_figure_says("-isoflop.svg", "refused, not in the fit: 1 of 6 budgets", true);
    assert_figure_says("-isoflop-vertices.tsv", "\n1\t", true);
    assert_figure_says("-isoflop-vertices.tsv", "\n2\t", false);
    free(budgets);
}

/* A refusal is told on the figure that it leaves a gap in; a digit at the start of one of its lines stays one. */
static void test_refusal_on_the_figure(void **state) {
    (void)state;
    PlotStudy study = make_study();
    study.fits[FIT_ISOFLOP] = NULL;
    study.refusals[FIT_ISOFLOP] = "01234567890123456789012345678901234567 121 budgets";
    draw(&study, PLOT_FRONTIER);
    assert_figure_says("-frontier.svg", "No IsoFLOP line:", true);
    assert_figure_says("-frontier.svg", "121 budgets", true);
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    assert_int_equal(plot_draw(&study, PLOT_ISOFLOP, directory, &paths, &error), PLOT_NOTHING);
    assert_non_null(strstr(error.text, study.refusals[FIT_ISOFLOP]));
    buffer_deinit(&paths);
}

/* Along a contour the law is the level that is written beside it. */
static void test_contours(void **state) {
    (void)state;
    PlotStudy study = make_study();
    Buffer table;
    size_t on_lines = 0;
    draw(&study, PLOT_CONTOURS);
    read_figure("-contours-lines.tsv", &table);
    char *at = strchr(table.data, '\n') + 1;
    while (*at != '\0') {
        double cells[3];
        if (read_row(&at, cells, 3) == 3 && isfinite(cells[2])) {
            assert_true(fabs(fit_loss_at(&parametric, cells[1], cells[2]) / cells[0] - 1) < 1e-9);
            on_lines++;
        }
    }
    assert_true(on_lines > 100);
    buffer_deinit(&table);
}

static void test_residuals(void **state) {
    (void)state;
    PlotStudy study = make_study();
    Buffer table;
    size_t rows = 0;
    draw(&study, PLOT_RESIDUALS);
    read_figure("-residuals.tsv", &table);
    char *at = strchr(table.data, '\n') + 1;
    for (; *at != '\0'; rows++) {
        double cells[5];
        assert_int_equal(read_row(&at, cells, 5), 5);
        assert_true(fabs(cells[4] - 100 * (fit_loss_at(&parametric, cells[0], cells[1]) / cells[3] - 1)) < 1e-6);
    }
    assert_int_equal(rows, COUNT);
    buffer_deinit(&table);
}

/* Laws of one metric are laid together by what they reach, too; a fit without a law, or of another metric, leaves that panel out. */
static void test_comparison(void **state) {
    (void)state;
    PlotStudy study = make_study();
    PlotSeries two[] = {series[0], series[0]};
    Buffer table;
    size_t rows = 0;
    draw(&study, PLOT_COMPARISON);
    assert_figure_says("-comparison.svg", "the lowest by the fitted law", false);
    two[1].metric = "test_loss";
    study.series = two;
    draw(&study, PLOT_COMPARISON);
    assert_figure_says("-comparison.svg", "the lowest by the fitted law", false);
    two[1].metric = "test_error";
    draw(&study, PLOT_COMPARISON);
    assert_figure_says("-comparison.svg", "the lowest by the fitted law", true);
    read_figure("-comparison.tsv", &table);
    for (char *at = strchr(table.data, '\n') + 1; *at != '\0';) {
        double cells[11];
        if (read_row(&at, cells, 11) != 11)
            continue;
        assert_true(fabs(cells[8] / fit_loss_at(&parametric, cells[2], cells[5]) - 1) < 1e-9);
        assert_true(cells[9] < cells[8] * 1.001 && cells[10] > cells[8] * 0.999);
        rows++;
    }
    assert_true(rows > 2 * 100);
    buffer_deinit(&table);
    read_figure("-comparison-runs.tsv", &table);
    rows = 0;
    for (char *at = strchr(table.data, '\n') + 1; *at != '\0'; rows++) {
        double cells[5];
        assert_int_equal(read_row(&at, cells, 5), 5);
        assert_true(cells[3] == points[rows % COUNT].flops && cells[4] == points[rows % COUNT].loss);
    }
    assert_int_equal(rows, 2 * COUNT);
    buffer_deinit(&table);
}

/* Names are data: nothing in them is run, and no file appears outside the directory. */
static void test_hostile_names(void **state) {
    (void)state;
    PlotStudy study = make_study();
    char witness[PATH_TEXT_MAX + 16], name[4 * PATH_TEXT_MAX];
    snprintf(witness, sizeof witness, "%s/witness", directory);
    snprintf(name, sizeof name, "../x'; system('touch %s'); print '`touch %s`\n|touch %s", witness, witness, witness);
    study.sweep = name;
    study.data_title = "it's \"100 %\" {/*9 big} \\ $(touch x) _^@&~";
    study.metric = "weird'metric";
    study.flops_text = "'; exit; '";
    const PlotSeries hostile = {name, "test_error", &parametric, points, COUNT};
    study.series = &hostile;
    study.series_count = 1;
    study.refusals[FIT_ISOFLOP] = name;
    for (int kind = 0; kind < PLOT_KINDS; kind++) {
        draw(&study, (PlotKind)kind);
    }
    assert_false(file_exists(witness));
}

static void test_nothing_to_draw(void **state) {
    (void)state;
    PlotStudy study = {.sweep = "empty", .data_title = "none", .metric = "test_loss", .flops_text = "6 P N T"};
    for (int kind = 0; kind < PLOT_KINDS; kind++) {
        Buffer paths;
        Error error = {0};
        buffer_init(&paths, 1 << 16);
        assert_int_equal(plot_draw(&study, (PlotKind)kind, directory, &paths, &error), PLOT_NOTHING);
        assert_true(strlen(error.text) > 0 && paths.size == 0);
        buffer_deinit(&paths);
    }
}

static int draw_with_path(const char *path, Buffer *paths, Error *error) {
    PlotStudy study = make_study();
    char saved[PATH_TEXT_MAX];
    text_copy(saved, sizeof saved, getenv("PATH"));
    setenv("PATH", path, 1);
    int result = plot_draw(&study, PLOT_CURVES, directory, paths, error);
    setenv("PATH", saved, 1);
    return result;
}

static void test_without_gnuplot(void **state) {
    (void)state;
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    assert_int_equal(draw_with_path("/nonexistent", &paths, &error), PLOT_NO_GNUPLOT);
    assert_non_null(strstr(error.text, "gnuplot-nox"));
    assert_non_null(strstr(paths.data, "study-curves.tsv"));
    assert_null(strstr(paths.data, ".png"));
    buffer_deinit(&paths);
}

/* A gnuplot that complains and fails: its words reach the error, and a script left unread does no harm. */
static void test_failing_gnuplot(void **state) {
    (void)state;
    char folder[PATH_TEXT_MAX], program[PATH_TEXT_MAX];
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    assert_int_equal(path_format(folder, NULL, "%s/bin", directory), 0);
    assert_int_equal(path_format(program, NULL, "%s/gnuplot", folder), 0);
    assert_int_equal(directory_make(folder, 0755, NULL), 0);
    const char text[] = "#!/bin/sh\necho 'line 3: no such terminal' >&2\nexit 2\n";
    assert_int_equal(file_write_atomic(program, text, sizeof text - 1, 0755, NULL), 0);
    assert_int_equal(draw_with_path(folder, &paths, &error), -1);
    assert_non_null(strstr(error.text, "exited with 2: line 3: no such terminal"));
    buffer_deinit(&paths);
}

static void test_directory_that_cannot_be(void **state) {
    (void)state;
    PlotStudy study = make_study();
    Buffer paths;
    Error error = {0};
    buffer_init(&paths, 1 << 16);
    assert_int_equal(plot_draw(&study, PLOT_CURVES, "/dev/null/x", &paths, &error), -1);
    buffer_deinit(&paths);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_every_kind),
        cmocka_unit_test(test_draws_with_one_fit_or_none),
        cmocka_unit_test(test_draws_one_run_and_many_sizes),
        cmocka_unit_test(test_long_labels_stay_on_the_page),
        cmocka_unit_test(test_naming),
        cmocka_unit_test(test_best_curve_in_front),
        cmocka_unit_test(test_points_are_no_curves),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_isoflop_band),
        cmocka_unit_test(test_refused_budget),
        cmocka_unit_test(test_refusal_on_the_figure),
        cmocka_unit_test(test_contours),
        cmocka_unit_test(test_residuals),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_nothing_to_draw),
        cmocka_unit_test(test_without_gnuplot),
        cmocka_unit_test(test_failing_gnuplot),
        cmocka_unit_test(test_directory_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
