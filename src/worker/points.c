/* Points on their way to the daemon, in the order in which they were measured. They wait in memory: what is lost with the process is
 * measured again, bit for bit, from the last checkpoint on. Before a checkpoint is written those measured up to it go to the attempt's
 * journal, since nobody measures them again. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

int points_append(PointList *list, const Point *point, Error *error) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        Point *grown = realloc(list->points, capacity * sizeof *grown);
        if (!grown)
            return error_set_memory(error, "no memory for %zu points", capacity);
        list->points = grown;
        list->capacity = capacity;
    }
    list->points[list->count++] = *point;
    return 0;
}

void points_drop(PointList *list, size_t count) {
    list->count -= count;
    if (list->count)
        memmove(list->points, list->points + count, list->count * sizeof *list->points);
}

void points_deinit(PointList *list) {
    free(list->points);
    *list = (PointList){0};
}

int points_format(const PointList *list, size_t from, Buffer *out, Error *error) {
    for (size_t i = from; i < list->count; i++) {
        journal_format_point(&list->points[i], out);
        buffer_append_text(out, "\n");
    }
    return buffer_check(out, error, "a journal of points");
}

/* A line without its end was being written when its process was killed. */
int points_parse(PointList *list, const Buffer *text, Error *error) {
    size_t left = text->size;
    const char *end;
    for (const char *line = text->data; left && (end = memchr(line, '\n', left)); line = end + 1) {
        Point point;
        size_t size = (size_t)(end - line);
        left -= size + 1;
        if (journal_parse_point(&point, line, size))
            log_write(LOG_WARNING, "the journal has a line that is not a point; it is passed over");
        else if (points_append(list, &point, error))
            return -1;
    }
    return 0;
}
