#include "sweepd/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What was formatted may quote a file's name, or what an archive holds. */
static void error_clean(Error *error) {
    char raw[ERROR_TEXT_MAX];
    if (text_is_plain(error->text))
        return;
    memcpy(raw, error->text, sizeof raw);
    text_copy_plain(error->text, sizeof error->text, raw);
}

int error_set(Error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        error_clean(error);
        error->memory = false;
    }
    return -1;
}

int error_set_memory(Error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        error_clean(error);
        error->memory = true;
    }
    return -1;
}

int error_set_errno(Error *error, int number, const char *format, ...) {
    if (!error)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->memory = number == ENOMEM;

    char reason[128];
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", strerror_r(number, reason, sizeof reason));
    error_clean(error);
    return -1;
}

int error_prefix(Error *error, const char *format, ...) {
    if (!error)
        return -1;
    char old[ERROR_TEXT_MAX];
    memcpy(old, error->text, sizeof old);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);

    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", old);
    error_clean(error);
    return -1;
}
