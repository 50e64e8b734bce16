/* The numbers that figures are drawn from, held against the fits they are of. */
#include "figures.h"

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
    assert_int_equal(plot_draw(&study, PLOT_ISOFLOP, scratch_root, &paths, &error), PLOT_NOTHING);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isoflop_band), cmocka_unit_test(test_refused_budget), cmocka_unit_test(test_refusal_on_the_figure),
        cmocka_unit_test(test_contours),     cmocka_unit_test(test_residuals),      cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
