/* Scalars. The file's own schema decides what a text is, so that `1e18` is a number, `no` stays text, and 1e4 serves as an integer. */
#include "schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_TEXT_MAX = 64 };

typedef struct Decimal {
    bool negative;
    char digits[NUMBER_TEXT_MAX]; /* without leading and trailing zeros */
    size_t count;
    long exponent; /* value = digits x 10^exponent */
} Decimal;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *read_digits(const char *at, Decimal *out, long step) {
    for (; is_digit(*at); at++) {
        out->exponent += step;
        if (out->count > 0 || *at != '0')
            out->digits[out->count++] = *at;
    }
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent. */
static bool read_decimal(const char *text, Decimal *out) {
    if (strlen(text) >= NUMBER_TEXT_MAX)
        return false;
    *out = (Decimal){.negative = *text == '-'};
    const char *start = text + (*text == '-' || *text == '+');
    const char *at = read_digits(start, out, 0);
    bool any = at > start;
    if (*at == '.') {
        const char *fraction = at + 1;
        at = read_digits(fraction, out, -1);
        any = any || at > fraction;
    }
    if (!any)
        return false;
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1;
        if (!is_digit(exponent[*exponent == '-' || *exponent == '+']))
            return false;
        char *end;
        long value = strtol(exponent, &end, 10);
        at = end;
        if (value < -100000 || value > 100000)
            return false;
        out->exponent += value;
    }
    while (out->count > 0 && out->digits[out->count - 1] == '0') {
        out->count--;
        out->exponent++;
    }
    return *at == '\0';
}

bool value_read_integer(const char *text, int64_t *out) {
    Decimal decimal;
    if (!read_decimal(text, &decimal))
        return false;
    *out = 0;
    if (decimal.count == 0)
        return true;
    if (decimal.exponent < 0 || decimal.exponent > 19)
        return false;
    size_t total = decimal.count + (size_t)decimal.exponent;
    for (size_t i = 0; i < total; i++) {
        int digit = i < decimal.count ? decimal.digits[i] - '0' : 0;
        if (__builtin_mul_overflow(*out, (int64_t)10, out) || __builtin_add_overflow(*out, (int64_t)digit, out))
            return false;
    }
    if (decimal.negative)
        *out = -*out;
    return true;
}

bool value_read_number(const char *text, double *out) {
    Decimal decimal;
    if (!read_decimal(text, &decimal))
        return false;
    /* Digits and exponent alone, so that no locale's decimal point matters. */
    char plain[2 * NUMBER_TEXT_MAX];
    decimal.digits[decimal.count] = '\0';
    snprintf(plain, sizeof plain, "%s%se%ld", decimal.negative ? "-" : "", decimal.count ? decimal.digits : "0", decimal.exponent);
    *out = strtod(plain, NULL) + 0.0; /* -0 becomes 0: one number, one text */
    return isfinite(*out);
}

double value_round(double value) {
    char text[NUMBER_TEXT_MAX];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

static bool read_choice(const Field *field, const char *text, int *out) {
    for (int i = 0; field->choices[i]; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool value_in_range(const Field *field, Value value) {
    if (field->type == TYPE_INTEGER)
        return value.integer >= field->least && value.integer <= field->most;
    if (field->type == TYPE_NUMBER) {
        bool above = field->low_open ? value.number > field->low : value.number >= field->low;
        bool below = field->high_open ? value.number < field->high : value.number <= field->high;
        return above && below;
    }
    return true;
}

bool value_read(const Field *field, const char *text, Value *out) {
    memset(out, 0, sizeof *out);
    bool read = false;
    if (field->type == TYPE_INTEGER)
        read = value_read_integer(text, &out->integer);
    else if (field->type == TYPE_NUMBER)
        read = value_read_number(text, &out->number);
    else if (field->type == TYPE_CHOICE)
        read = read_choice(field, text, &out->choice);
    return read && value_in_range(field, *out);
}

bool value_equal(const Field *field, Value a, Value b) {
    if (field->type == TYPE_NUMBER)
        return a.number == b.number;
    return field->type == TYPE_INTEGER ? a.integer == b.integer : a.choice == b.choice;
}

static size_t value_size(const Field *field) {
    _Static_assert(sizeof(ModelKind) == sizeof(int) && sizeof(OptimizerKind) == sizeof(int), "choices are stored as int");
    return field->type == TYPE_CHOICE ? sizeof(int) : sizeof(int64_t);
}

void value_store(const Field *field, Value value, void *draft) {
    memcpy((char *)draft + field->offset, &value, value_size(field));
}

Value value_load(const Field *field, const void *draft) {
    Value value;
    memset(&value, 0, sizeof value);
    memcpy(&value, (const char *)draft + field->offset, value_size(field));
    return value;
}

const double *value_span(const Field *field, const void *draft) {
    return (const double *)(const void *)((const char *)draft + field->offset);
}

bool value_store_span(const Field *field, double low, double high, void *draft) {
    double span[2] = {low, high};
    if (!(low >= field->low && high <= field->high && low <= high))
        return false;
    memcpy((char *)draft + field->offset, span, sizeof span);
    return true;
}

bool value_is_name(const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t size = strlen(text);
    if (size == 0 || size >= SWEEP_NAME_MAX || !strchr(letters, text[0]))
        return false;
    for (size_t i = 0; i < size; i++)
        if (!strchr(letters, text[i]) && !strchr("-_.", text[i]))
            return false;
    return true;
}

bool value_is_digest(const char *text) {
    return strlen(text) == SHA256_HEX_MAX - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX_MAX - 1;
}
