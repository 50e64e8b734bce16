/* The labels file is read by hand: a tree of JSON values would take twenty times the file's size, and tells no places. */
#include "dataset.h"

#include <stdlib.h>
#include <string.h>

typedef struct Scanner {
    const char *path, *text;
    size_t size, at;
    Error *error;
} Scanner;

static int refuse(const Scanner *scanner, const char *what) {
    return data_refuse(scanner->error, "%s: byte %zu: %s", scanner->path, scanner->at, what);
}

static char peek(Scanner *scanner) {
    while (scanner->at < scanner->size && strchr(" \t\r\n", scanner->text[scanner->at]) && scanner->text[scanner->at])
        scanner->at++;
    return scanner->at < scanner->size ? scanner->text[scanner->at] : '\0';
}

static bool accept(Scanner *scanner, char expected) {
    if (peek(scanner) != expected)
        return false;
    scanner->at++;
    return true;
}

static int class_read(Scanner *scanner, int64_t classes, uint16_t *out) {
    char first = peek(scanner);
    int64_t value = 0;
    size_t start = scanner->at;
    if (first < '0' || first > '9')
        return refuse(scanner, "expected a class, a whole number from 0");
    for (; scanner->at < scanner->size && scanner->text[scanner->at] >= '0' && scanner->text[scanner->at] <= '9'; scanner->at++)
        value = value < classes ? 10 * value + (scanner->text[scanner->at] - '0') : value;
    if (value < classes) {
        *out = (uint16_t)value;
        return 0;
    }
    scanner->at = start;
    return data_refuse(scanner->error, "%s: byte %zu: a class that the data do not have; they have %lld", scanner->path, start,
                       (long long)classes);
}

static int image_read(Scanner *scanner, int64_t classes, uint16_t *labels, uint32_t *used) {
    if (!accept(scanner, '['))
        return refuse(scanner, "expected the list of an image's classes");
    if (accept(scanner, ']'))
        return 0;
    do {
        int result = class_read(scanner, classes, &labels[*used]);
        if (result)
            return result;
        (*used)++;
    } while (accept(scanner, ','));
    return accept(scanner, ']') ? 0 : refuse(scanner, "expected a comma or the end of an image's list");
}

static int images_read(Scanner *scanner, RealLabels *out, int64_t count, int64_t classes) {
    uint32_t used = 0;
    if (!accept(scanner, '['))
        return refuse(scanner, "expected a list of lists");
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && !accept(scanner, ','))
            return data_refuse(scanner->error, "%s: byte %zu: lists of %lld images; the test set has %lld", scanner->path, scanner->at,
                               (long long)i, (long long)count);
        int result = image_read(scanner, classes, out->labels, &used);
        if (result)
            return result;
        out->first[i + 1] = used;
    }
    if (!accept(scanner, ']'))
        return refuse(scanner, "expected the end: the test set has no more images");
    if (peek(scanner) || scanner->at < scanner->size)
        return refuse(scanner, "expected nothing more");
    return used > 0 ? 0 : refuse(scanner, "no image has a class");
}

static int text_read(RealLabels *out, const char *path, const char *expected, const Buffer *text, int64_t count, int64_t classes,
                     Error *error) {
    char digest[SHA256_HEX_MAX];
    Scanner scanner = {.path = path, .text = text->data ? text->data : "", .size = text->size, .error = error};
    if (sha256_hex(scanner.text, scanner.size, digest, error))
        return -1;
    if (strcmp(digest, expected) != 0)
        return data_refuse(error, "%s: its digest is %s; the run's is %s", path, digest, expected);
    out->first = calloc((size_t)count + 1, sizeof *out->first);
    out->labels = malloc((text->size + 1) * sizeof *out->labels); /* a class takes a byte or more */
    if (!out->first || !out->labels)
        return error_set_memory(error, "no memory for %s", path);
    return images_read(&scanner, out, count, classes);
}

int real_read(RealLabels *out, const char *path, const char *digest, int64_t count, int64_t classes, Error *error) {
    Buffer text;
    *out = (RealLabels){0};
    buffer_init(&text, REAL_FILE_MAX);
    int result = file_read(path, REAL_FILE_MAX, &text, error) ? DATA_REFUSED : text_read(out, path, digest, &text, count, classes, error);
    buffer_deinit(&text);
    return result;
}

void real_deinit(RealLabels *real) {
    free(real->first);
    free(real->labels);
}

bool real_has(const RealLabels *real, int64_t image, int64_t label) {
    for (uint32_t i = real->first[image]; i < real->first[image + 1]; i++)
        if (real->labels[i] == label)
            return true;
    return false;
}
