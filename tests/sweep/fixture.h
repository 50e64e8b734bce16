/* What the tests of sweep share: texts in, sweeps and runs out. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweepd/sweep.h"

/* A file of the project, as text to be cleared by the caller. */
static inline void project_read(const char *name, Buffer *out) {
    char path[PATH_TEXT_MAX];
    Error error = {0};
    buffer_init(out, SWEEP_FILE_MAX);
    assert_int_equal(path_format(path, &error, "%s/%s", SOURCE_ROOT, name), 0);
    if (file_read(path, SWEEP_FILE_MAX, out, &error) != 0)
        fail_msg("%s", error.text);
}

static inline Sweep *sweep_good(const char *text) {
    Sweep *sweep = NULL;
    Error error = {0};
    if (sweep_parse(&sweep, text, strlen(text), "f.yaml", &error) != 0)
        fail_msg("%s", error.text);
    return sweep;
}

/* All runs, in order, [sweep_run_count]; to be freed. */
static inline Run *sweep_all(const Sweep *sweep) {
    size_t count = (size_t)sweep_run_count(sweep), i = 0;
    Run *runs = calloc(count + 1, sizeof *runs);
    SweepCursor cursor;
    assert_non_null(runs);
    sweep_cursor_init(&cursor, sweep);
    while (sweep_cursor_next(&cursor, &runs[i])) {
        i++;
        assert_true(i <= count);
    }
    assert_int_equal(i, count);
    return runs;
}

/* A small file with places to fill in: the grid's lines, the train section's lines, and what follows. */
static inline const char *sweep_text(const char *grid, const char *train, const char *rest) {
    static char text[8192];
    int size =
        snprintf(text, sizeof text, "version: 1\nname: test\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\ngrid:\n%strain:\n%s%s", grid,
                 train, rest);
    assert_true(size > 0 && (size_t)size < sizeof text);
    return text;
}

#define GRID  "  depth: [1, 2]\n  width: [8, 16, 32]\n  examples: [100, 200]\n"
#define TRAIN "  epochs: 3\n  batch: 10\n  optimizer: {name: lion, lr: 1e-3}\n"
