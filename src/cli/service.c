/* Several people's commands may start and stop daemons of one home at the same moment. The lock of the home decides who serves: a daemon
 * that finds it held ends at once. Whoever started such a one goes on looking: for the holder to answer, or, when the holder was about to
 * leave, for it to be gone, and then starts another. Only who has stopped a daemon looks at the lock itself, until it is free: a look could
 * keep another from starting at that moment. */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

static const double start_seconds = 20, leave_seconds = 30, stop_seconds = 90, look_seconds = 0.05;
enum { LOG_TAIL = 600, STARTS_MAX = 3, SERVICE_STOPPING = 201 };

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

typedef struct Joining {
    const char *home, *workers;
    bool leaves; /* with this process */
    char log[PATH_TEXT_MAX];
    pid_t child;  /* 0: none is starting */
    pid_t holder; /* held the lock when a child came; 0: nobody known */
    int failures; /* children that ended although nobody held the lock */
    double deadline;
    bool told; /* that a stopping one is waited for */
} Joining;

/* log: open for appending. */
static int spawn(const Joining *joining, int log, pid_t *pid, Error *error) {
    char program[PATH_TEXT_MAX], count[32], own_pid[32], home_copy[PATH_TEXT_MAX];
    if (path_program("sweepd", program, error) < 0)
        return -1;
    text_copy(count, sizeof count, joining->workers ? joining->workers : "");
    text_copy(home_copy, sizeof home_copy, joining->home);
    snprintf(own_pid, sizeof own_pid, "%d", (int)getpid());
    char name[] = "sweepd", home_option[] = "--home", workers_option[] = "--workers", leave_option[] = "--leave-with";
    char *arguments[8] = {name, home_option, home_copy};
    size_t used = 3;
    if (joining->workers) {
        arguments[used++] = workers_option;
        arguments[used++] = count;
    }
    if (joining->leaves) {
        arguments[used++] = leave_option;
        arguments[used++] = own_pid;
    }
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
    posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &handled);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int number = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number ? error_set_errno(error, number, "cannot start %s", program) : 0;
}

/* ---- joining ---- */

/* The process named in the home's lock, when it lives; 0: none. The name outlives the lock, so it means nothing by itself. */
static pid_t lock_holder(const char *home) {
    char path[PATH_TEXT_MAX], text[32];
    Error ignored = {0};
    if (path_format(path, &ignored, "%s/lock", home) < 0)
        return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (file >= 0)
        close(file);
    text[got > 0 ? got : 0] = '\0';
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    if (pid <= 0 || waitpid(pid, NULL, WNOHANG) == pid) /* an earlier child of ours that has ended */
        return 0;
    return kill(pid, 0) == 0 || errno == EPERM ? pid : 0;
}

/* 0 with *source and *server, the daemon's process; SERVICE_STOPPING; CLI_NO_DAEMON; as source_open. */
static int look(const char *home, Source **source, pid_t *server, Error *error) {
    StatusRecord status;
    int result = source_open_quietly(source, home, SOURCE_DAEMON, error);
    if (!result)
        result = source_status(*source, &status, error);
    if (!result && status.stopping)
        result = SERVICE_STOPPING;
    if (!result)
        *server = (pid_t)status.pid;
    if (result) {
        source_free(*source);
        *source = NULL;
    }
    return result;
}

bool service_serves(const char *home) {
    Source *source;
    pid_t server;
    Error ignored = {0};
    bool serves = look(home, &source, &server, &ignored) == 0;
    source_free(source);
    return serves;
}

static int start(Joining *joining, Error *error) {
    int log = open(joining->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return error_set_errno(error, errno, "cannot open %s", joining->log);
    int result = spawn(joining, log, &joining->child, error);
    close(log);
    joining->holder = 0;
    joining->deadline = clock_monotonic() + start_seconds;
    return result;
}

/* A child that found the lock held is no failure. One that ended for another reason is tried again, since a holder that leaves at that
 * moment looks the same. */
static int child_ended(Joining *joining, Error *error) {
    char reason[LOG_TAIL + 1];
    joining->child = 0;
    joining->holder = lock_holder(joining->home);
    if (joining->holder) {
        joining->deadline = clock_monotonic() + leave_seconds;
        return 0;
    }
    if (++joining->failures < STARTS_MAX)
        return 0;
    last_line(joining->log, reason, sizeof reason);
    return error_set(error, "sweepd did not start: %s (see %s)", *reason ? reason : "it said nothing", joining->log);
}

/* What there is to do while nobody answers. */
static int advance(Joining *joining, Error *error) {
    if (joining->child)
        return waitpid(joining->child, NULL, WNOHANG) == joining->child ? child_ended(joining, error) : 0;
    if (joining->holder && lock_holder(joining->home) == joining->holder)
        return 0;
    return start(joining, error);
}

static int too_late(const Joining *joining, Error *error) {
    if (joining->child)
        return error_set(error, "sweepd did not answer within %.0f seconds; see %s", start_seconds, joining->log);
    return error_set(error, "the daemon of %s neither serves nor leaves; gave up after %.0f seconds, see %s", joining->home, leave_seconds,
                     joining->log);
}

static int wait_served(Joining *joining, Source **source, pid_t *server, Error *error) {
    for (;;) {
        int result = look(joining->home, source, server, error);
        if (result == CLI_NO_DAEMON)
            result = advance(joining, error);
        else if (result != SERVICE_STOPPING)
            return result;
        if (result < 0)
            return result;
        if (result == SERVICE_STOPPING && !joining->told)
            cli_note("the daemon of %s is stopping; waiting until it has gone", joining->home);
        joining->told = joining->told || result == SERVICE_STOPPING;
        if (interrupt_seen())
            return CLI_INTERRUPTED;
        if (clock_monotonic() > joining->deadline)
            return too_late(joining, error);
        interrupt_sleep(look_seconds);
    }
}

int service_join(const char *home, const char *workers, bool leaves, pid_t *pid, Source **source, Error *error) {
    Joining joining = {.home = home, .workers = workers, .leaves = leaves, .deadline = clock_monotonic() + leave_seconds};
    pid_t server = 0;
    *source = NULL;
    *pid = 0;
    if (path_format(joining.log, error, "%s/sweepd.log", home) < 0 || directory_make(home, 0700, error) < 0)
        return -1;
    int result = wait_served(&joining, source, &server, error);
    /* When another serves, ours has lost, or is about to find that out. */
    if (joining.child && (result || joining.child != server)) {
        kill(joining.child, SIGTERM);
        waitpid(joining.child, NULL, 0);
    } else {
        *pid = joining.child;
    }
    if (result == 0 || result == CLI_INTERRUPTED)
        *error = (Error){0};
    return result;
}

/* ---- stopping ---- */

/* A daemon that closes a large store has no socket any more and holds the lock still. */
static bool lock_is_free(const char *home) {
    char path[PATH_TEXT_MAX];
    if (path_format(path, NULL, "%s/lock", home) < 0)
        return true;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool taken = file >= 0 && flock(file, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    return !taken;
}

/* One that is no child of this process has gone when its socket no longer answers and its lock is free. */
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
    return result == CLI_NO_DAEMON && lock_is_free(source_home(source));
}

static int ask_to_stop(Source *source, const char *sweep, Error *error) {
    Buffer body, answer;
    buffer_init(&body, 4096);
    buffer_init(&answer, WIRE_BODY_MAX);
    buffer_append_text(&body, "{");
    if (sweep) {
        buffer_append_text(&body, "\"sweep\":");
        buffer_append_json(&body, sweep);
    }
    buffer_append_text(&body, "}");
    int result = source_call(source, "/v1/shutdown", &body, 30, &answer, error);
    json_t *root = result ? NULL : json_loadb(answer.data ? answer.data : "", answer.size, 0, NULL);
    if (json_is_false(json_object_get(root, "stopping")))
        result = SERVICE_STAYS;
    json_decref(root);
    buffer_deinit(&body);
    buffer_deinit(&answer);
    return result;
}

int service_stop(Source *source, pid_t pid, const char *sweep, Error *error) {
    int result = ask_to_stop(source, sweep, error);
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
