#include "format.h"

#include "sweepd/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* From here on a metric is written with an exponent. */
static const double METRIC_PLAIN_MAX = 1e6;

const char *format_scaled(double value, const char *unit, char out[FORMAT_MAX]) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
    size_t prefix = 0;
    if (!isfinite(value))
        return strcpy(out, "-");
    /* 999.5 would be rounded up to four digits. */
    while (fabs(value) >= 999.5 && prefix + 1 < sizeof prefixes / sizeof *prefixes) {
        value /= 1000;
        prefix++;
    }
    int decimals = fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    if (prefix == 0 && value == floor(value))
        decimals = 0;
    const char *space = prefix || *unit ? " " : "";
    snprintf(out, FORMAT_MAX, "%.*f%s%s%s", decimals, value, space, prefixes[prefix], unit);
    return out;
}

const char *format_duration(double seconds, char out[FORMAT_MAX]) {
    if (!isfinite(seconds) || seconds < 0)
        return strcpy(out, "-");
    if (seconds < 0.0995) {
        snprintf(out, FORMAT_MAX, "%.1f ms", 1000 * seconds);
        return out;
    }
    if (seconds < 9.95) {
        snprintf(out, FORMAT_MAX, seconds < 0.995 ? "%.2f s" : "%.1f s", seconds);
        return out;
    }
    if (seconds > 1e11)
        return strcpy(out, "over 3000 years");
    long long whole = (long long)(seconds + 0.5);
    if (whole < 60)
        snprintf(out, FORMAT_MAX, "%lld s", whole);
    else if (whole < 3600)
        snprintf(out, FORMAT_MAX, "%lld min %02lld s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, FORMAT_MAX, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
    else
        snprintf(out, FORMAT_MAX, "%lld d %02lld h", whole / 86400, whole / 3600 % 24);
    return out;
}

const char *format_left(double seconds, char out[FORMAT_MAX]) {
    return seconds >= 0 && seconds < 1 ? strcpy(out, "under a second") : format_duration(seconds, out);
}

const char *format_count(int64_t value, char out[FORMAT_MAX]) {
    char digits[32];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value), at = 0;
    for (size_t i = 0; i < length; i++) {
        size_t left = length - i;
        if (i > 0 && left % 3 == 0 && digits[i - 1] != '-')
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *format_known_count(int64_t value, char out[FORMAT_MAX]) {
    return value > 0 ? format_count(value, out) : strcpy(out, "?");
}

const char *format_known_scaled(double value, const char *unit, char out[FORMAT_MAX]) {
    return value > 0 ? format_scaled(value, unit, out) : strcpy(out, "?");
}

const char *format_percent(double share, char out[FORMAT_MAX]) {
    if (!isfinite(share))
        return strcpy(out, "-");
    /* What is not complete must not look complete. */
    if (share < 1 && share > 0.999)
        share = 0.999;
    snprintf(out, FORMAT_MAX, share >= 1 ? "%.0f %%" : "%.1f %%", 100 * share);
    return out;
}

const char *format_time(double unix_seconds, char out[FORMAT_MAX]) {
    struct tm parts;
    time_t when = (time_t)unix_seconds;
    if (unix_seconds <= 0 || !localtime_r(&when, &parts))
        return strcpy(out, "-");
    strftime(out, FORMAT_MAX, "%Y-%m-%d %H:%M:%S", &parts);
    return out;
}

bool format_is_metric(const char *name) {
    return strcmp(name, "params") != 0;
}

/* 2.64e27: no reader counts 28 digits. */
static void format_large(double value, char out[FORMAT_MAX]) {
    int exponent = (int)floor(log10(fabs(value)));
    double mantissa = value / pow(10, exponent);
    if (fabs(mantissa) >= 9.995) {
        mantissa /= 10;
        exponent++;
    }
    snprintf(out, FORMAT_MAX, "%.2fe%d", mantissa, exponent);
}

const char *format_metric(const char *name, double value, char out[FORMAT_MAX]) {
    bool share = strstr(name, "error") || strstr(name, "accuracy");
    if (!isfinite(value))
        return strcpy(out, "-");
    if (metric_is_count(name, value))
        return format_count((int64_t)value, out);
    if (fabs(value) >= METRIC_PLAIN_MAX)
        format_large(value, out);
    else if (share)
        snprintf(out, FORMAT_MAX, "%.2f %%", 100 * value);
    else
        snprintf(out, FORMAT_MAX, "%.4f", value);
    return out;
}

const char *format_interval(double lo, double hi, bool fixed, char out[FORMAT_MAX]) {
    if (!isfinite(lo) || !isfinite(hi))
        return strcpy(out, "none");
    snprintf(out, FORMAT_MAX, fixed ? "%.3f to %.3f" : "%.3g to %.3g", lo, hi);
    return out;
}
