#include "sweepd/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 2048 };

static int log_descriptor = STDERR_FILENO;

int log_open(const char *path, Error *error) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return error_set_errno(error, errno, "cannot open the log %s", path);
    log_close();
    log_descriptor = descriptor;
    return 0;
}

void log_close(void) {
    if (log_descriptor != STDERR_FILENO)
        close(log_descriptor);
    log_descriptor = STDERR_FILENO;
}

/* One write per line, so that lines of several processes that append to one file do not mix. */
void log_write(LogLevel level, const char *format, ...) {
    static const char *const names[] = {"info", "warning", "error"};
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX], stamp[32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    clock_text(clock_unix(), stamp);
    int used = snprintf(line, sizeof line, "%s %s ", stamp, names[level]);
    text_copy_plain(line + used, sizeof line - (size_t)used - 1, text);
    size_t size = strlen(line);
    line[size++] = '\n';
    ssize_t ignored = write(log_descriptor, line, size);
    (void)ignored;
}
