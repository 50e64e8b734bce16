#include "sweepd/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(Buffer *buffer, size_t max) {
    *buffer = (Buffer){.max = max};
}

void buffer_deinit(Buffer *buffer) {
    if (!buffer)
        return;
    free(buffer->data);
    *buffer = (Buffer){.max = buffer->max};
}

void buffer_clear(Buffer *buffer) {
    buffer->size = 0;
    buffer->failed = false;
    if (buffer->data)
        buffer->data[0] = '\0';
}

/* Makes room for `more` bytes and the closing NUL. */
static bool buffer_reserve(Buffer *buffer, size_t more) {
    if (buffer->failed || more > buffer->max || buffer->size > buffer->max - more) {
        buffer->failed = true;
        return false;
    }
    size_t need = buffer->size + more + 1;
    if (need <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < need)
        capacity += capacity / 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_append(Buffer *buffer, const void *data, size_t size) {
    if (!buffer_reserve(buffer, size))
        return;
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void buffer_append_text(Buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(Buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size >= 0 && buffer_reserve(buffer, (size_t)size)) {
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
    va_end(arguments);
}

void buffer_append_double(Buffer *buffer, double value) {
    if (!isfinite(value)) {
        buffer_append_text(buffer, "null");
        return;
    }
    char text[32];
    int digits = 15; /* 17 tell any two doubles apart */
    do
        snprintf(text, sizeof text, "%.*g", digits, value);
    while (digits++ < 17 && strtod(text, NULL) != value);
    buffer_append_text(buffer, text);
}

void buffer_append_json(Buffer *buffer, const char *text) {
    buffer_append(buffer, "\"", 1);
    for (const char *from = text; *from;) {
        size_t plain = 0, more;
        while ((unsigned char)from[plain] >= 0x20 && from[plain] != '"' && from[plain] != '\\' &&
               (more = text_character_size(from + plain)) > 0)
            plain += more;
        buffer_append(buffer, from, plain);
        from += plain;
        if (!*from)
            break;
        if (*from == '"' || *from == '\\')
            buffer_printf(buffer, "\\%c", *from);
        else if (*from == '\n')
            buffer_append_text(buffer, "\\n");
        else if ((unsigned char)*from < 0x20)
            buffer_printf(buffer, "\\u%04x", (unsigned char)*from);
        else
            buffer_append_text(buffer, "?");
        from++;
    }
    buffer_append(buffer, "\"", 1);
}

int buffer_check(const Buffer *buffer, Error *error, const char *what) {
    if (!buffer->failed)
        return 0;
    return error_set(error, "%s is larger than %zu bytes, or memory ran out", what, buffer->max);
}

bool text_copy(char *target, size_t capacity, const char *source) {
    size_t size = strlen(source);
    bool fits = size < capacity;
    if (!fits)
        size = capacity - 1;
    memcpy(target, source, size);
    target[size] = '\0';
    return fits;
}

char *text_duplicate(const char *source, Error *error) {
    char *copy = strdup(source);
    if (!copy)
        error_set_memory(error, "out of memory");
    return copy;
}
