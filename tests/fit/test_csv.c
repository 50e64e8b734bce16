/* The CSV reader: what it takes, what it names when it does not, and mutations of a good file. */
#include "known_law.h"

static int read_text(const char *text, FitPoint **points, size_t *count, Error *error) {
    *points = NULL;
    *count = 0;
    /* An exact copy on the heap, so that a read past the end is seen by the sanitizer. */
    size_t size = strlen(text);
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    char *exact = realloc(copy, size > 0 ? size : 1);
    assert_non_null(exact);
    int result = fit_points_read_csv(points, count, exact, size, "runs.csv", NULL, error);
    free(exact);
    return result;
}

static void check_good(const char *text, size_t expected, double params, double examples, double flops, double loss) {
    FitPoint *points;
    size_t count;
    Error error = {0};
    if (read_text(text, &points, &count, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(count, expected);
    assert_true(points[0].params == params && points[0].examples == examples && points[0].flops == flops && points[0].loss == loss);
    free(points);
}

static void test_reads(void **state) {
    (void)state;
    check_good("params,examples,flops,loss\n10,20,1e3,0.5\n", 1, 10, 20, 1000, 0.5);
    check_good("params,examples,loss\n10,20,0.5", 1, 10, 20, 1200, 0.5);
    check_good("loss,name,examples,params\r\n0.5,x,20,10\r\n\r\n0.25,\"a \"\"b\"\", c\",40,10\r\n", 2, 10, 20, 1200, 0.5);
}

static void test_reads_quotes_and_marks(void **state) {
    (void)state;
    check_good("\xef\xbb\xbf\"params\", examples ,loss\n\"10\",\t20 ,+5e-1\n\n\n", 1, 10, 20, 1200, 0.5);
}

static void test_configurations(void **state) {
    (void)state;
    FitPoint *points;
    size_t count;
    assert_int_equal(read_text("params,examples,loss\n10,20,0.5\n10,30,0.4\n10,20,0.6\n", &points, &count, NULL), 0);
    assert_int_equal(points[0].configuration, points[2].configuration);
    assert_int_not_equal(points[0].configuration, points[1].configuration);
    free(points);
    assert_int_equal(read_text("params,examples,loss,configuration\n10,20,0.5,a\n10,30,0.4,a\n10,20,0.6,b\n", &points, &count, NULL), 0);
    assert_int_equal(points[0].configuration, points[1].configuration);
    assert_int_not_equal(points[0].configuration, points[2].configuration);
    free(points);
}

static void test_weights(void **state) {
    (void)state;
    FitPoint *points;
    size_t count;
    assert_int_equal(read_text("weight,params,examples,loss\n2.5,10,20,0.5\n1e-3,10,30,0.4\n", &points, &count, NULL), 0);
    assert_true(points[0].weight == 2.5 && points[1].weight == 1e-3);
    free(points);
    assert_int_equal(read_text("params,examples,loss\n10,20,0.5\n", &points, &count, NULL), 0);
    assert_true(points[0].weight == 1);
    free(points);
}

static void test_names_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "runs.csv:1: no column \"params\""},
        {"Params,Examples,Loss\n1,2,3\n", "runs.csv:1: no column \"params\" among \"Params\", \"Examples\", \"Loss\": the header"},
        {"params,loss\n1,2\n", "runs.csv:1: no column \"examples\""},
        {"params,examples,loss\n", "runs.csv:2: no points"},
        {"params,examples,loss,loss\n1,2,3,4\n", "runs.csv:1: column \"loss\" appears twice"},
        {"params,examples,loss\n1,2,3\n1,2\n", "runs.csv:3: 2 fields, and the header has 3"},
        {"params,examples,loss\n1,2,3,4\n", "runs.csv:2: 4 fields, and the header has 3"},
        {"params,examples,loss\n1,2,abc\n", "runs.csv:2: column loss: \"abc\" is not a number"},
        {"params,examples,loss\n1,2,\n", "runs.csv:2: column loss: \"\" is not a number"},
        {"params,examples,loss\n1,2,nan\n", "column loss: \"nan\" is not a number"},
        {"params,examples,loss\n1,2,inf\n", "column loss: \"inf\" is not a number"},
        {"params,examples,loss\n1,2,0x1p3\n", "column loss: \"0x1p3\" is not a number"},
        {"params,examples,loss\n1,2,1e\n", "column loss: \"1e\" is not a number"},
        {"params,examples,loss\n1,2,1.2.3\n", "column loss: \"1.2.3\" is not a number"},
        {"params,examples,loss\n1,2,1e999\n", "column loss: \"1e999\" is too large or too small"},
        {"params,examples,loss\n\n1,-2,3\n", "runs.csv:3: column examples: \"-2\" is not above 0"},
        {"params,examples,loss\n0,2,3\n", "runs.csv:2: column params: \"0\" is not above 0"},
        {"params,examples,loss\n1e300,1e300,3\n", "runs.csv:2: 6 params examples is too large"},
        {"params,examples,loss,weight\n1,2,3,1\n1,2,3,0\n", "runs.csv:3: column weight: \"0\" is not above 0"},
        {"params,examples,loss,weight\n1,2,3,-1\n", "runs.csv:2: column weight: \"-1\" is not above 0"},
        {"params,examples,loss,weight\n1,2,3,1\n\n1,2,3,heavy\n", "runs.csv:4: column weight: \"heavy\" is not a number"},
        {"params,examples,loss,weight\n1,2,3,\n", "runs.csv:2: column weight: \"\" is not a number"},
        {"weight,params,examples,loss,weight\n1,1,2,3,1\n", "runs.csv:1: column \"weight\" appears twice"},
        {"params,examples,loss,configuration\n1,2,3,a\n1,2,3, \n", "runs.csv:3: column configuration is empty"},
        {"params,examples,loss,configuration\n1,2,3,a\n1,2,3\n", "runs.csv:3: 3 fields, and the header has 4"},
        {"configuration,params,examples,loss,configuration\na,1,2,3,a\n", "runs.csv:1: column \"configuration\" appears twice"},
        {"params,examples,loss\n1,\"2,3\n", "runs.csv:2: a quoted field does not end"},
        {"params,examples,loss\n1,\"2\"x,3\n", "runs.csv:2: text after the closing quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FitPoint *points;
        size_t count;
        Error error = {0};
        assert_int_equal(read_text(cases[i].text, &points, &count, &error), FIT_CSV_INVALID);
        if (strstr(error.text, cases[i].error) == NULL) {
            fail_msg("case %zu: %s", i, error.text);
        }
        assert_null(points);
    }
}

/* A byte 0 would end a field early and silently: 2\0garbage is no 2. */
static void test_refuses_byte_0(void **state) {
    (void)state;
    static const char plain[] = "params,examples,loss\n1,2,3\n1,2\0garbage,3\n", quoted[] = "params,examples,loss\n1,\"2\0\",3\n",
                      header[] = "params,examples,loss,\0\n1,2,3,4\n", unread[] = "params,examples,loss,name\n1,2,3,a\0b\n";
    const struct {
        const char *text, *error;
        size_t size;
    } cases[] = {{plain, "runs.csv:3: a byte 0", sizeof plain - 1},
                 {quoted, "runs.csv:2: a byte 0", sizeof quoted - 1},
                 {header, "runs.csv:1: a byte 0", sizeof header - 1},
                 {unread, "runs.csv:2: a byte 0", sizeof unread - 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FitPoint *points = NULL;
        size_t count = 0;
        Error error = {0};
        assert_int_equal(fit_points_read_csv(&points, &count, cases[i].text, cases[i].size, "runs.csv", NULL, &error), FIT_CSV_INVALID);
        assert_non_null(strstr(error.text, cases[i].error));
        assert_null(points);
    }
}

static void test_bounds(void **state) {
    (void)state;
    Buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 300; i++) {
        buffer_printf(&text, "c%d,", i);
    }
    buffer_append_text(&text, "params,examples,loss\n");
    FitPoint *points;
    size_t count;
    Error error = {0};
    assert_int_equal(read_text(text.data, &points, &count, &error), FIT_CSV_INVALID);
    buffer_clear(&text);
    buffer_append_text(&text, "params,examples,loss\n1,2,");
    for (int i = 0; i < 100000; i++) {
        buffer_append_text(&text, "1");
    }
    assert_int_equal(read_text(text.data, &points, &count, &error), FIT_CSV_INVALID);
    /* Two names that differ past what is kept would be one configuration. */
    buffer_clear(&text);
    buffer_printf(&text, "params,examples,loss,configuration\n1,2,3,%0*d\n", 128, 0);
    assert_int_equal(read_text(text.data, &points, &count, &error), FIT_CSV_INVALID);
    assert_non_null(strstr(error.text, "runs.csv:2: column configuration has more than 127 bytes"));
    buffer_clear(&text);
    buffer_printf(&text, "params,examples,loss,configuration\n1,2,3,%0*d\n", 127, 0);
    assert_int_equal(read_text(text.data, &points, &count, &error), 0);
    free(points);
    buffer_deinit(&text);
}

/* A good file with a few bytes changed, cut or doubled is read or refused with a place; whatever is read is usable. */
static void test_mutations(void **state) {
    (void)state;
    static const char good[] =
        "params,examples,flops,loss,name\r\n10,20,1e3,0.5,\"a, \"\"b\"\"\"\r\n11,21,1.5E+3,.5,c\n12,22,2000,1,\"\"\n";
    static const char alphabet[] = "0123456789+-.eE,\"\r\n \t\x80";
    Rng rng;
    rng_init(&rng, 9, 9);
    int accepted = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        size_t size = sizeof good - 1;
        for (uint64_t i = rng_below(&rng, 4) + 1; i > 0; i--) {
            text[rng_below(&rng, size)] =
                rng_below(&rng, 4) == 0 ? (char)rng_below(&rng, 256) : alphabet[rng_below(&rng, sizeof alphabet - 1)];
        }
        size -= rng_below(&rng, 3) == 0 ? rng_below(&rng, size) : 0;
        char *exact = malloc(size);
        assert_non_null(exact);
        memcpy(exact, text, size);
        FitPoint *points = NULL;
        size_t count = 0;
        Error error = {0};
        int result = fit_points_read_csv(&points, &count, exact, size, "runs.csv", NULL, &error);
        free(exact);
        if (result == 0) {
            accepted++;
            for (size_t i = 0; i < count; i++) {
                assert_true(points[i].params > 0 && points[i].examples > 0 && points[i].loss > 0 && isfinite(points[i].flops));
            }
            free(points);
        } else {
            refused++;
            assert_int_equal(result, FIT_CSV_INVALID);
            assert_memory_equal(error.text, "runs.csv:", 9);
        }
    }
    assert_true(accepted > 100 && refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),           cmocka_unit_test(test_reads_quotes_and_marks),
        cmocka_unit_test(test_configurations),  cmocka_unit_test(test_weights),
        cmocka_unit_test(test_names_the_place), cmocka_unit_test(test_refuses_byte_0),
        cmocka_unit_test(test_bounds),          cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
