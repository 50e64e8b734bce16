/* The journal is the queue between the thread that trains and the thread that reports: points are appended to the file, and the reporter
 * reads it from the first byte that is not acknowledged. So nothing has to be kept twice, a daemon that is away for a day costs disk and
 * not memory, and what a killed worker leaves is exactly what its successor has to deliver. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_LINE_MAX = 4096, JOURNAL_CHUNK_MAX = WIRE_POINTS_MAX * JOURNAL_LINE_MAX };

void journal_format_point(const Point *point, Buffer *out) {
    buffer_printf(out, "{\"step\":%lld,\"examples\":", (long long)point->step);
    buffer_append_double(out, point->examples);
    buffer_append_text(out, ",\"flops\":");
    buffer_append_double(out, point->flops);
    buffer_append_text(out, ",\"seconds\":");
    buffer_append_double(out, point->seconds);
    buffer_append_text(out, ",\"metrics\":");
    point_format_metrics(point, out);
    buffer_append_text(out, "}");
}

static int journal_parse_metrics(Point *out, const json_t *metrics) {
    char *text = json_dumps(metrics, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!text)
        return 1;
    int result = point_parse_metrics(out, text, strlen(text), NULL);
    free(text);
    return result ? 1 : 0;
}

int journal_parse_point(Point *out, const char *line, size_t size) {
    *out = (Point){0};
    json_t *tree = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    json_int_t step = 0;
    json_t *metrics = NULL;
    int result = 1;
    if (tree &&
        !json_unpack(tree, "{s:I, s:F, s:F, s:F, s:o}", "step", &step, "examples", &out->examples, "flops", &out->flops, "seconds",
                     &out->seconds, "metrics", &metrics) &&
        step >= 0) {
        out->step = step;
        result = journal_parse_metrics(out, metrics);
    }
    json_decref(tree);
    return result;
}

/* A line that was being written when the process was killed has no newline: what follows the last newline goes. */
static int journal_cut_torn(int descriptor, const char *path, Error *error) {
    struct stat status;
    if (fstat(descriptor, &status))
        return error_set_errno(error, errno, "cannot read %s", path);
    int64_t end = status.st_size;
    char byte = '\n';
    while (end > 0 && pread(descriptor, &byte, 1, end - 1) == 1 && byte != '\n')
        end--;
    if (end != status.st_size && ftruncate(descriptor, end))
        return error_set_errno(error, errno, "cannot write %s", path);
    return 0;
}

int journal_init(Journal *journal, const char *path, bool keep, Error *error) {
    *journal = (Journal){.descriptor = -1};
    int descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0644);
    if (descriptor < 0)
        return error_set_errno(error, errno, "cannot open %s", path);
    if (journal_cut_torn(descriptor, path, error)) {
        close(descriptor);
        return -1;
    }
    pthread_mutex_init(&journal->lock, NULL);
    journal->descriptor = descriptor;
    return 0;
}

void journal_deinit(Journal *journal) {
    if (!journal || journal->descriptor <= 0)
        return;
    close(journal->descriptor);
    pthread_mutex_destroy(&journal->lock);
    journal->descriptor = -1;
}

int journal_append(Journal *journal, const Point *point, Error *error) {
    Buffer line;
    buffer_init(&line, JOURNAL_LINE_MAX);
    journal_format_point(point, &line);
    buffer_append_text(&line, "\n");
    int result = buffer_check(&line, error, "a point");
    if (!result) {
        pthread_mutex_lock(&journal->lock);
        ssize_t written = write(journal->descriptor, line.data, line.size);
        pthread_mutex_unlock(&journal->lock);
        if (written != (ssize_t)line.size)
            result = error_set_errno(error, written < 0 ? errno : ENOSPC, "cannot write the journal of points");
        else if (fdatasync(journal->descriptor) && errno != EINVAL) /* EINVAL: a file system that cannot */
            result = error_set_errno(error, errno, "cannot write the journal of points");
    }
    buffer_deinit(&line);
    return result;
}

/* Points from complete lines of text. Returns the bytes that were used up. */
static size_t journal_scan(const char *text, size_t size, Point *out, size_t capacity, size_t *count) {
    size_t used = 0;
    while (*count < capacity) {
        const char *end = memchr(text + used, '\n', size - used);
        if (!end)
            break;
        size_t length = (size_t)(end - text) - used;
        if (!journal_parse_point(&out[*count], text + used, length))
            ++*count;
        else
            log_write(LOG_WARNING, "the journal has a line that is not a point; it is passed over");
        used += length + 1;
    }
    return used;
}

bool journal_is_empty(Journal *journal) {
    struct stat status;
    return fstat(journal->descriptor, &status) || status.st_size == 0;
}

int journal_read(Journal *journal, Point *out, size_t capacity, size_t *count, int64_t *end, bool *more, Error *error) {
    int result = 0;
    *count = 0;
    *more = false;
    char *chunk = malloc(JOURNAL_CHUNK_MAX);
    if (!chunk)
        return error_set(error, "out of memory");
    pthread_mutex_lock(&journal->lock);
    *end = journal->acknowledged;
    ssize_t size = pread(journal->descriptor, chunk, JOURNAL_CHUNK_MAX, *end);
    pthread_mutex_unlock(&journal->lock);
    if (size < 0) {
        result = error_set_errno(error, errno, "cannot read the journal of points");
    } else if (size > 0) {
        size_t used = journal_scan(chunk, (size_t)size, out, capacity, count);
        if (!used && size == JOURNAL_CHUNK_MAX)
            used = (size_t)size; /* no line is that long: not a journal's bytes */
        *end += (int64_t)used;
        *more = used && (used < (size_t)size || size == JOURNAL_CHUNK_MAX);
    }
    free(chunk);
    return result;
}

int journal_acknowledge(Journal *journal, int64_t end, Error *error) {
    int result = 0;
    struct stat status;
    pthread_mutex_lock(&journal->lock);
    journal->acknowledged = end;
    if (fstat(journal->descriptor, &status)) {
        result = error_set_errno(error, errno, "cannot read the journal of points");
    } else if (status.st_size <= end) {
        if (status.st_size > 0 && ftruncate(journal->descriptor, 0))
            result = error_set_errno(error, errno, "cannot empty the journal of points");
        else
            journal->acknowledged = 0;
    }
    pthread_mutex_unlock(&journal->lock);
    return result;
}

int journal_keep_until(Journal *journal, int64_t step, Point *last, Error *error) {
    bool more = true;
    int64_t kept = 0;
    while (more) {
        Point point;
        size_t count;
        int64_t end;
        if (journal_read(journal, &point, 1, &count, &end, &more, error))
            return -1;
        if (count && point.step > step)
            break;
        if (count)
            *last = point;
        kept = journal->acknowledged = end;
    }
    journal->acknowledged = 0;
    if (ftruncate(journal->descriptor, kept))
        return error_set_errno(error, errno, "cannot cut the points");
    return 0;
}
