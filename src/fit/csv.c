/* Points from a CSV file: RFC 4180 quoting, LF or CRLF, a header line. Everything is bounded by the text's size; a quoted field ends on its
 * own line, since no column that is read can hold a line break. */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 256, FIELD_TEXT_MAX = 128, COLUMNS = 6 };
typedef enum { COLUMN_PARAMS, COLUMN_EXAMPLES, COLUMN_LOSS, COLUMN_FLOPS, COLUMN_CONFIGURATION, COLUMN_WEIGHT } Column;

static const char NO_TEXT[] = "a byte 0: the file is no text, or damaged";
static const char *const COLUMN_NAMES[COLUMNS] = {"params", "examples", "loss", "flops", "configuration", "weight"};

typedef struct Field {
    char text[FIELD_TEXT_MAX];
    bool cut; /* longer than text */
} Field;

typedef struct Reader {
    const char *at, *end, *path;
    size_t line;
    int field_of[COLUMNS];      /* -1: absent */
    int fields;                 /* that the header has */
    const FitCsvFilter *filter; /* or NULL */
    Field *names, *row;         /* [FIELDS_MAX] each: the header and the row in hand */
    locale_t locale;            /* numbers are written with a point, whatever the user's language */
    Error *error;
} Reader;

static void field_add(Field *field, size_t *length, char c) {
    if (*length + 1 < sizeof field->text) {
        field->text[(*length)++] = c;
        field->text[*length] = '\0';
    } else {
        field->cut = true;
    }
}

static bool at_line_end(const Reader *reader) {
    return reader->at == reader->end || *reader->at == '\n' ||
           (*reader->at == '\r' && (reader->at + 1 == reader->end || reader->at[1] == '\n'));
}

static int invalid(Reader *reader, const char *what) {
    error_set(reader->error, "%s:%zu: %s", reader->path, reader->line, what);
    return FIT_CSV_INVALID;
}

static int read_quoted(Reader *reader, Field *field, size_t *length) {
    reader->at++;
    for (;;) {
        if (at_line_end(reader)) {
            return invalid(reader, "a quoted field does not end on its line");
        }
        if (*reader->at == '\0') {
            return invalid(reader, NO_TEXT);
        }
        if (*reader->at == '"' && !(reader->at + 1 < reader->end && reader->at[1] == '"')) {
            reader->at++;
            break;
        }
        reader->at += *reader->at == '"';
        field_add(field, length, *reader->at++);
    }
    return at_line_end(reader) || *reader->at == ',' ? 0 : invalid(reader, "text after the closing quote of a field");
}

static int read_field(Reader *reader, Field *field) {
    size_t length = 0;
    *field = (Field){0};
    if (reader->at < reader->end && *reader->at == '"') {
        return read_quoted(reader, field, &length);
    }
    while (!at_line_end(reader) && *reader->at != ',') {
        if (*reader->at == '\0') {
            return invalid(reader, NO_TEXT);
        }
        if (length > 0 || !isblank((unsigned char)*reader->at)) {
            field_add(field, &length, *reader->at);
        }
        reader->at++;
    }
    while (length > 0 && isblank((unsigned char)field->text[length - 1])) {
        field->text[--length] = '\0';
    }
    return 0;
}

static void skip_line_end(Reader *reader) {
    reader->at += reader->at < reader->end && *reader->at == '\r';
    reader->at += reader->at < reader->end && *reader->at == '\n';
    reader->line++;
}

static int note_header(Reader *reader, const Field *field) {
    for (int column = 0; column < COLUMNS; column++) {
        if (!field->cut && strcmp(field->text, COLUMN_NAMES[column]) == 0) {
            if (reader->field_of[column] >= 0) {
                error_set(reader->error, "%s:%zu: column \"%s\" appears twice", reader->path, reader->line, field->text);
                return FIT_CSV_INVALID;
            }
            reader->field_of[column] = reader->fields;
        }
    }
    return 0;
}

/* With the columns that there are, as far as they go: "Params" is easily taken for "params". */
static int missing_column(Reader *reader, int column) {
    enum { NAMES_SHOWN = 240 };
    char names[NAMES_SHOWN];
    size_t used = 0;
    for (int i = 0; i < reader->fields && used < sizeof names; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%.40s\"", i > 0 ? ", " : "", reader->names[i].text);
    }
    error_set(reader->error, "%s:%zu: no column \"%s\" among %s%s: the header line needs params, examples and loss, and may have flops",
              reader->path, reader->line, COLUMN_NAMES[column], names, used >= sizeof names ? "..." : "");
    return FIT_CSV_INVALID;
}

static int read_header(Reader *reader) {
    if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xef\xbb\xbf", 3) == 0) {
        reader->at += 3;
    }
    for (;;) {
        Field field;
        int result = read_field(reader, &field);
        if (result == 0) {
            result = note_header(reader, &field);
        }
        if (result != 0) {
            return result;
        }
        reader->names[reader->fields] = field;
        if (++reader->fields == FIELDS_MAX) {
            return invalid(reader, "more than 255 columns");
        }
        if (at_line_end(reader)) {
            break;
        }
        reader->at++;
    }
    for (int column = 0; column <= COLUMN_LOSS; column++) {
        if (reader->field_of[column] < 0) {
            return missing_column(reader, column);
        }
    }
    skip_line_end(reader);
    return 0;
}

static int invalid_number(Reader *reader, int column, const Field *field, const char *why) {
    error_set(reader->error, "%s:%zu: column %s: \"%.60s\" is %s", reader->path, reader->line, COLUMN_NAMES[column], field->text, why);
    return FIT_CSV_INVALID;
}

static int read_number(Reader *reader, int column, const Field *field, double *out) {
    size_t length = strlen(field->text);
    /* strtod would take "inf", "nan" and hexadecimal too. */
    if (length == 0 || field->cut || strspn(field->text, "0123456789+-.eE") != length) {
        return invalid_number(reader, column, field, "not a number");
    }
    char *end;
    errno = 0;
    *out = strtod_l(field->text, &end, reader->locale);
    if (*end != '\0') {
        return invalid_number(reader, column, field, "not a number");
    }
    if (errno == ERANGE || !isfinite(*out)) {
        return invalid_number(reader, column, field, "too large or too small");
    }
    return *out > 0 ? 0 : invalid_number(reader, column, field, "not above 0");
}

/* A configuration is any text; runs with the same text differ in their seed alone. FNV-1a keeps it in 64 bits. */
static int read_configuration(Reader *reader, const Field *field, int64_t *out) {
    if (field->text[0] == '\0') {
        return invalid(reader, "column configuration is empty");
    }
    if (field->cut) {
        return invalid(reader, "column configuration has more than 127 bytes");
    }
    uint64_t hash = 1469598103934665603u;
    for (const char *c = field->text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    *out = (int64_t)hash;
    return 0;
}

static int filter_row(Reader *reader, bool *wanted) {
    const char *names[FIELDS_MAX], *values[FIELDS_MAX];
    *wanted = true;
    if (reader->filter == NULL) {
        return 0;
    }
    for (int i = 0; i < reader->fields; i++) {
        names[i] = reader->names[i].text;
        values[i] = reader->row[i].text;
    }
    return reader->filter->keep(reader->filter->context, names, values, (size_t)reader->fields, wanted, reader->error);
}

static int read_fields(Reader *reader) {
    int fields = 0;
    for (bool more = true; more; fields++) {
        Field field;
        int result = read_field(reader, &field);
        if (result != 0) {
            return result;
        }
        if (fields < reader->fields) {
            reader->row[fields] = field;
        }
        more = !at_line_end(reader);
        reader->at += more;
    }
    if (fields != reader->fields) {
        error_set(reader->error, "%s:%zu: %d fields, and the header has %d", reader->path, reader->line, fields, reader->fields);
        return FIT_CSV_INVALID;
    }
    return 0;
}

static int read_point(Reader *reader, FitPoint *point) {
    double values[COLUMNS] = {[COLUMN_WEIGHT] = 1};
    for (int column = 0; column < COLUMNS; column++) {
        int field = reader->field_of[column];
        if (field < 0) {
            continue;
        }
        const Field *text = &reader->row[field];
        int result = column == COLUMN_CONFIGURATION ? read_configuration(reader, text, &point->configuration)
                                                    : read_number(reader, column, text, &values[column]);
        if (result != 0) {
            return result;
        }
    }
    point->params = values[COLUMN_PARAMS];
    point->examples = values[COLUMN_EXAMPLES];
    point->loss = values[COLUMN_LOSS];
    point->weight = values[COLUMN_WEIGHT];
    point->flops = reader->field_of[COLUMN_FLOPS] >= 0 ? values[COLUMN_FLOPS] : 6 * point->params * point->examples;
    return isfinite(point->flops) ? 0 : invalid(reader, "6 params examples is too large");
}

/* Only a wanted row has to have numbers: a table of runs may hold some that never measured anything. */
static int read_row(Reader *reader, FitPoint *point, bool *wanted) {
    int result = read_fields(reader);
    result = result == 0 ? filter_row(reader, wanted) : result;
    return result == 0 && *wanted ? read_point(reader, point) : result;
}

static int points_add(FitPoint **points, size_t *count, size_t *capacity, const FitPoint *point, Reader *reader) {
    if (*count == FIT_POINTS_MAX) {
        return invalid(reader, "more than 10000000 points");
    }
    if (*count == *capacity) {
        size_t wanted = *capacity == 0 ? 64 : 2 * *capacity;
        FitPoint *grown = realloc(*points, wanted * sizeof *grown);
        if (grown == NULL) {
            return error_set_memory(reader->error, "out of memory for %zu points", wanted);
        }
        *points = grown;
        *capacity = wanted;
    }
    (*points)[(*count)++] = *point;
    return 0;
}

static int read_rows(Reader *reader, FitPoint **points, size_t *count) {
    size_t capacity = 0;
    bool any = false;
    while (reader->at < reader->end) {
        if (!at_line_end(reader)) {
            FitPoint point = {0};
            bool wanted = false;
            int result = read_row(reader, &point, &wanted);
            any = true;
            if (result == 0 && wanted) {
                result = points_add(points, count, &capacity, &point, reader);
            }
            if (result != 0) {
                return result;
            }
        }
        skip_line_end(reader);
    }
    return any ? 0 : invalid(reader, "no points: a header line and nothing after it");
}

static int point_compare(const void *left, const void *right) {
    const FitPoint *a = *(const FitPoint *const *)left, *b = *(const FitPoint *const *)right;
    const double keys[][2] = {{a->params, b->params}, {a->examples, b->examples}, {a->flops, b->flops}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i][0] != keys[i][1]) {
            return keys[i][0] < keys[i][1] ? -1 : 1;
        }
    }
    return (a > b) - (a < b);
}

/* Without a column that says so, runs of one size, examples and compute are taken for seeds of one configuration. */
static int number_configurations(FitPoint *points, size_t count, Error *error) {
    FitPoint **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &points[i];
    }
    qsort(sorted, count, sizeof *sorted, point_compare);
    int64_t configuration = 0;
    for (size_t i = 0; i < count; i++) {
        const FitPoint *last = i == 0 ? NULL : sorted[i - 1];
        bool same =
            last != NULL && last->params == sorted[i]->params && last->examples == sorted[i]->examples && last->flops == sorted[i]->flops;
        configuration += same ? 0 : 1;
        sorted[i]->configuration = configuration;
    }
    free(sorted);
    return 0;
}

static int reader_init(Reader *reader) {
    reader->names = calloc(FIELDS_MAX, sizeof *reader->names);
    reader->row = calloc(FIELDS_MAX, sizeof *reader->row);
    return reader->names != NULL && reader->row != NULL ? 0 : error_set_memory(reader->error, "out of memory");
}

int fit_points_read_csv(FitPoint **out, size_t *count, const char *text, size_t size, const char *path, const FitCsvFilter *filter,
                        Error *error) {
    Reader reader = {.at = text, .end = text + size, .path = path, .line = 1, .field_of = {-1, -1, -1, -1, -1, -1}, .error = error};
    FitPoint *points = NULL;
    size_t read = 0;
    reader.filter = filter;
    reader.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (reader.locale == (locale_t)0) {
        return error_set_errno(error, errno, "no locale to read numbers in");
    }
    int result = reader_init(&reader);
    if (result == 0) {
        result = read_header(&reader);
    }
    if (result == 0) {
        result = read_rows(&reader, &points, &read);
    }
    if (result == 0 && reader.field_of[COLUMN_CONFIGURATION] < 0) {
        result = number_configurations(points, read, error);
    }
    freelocale(reader.locale);
    free(reader.names);
    free(reader.row);
    if (result != 0) {
        free(points);
        return result;
    }
    *out = points;
    *count = read;
    return 0;
}
