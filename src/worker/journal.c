/* Points in a file. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_LINE_MAX = 16384 };

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
    journal->descriptor = descriptor;
    return 0;
}

void journal_deinit(Journal *journal) {
    if (!journal || journal->descriptor <= 0)
        return;
    close(journal->descriptor);
    journal->descriptor = -1;
}

int journal_append(Journal *journal, const Point *point, Error *error) {
    Buffer line;
    buffer_init(&line, JOURNAL_LINE_MAX);
    journal_format_point(point, &line);
    buffer_append_text(&line, "\n");
    int result = buffer_check(&line, error, "a point");
    if (!result) {
        ssize_t written = write(journal->descriptor, line.data, line.size);
        if (written != (ssize_t)line.size)
            result = error_set_errno(error, written < 0 ? errno : ENOSPC, "cannot write the journal of points");
        else if (fdatasync(journal->descriptor) && errno != EINVAL) /* EINVAL: a file system that cannot */
            result = error_set_errno(error, errno, "cannot write the journal of points");
    }
    buffer_deinit(&line);
    return result;
}

/* Lines are read one by one, so that a file of any length will do. */
int journal_keep_until(Journal *journal, int64_t step, Point *last, Error *error) {
    char chunk[JOURNAL_LINE_MAX];
    off_t kept = 0;
    ssize_t size;
    while ((size = pread(journal->descriptor, chunk, sizeof chunk, kept)) > 0) {
        Point point;
        const char *end = memchr(chunk, '\n', (size_t)size);
        size_t length = end ? (size_t)(end - chunk) + 1 : (size_t)size;
        if (end && !journal_parse_point(&point, chunk, length - 1)) {
            if (point.step > step)
                break;
            *last = point;
        } else {
            log_write(LOG_WARNING, "the journal has a line that is not a point; it is passed over");
        }
        kept += (off_t)length;
    }
    if (size < 0)
        return error_set_errno(error, errno, "cannot read the journal of points");
    return ftruncate(journal->descriptor, kept) ? error_set_errno(error, errno, "cannot cut the points") : 0;
}
