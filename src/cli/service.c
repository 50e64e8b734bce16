#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double start_seconds = 20, stop_seconds = 90, look_seconds = 0.05;
enum { LOG_TAIL = 600 };

extern char **environ;

/* The last line of the log is most likely why it did not start. */
static void last_line(const char *path, char *out, size_t capacity) {
    char tail[LOG_TAIL + 1];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = file >= 0 ? lseek(file, 0, SEEK_END) : 0;
    ssize_t got = size > 0 ? pread(file, tail, LOG_TAIL, size > LOG_TAIL ? size - LOG_TAIL : 0) : 0;
    if (file >= 0)
        close(file);
    tail[got > 0 ? got : 0] = '\0';
    for (ssize_t i = got - 1; i >= 0 && tail[i] == '\n'; i--)
        tail[i] = '\0';
    const char *line = strrchr(tail, '\n');
    text_copy(out, capacity, line ? line + 1 : tail);
}

static int spawn(const char *home, const char *workers, const char *log, pid_t *pid, Error *error) {
    char program[PATH_TEXT_MAX], count[32], home_copy[PATH_TEXT_MAX];
    if (path_program("sweepd", program, error) < 0)
        return -1;
    text_copy(count, sizeof count, workers ? workers : "");
    text_copy(home_copy, sizeof home_copy, home);
    char name[] = "sweepd", home_option[] = "--home", workers_option[] = "--workers";
    char *arguments[] = {name, home_option, home_copy, workers ? workers_option : NULL, count, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, handled;
    sigemptyset(&none);
    sigemptyset(&handled);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGHUP);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &handled);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int number = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number ? error_set_errno(error, number, "cannot start %s", program) : 0;
}

static int wait_ready(const char *home, const char *log, pid_t pid, Source **source, Error *error) {
    char reason[LOG_TAIL + 1];
    int status;
    double deadline = clock_monotonic() + start_seconds;
    while (clock_monotonic() < deadline) {
        Error not_yet = {0};
        if (source_open_quietly(source, home, SOURCE_DAEMON, &not_yet) == 0)
            return 0;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            last_line(log, reason, sizeof reason);
            return error_set(error, "sweepd did not start: %s (see %s)", *reason ? reason : "it said nothing", log);
        }
        if (interrupt_seen())
            break;
        interrupt_sleep(look_seconds);
    }
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    return error_set(error, "sweepd did not answer within %.0f seconds; see %s", start_seconds, log);
}

int service_start(const char *home, const char *workers, pid_t *pid, Source **source, Error *error) {
    char log[PATH_TEXT_MAX];
    if (path_format(log, error, "%s/sweepd.log", home) < 0 || directory_make(home, 0700, error) < 0 ||
        spawn(home, workers, log, pid, error) < 0)
        return -1;
    return wait_ready(home, log, *pid, source, error);
}

/* A daemon that is no child of this process has gone when its socket no longer answers. */
static bool has_gone(const Source *source, pid_t pid) {
    int status;
    Source *probe = NULL;
    Error ignored = {0};
    if (pid > 0) {
        pid_t waited = waitpid(pid, &status, WNOHANG);
        return waited == pid || (waited < 0 && errno == ECHILD);
    }
    int result = source_open_quietly(&probe, source_home(source), SOURCE_DAEMON, &ignored);
    source_free(probe);
    return result == CLI_NO_DAEMON;
}

int service_stop(Source *source, pid_t pid, Error *error) {
    Buffer body, answer;
    buffer_init(&body, 16);
    buffer_init(&answer, WIRE_BODY_MAX);
    buffer_append_text(&body, "{}");
    int result = source_call(source, "/v1/shutdown", &body, 30, &answer, error);
    buffer_deinit(&body);
    buffer_deinit(&answer);
    if (result && result != CLI_NO_DAEMON)
        return result;
    double deadline = clock_monotonic() + stop_seconds;
    while (!has_gone(source, pid)) {
        if (clock_monotonic() > deadline)
            return error_set(error, "the daemon of %s has not stopped within %.0f seconds; see its sweepd.log", source_home(source),
                             stop_seconds);
        struct timespec span = {.tv_nsec = (long)(look_seconds * 1e9)};
        nanosleep(&span, NULL); /* an interrupt does not shorten this: what was started is to be stopped */
    }
    return 0;
}
