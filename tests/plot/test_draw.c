/* Figures from a real fit by the real gnuplot; hostile names; what happens without gnuplot or without anything to draw. */
#include "figures.h"

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

/* Sizes within one decade between two powers of ten: once an axis without a number. */
static void test_narrow_axes_have_marks(void **state) {
    (void)state;
    PlotStudy study = make_study();
    FitPoint narrow[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        narrow[i] = points[i];
        narrow[i].params = 13e3 * pow(59.0 / 13, (double)(i / 6) / 6);
    }
    study.sweep = "study";
    study.points = narrow;
    draw(&study, PLOT_RESIDUALS);
    draw(&study, PLOT_CONTOURS);
    static const char *const figures[] = {"-residuals.svg", "-contours.svg"};
    for (size_t i = 0; i < 2; i++) {
        assert_figure_says(figures[i], "20 k<", true);
        assert_figure_says(figures[i], "50 k<", true);
    }
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
    assert_int_equal(plot_draw(&study, PLOT_CURVES, scratch_root, &paths, &error), PLOT_NOTHING);
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

/* Names are data: nothing in them is run, and no file appears outside the directory. */
static void test_hostile_names(void **state) {
    (void)state;
    PlotStudy study = make_study();
    char witness[PATH_TEXT_MAX + 16], name[4 * PATH_TEXT_MAX];
    snprintf(witness, sizeof witness, "%s/witness", scratch_root);
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
        assert_int_equal(plot_draw(&study, (PlotKind)kind, scratch_root, &paths, &error), PLOT_NOTHING);
        assert_true(strlen(error.text) > 0 && paths.size == 0);
        buffer_deinit(&paths);
    }
}

static int draw_with_path(const char *path, Buffer *paths, Error *error) {
    PlotStudy study = make_study();
    char saved[PATH_TEXT_MAX];
    text_copy(saved, sizeof saved, getenv("PATH"));
    setenv("PATH", path, 1);
    int result = plot_draw(&study, PLOT_CURVES, scratch_root, paths, error);
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
    assert_int_equal(path_format(folder, NULL, "%s/bin", scratch_root), 0);
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
        cmocka_unit_test(test_narrow_axes_have_marks),
        cmocka_unit_test(test_long_labels_stay_on_the_page),
        cmocka_unit_test(test_naming),
        cmocka_unit_test(test_best_curve_in_front),
        cmocka_unit_test(test_points_are_no_curves),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_nothing_to_draw),
        cmocka_unit_test(test_without_gnuplot),
        cmocka_unit_test(test_failing_gnuplot),
        cmocka_unit_test(test_directory_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
