#include "worker.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

int worker_fail(int code, const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "sweep-worker: %s\n", text);
    return code;
}

int worker_read_integer(const char *text, int64_t least, int64_t most, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < least || value > most)
        return 1;
    *out = value;
    return 0;
}

int worker_read_seconds(const char *text, double least, double most, double *out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < least || value > most)
        return 1;
    *out = value;
    return 0;
}

double worker_checkpoint_seconds(void) {
    const char *text = getenv("SWEEPD_CHECKPOINT_SECONDS");
    double seconds = 60;
    if (text && worker_read_seconds(text, 0.01, WORKER_CHECKPOINT_SECONDS_MAX, &seconds))
        log_write(LOG_WARNING, "SWEEPD_CHECKPOINT_SECONDS=%s is not a number from 0.01 to %d; %g is used", text,
                  WORKER_CHECKPOINT_SECONDS_MAX, seconds);
    return seconds;
}
