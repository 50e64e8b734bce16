/* A sweep file that is damaged anywhere is a sweep or one clear error, never a crash, a leak or a second kind of answer. The damage is
 * drawn from a fixed seed: flipped, dropped, doubled and swapped bytes, YAML's own punctuation, lines moved about, numbers made extreme. */
#include "fixture.h"

enum { MUTATIONS = 2500, TEXT_MAX = 8192 };

typedef struct Text {
    char bytes[TEXT_MAX];
    size_t size;
} Text;

static const char *const pieces[] = {
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!map ",
    "|\n",
    ">\n",
    "#",
    "'",
    "\"",
    "\t",
    "\n",
    "\r\n",
    "---\n",
    "...\n",
    "%",
    "? ",
    "~",
    "null",
    "0",
    "-1",
    "1e308",
    "1e-308",
    "9223372036854775807",
    "9223372036854775808",
    "1e99999",
    ".nan",
    "0x10",
    "\xff",
    "\xc2\x85",
    "\xef\xbb\xbf",
    "\xe2\x80\xa8",
    "depth",
    "examples",
    "points",
    "lr",
    "value",
    "optimizer.lr",
    "exclude: [{depth: 1}]\n",
    "include: [{depth: 1, width: 1, examples: 1}]\n",
    "optimizer.name: sgd",
    "{from: 1, to: 9, points: 9}",
    "{from: 1e10, to: 1e12, points: 3}",
    "kind: simulated",
    "tune: {lr: [1e-3, 2e-3]}\n",
    "design: {kind: isoflop, budgets: {from: 1e9, to: 1e12, points: 3}, sizes: 3}\n",
    "budgets",
    "sizes",
    "centre: {coefficient: 1, exponent: 1}",
    "span: 1e6",
    "test: {crops: 3, flip: true, mean: softmax}\n",
    "real: /dev/null",
    "  init: /dev/null\n  init_head: fresh\n",
    "dropout: 0.5",
    "eval: [{kind: linear, data: fashion-mnist}]\n",
};

static void text_splice(Text *text, size_t at, size_t drop, const char *with, size_t size) {
    if (at + drop > text->size || text->size - drop + size > TEXT_MAX)
        return;
    memmove(text->bytes + at + size, text->bytes + at + drop, text->size - at - drop);
    memcpy(text->bytes + at, with, size);
    text->size = text->size - drop + size;
}

static void text_mutate(Text *text, Rng *rng) {
    size_t at = rng_below(rng, text->size), count = rng_below(rng, 12);
    const char *piece = pieces[rng_below(rng, sizeof pieces / sizeof *pieces)];
    char copy[64];
    switch (rng_below(rng, 6)) {
    case 0:
        text->bytes[at] = (char)rng_below(rng, 256);
        break;
    case 1:
        text_splice(text, at, count, "", 0);
        break;
    case 2:
        text_splice(text, at, 0, piece, strlen(piece));
        break;
    case 3:
        text_splice(text, at, count, piece, strlen(piece));
        break;
    case 4: /* a stretch of the file, elsewhere */
        count = at + 40 <= text->size ? 40 : text->size - at;
        memcpy(copy, text->bytes + at, count);
        text_splice(text, rng_below(rng, text->size), 0, copy, count);
        break;
    default: /* cut short */
        if (rng_below(rng, 8) == 0)
            text->size = at + 1;
        break;
    }
}

/* A sweep that came out of a damaged file must still hold what the header promises. */
static void check_sweep(const Sweep *sweep) {
    SweepCursor cursor;
    Run run;
    int64_t count = 0;
    bool is_kept = !sweep_is_plan_only(sweep);
    sweep_cursor_init(&cursor, sweep);
    assert_true(sweep_run_count(sweep) >= 1);
    while (count < 50 && sweep_cursor_next(&cursor, &run)) {
        Run back;
        Buffer text;
        Error error = {0};
        buffer_init(&text, RUN_SPEC_MAX);
        assert_int_equal(run_format(&run, &text, &error), 0);
        if (is_kept && run_parse(&back, text.data, text.size, "run", &error) != 0)
            fail_msg("%s: %s", error.text, text.data);
        assert_true(run_flops(&run).nd6 > 0);
        buffer_deinit(&text);
        count++;
    }
    assert_true(count == 50 || count == sweep_run_count(sweep));
}

static void check_error(const Error *error) {
    assert_memory_equal(error->text, "damaged.yaml:", strlen("damaged.yaml:"));
    for (const char *at = error->text; *at; at++)
        assert_true((unsigned char)*at >= ' ');
}

static void damage(const char *name, uint64_t stream, size_t *good, size_t *bad) {
    Buffer original;
    Rng rng;
    project_read(name, &original);
    assert_true(original.size < TEXT_MAX / 2);
    rng_init(&rng, 20231, stream);
    for (int i = 0; i < MUTATIONS; i++) {
        Text text = {.size = original.size};
        memcpy(text.bytes, original.data, original.size);
        for (uint64_t n = rng_below(&rng, 3) + 1; n > 0 && text.size > 0; n--)
            text_mutate(&text, &rng);
        /* Exactly as long as the text, so that a read past its end is seen. */
        char *bytes = malloc(text.size ? text.size : 1);
        assert_non_null(bytes);
        memcpy(bytes, text.bytes, text.size);
        Sweep *sweep = NULL;
        Error error = {0};
        int result = sweep_parse(&sweep, bytes, text.size, "damaged.yaml", &error);
        assert_true(result == 0 || result == SWEEP_INVALID);
        if (result == 0)
            check_sweep(sweep);
        else
            check_error(&error);
        *(result == 0 ? good : bad) += 1;
        sweep_free(sweep);
        free(bytes);
    }
    buffer_deinit(&original);
}

static void damaged_files_are_sweeps_or_errors(void **state) {
    (void)state;
    size_t good = 0, bad = 0;
    damage("sweeps/quickstart.yaml", 1, &good, &bad);
    damage("sweeps/augmentation.yaml", 2, &good, &bad);
    damage("sweeps/known-answer.yaml", 3, &good, &bad);
    damage("sweeps/table2-small.yaml", 4, &good, &bad);
    assert_true(good > MUTATIONS / 10 && bad > MUTATIONS / 10); /* else the damage tests nothing */
}

/* Every prefix, too: what an editor or a full disk leaves behind. */
static void truncated_files_are_sweeps_or_errors(void **state) {
    (void)state;
    Buffer original;
    project_read("sweeps/quickstart.yaml", &original);
    for (size_t size = 0; size < original.size; size++) {
        char *bytes = malloc(size ? size : 1);
        assert_non_null(bytes);
        memcpy(bytes, original.data, size);
        Sweep *sweep = NULL;
        Error error = {0};
        int result = sweep_parse(&sweep, bytes, size, "damaged.yaml", &error);
        assert_true(result == 0 || result == SWEEP_INVALID);
        if (result != 0)
            check_error(&error);
        sweep_free(sweep);
        free(bytes);
    }
    buffer_deinit(&original);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_sweeps_or_errors),
        cmocka_unit_test(truncated_files_are_sweeps_or_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
