/* Runs the built sweepctl as a person would, without a shell, and keeps what it said. */
#pragma once

#include "sweepd/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

typedef struct Said {
    int code; /* -1: ended by a signal */
    Buffer out, err;
} Said;

/* The last argument is NULL. SWEEPD_HOME is harness_home. */
void sweepctl(Said *said, ...) __attribute__((sentinel));
void said_clear(Said *said);
/* Runs, checks the exit code, shows both streams when it is another. */
#define sweepctl_expect(said, expected, ...)                                                                                               \
    do {                                                                                                                                   \
        sweepctl(said, __VA_ARGS__, NULL);                                                                                                 \
        if ((said)->code != (expected))                                                                                                    \
            fail_msg("exit code %d, not %d\nstdout: %s\nstderr: %s", (said)->code, expected, (said)->out.data, (said)->err.data);          \
    } while (0)
/* Asserts that the text holds the piece. */
void assert_says(const Buffer *text, const char *piece);
/* The whole of stdout as a JSON object with schema_version 1; the caller decrefs. */
json_t *said_json(const Said *said);

/* An empty directory of this test program's own, made at first use; harness_clean removes it and everything in it. */
const char *harness_folder(void);
const char *harness_home(void);
void harness_clean(void);
/* Writes a file into the folder and gives its path, good until the next call. */
const char *harness_file(const char *name, const char *text);
