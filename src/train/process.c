/* Everything that may fail or allocate happens before fork; between fork and exec the child calls async-signal-safe functions only. A
 * failed exec is told through a pipe that closes by itself when exec succeeds.
 *
 * The program leads a process group, so that what it starts is ended with it; a guard stands over it, which ends what is left of it when it
 * has ended, and all of it when this process has, in whatever way. */
#include "process.h"
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const Process process_none = {.reports = -1, .lifeline = -1, .output = -1, .errors = -1};

/* ---- start ---- */

static void report_and_exit(int report) {
    int number = errno;
    ssize_t ignored = write(report, &number, sizeof number);
    (void)ignored;
    _exit(127);
}

typedef struct Start {
    const char *program, *directory;
    char *const *arguments;
    char *const *environment;
    int output[2], errors[2], report[2], lifeline[2], guard[2]; /* pipes */
} Start;

/* In the program's own process, below the guard, with whom it ends. */
static void child_run(const void *context) {
    const Start *start = context;
    sigset_t none;
    sigemptyset(&none);
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(start->output[1], STDOUT_FILENO) < 0 ||
        dup2(start->errors[1], STDERR_FILENO) < 0 || chdir(start->directory) != 0)
        report_and_exit(start->report[1]);
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(start->program, start->arguments, start->environment);
    report_and_exit(start->report[1]);
}

/* What is written to a pipe at once is read at once. */
static bool read_whole(int descriptor, void *out, size_t size) {
    ssize_t got;
    do
        got = read(descriptor, out, size);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

/* 0 when exec succeeded in the child; its errno otherwise. */
static int read_report(int report) {
    int number = 0;
    return read_whole(report, &number, sizeof number) ? number : 0;
}

static void close_end(int *descriptor) {
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void close_pipe(int pipe[2]) {
    close_end(&pipe[0]);
    close_end(&pipe[1]);
}

/* A name without a slash is looked for along PATH; with one, it is relative to the directory where the program is started. */
static int find_program(const char *name, char out[PATH_TEXT_MAX], Error *error) {
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return path_format(out, error, "%s", name);
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t size = strcspn(at, ":");
        if (size > 0 && path_format(out, NULL, "%.*s/%s", (int)size, at, name) == 0 && access(out, X_OK) == 0)
            return 0;
        at += size + (at[size] == ':');
    }
    error_set(error, "%.200s: no such program along PATH", name);
    return PROCESS_MISSING;
}

static int start_child(Start *start, Process *out, Error *error) {
    GuardReport begun = {0};
    pid_t guard = fork();
    if (guard == 0) {
        close(start->lifeline[1]);
        guard_run(start->lifeline[0], start->guard[1], child_run, start);
    }
    if (guard < 0)
        return error_set_errno(error, errno, "fork");
    close_end(&start->report[1]);
    close_end(&start->guard[1]);
    close_end(&start->lifeline[0]);
    int number = read_report(start->report[0]);
    bool told = read_whole(start->guard[0], &begun, sizeof begun);
    if (number == 0 && told) {
        *out = (Process){
            .pid = begun.pid, .guard = guard, .reports = start->guard[0], .lifeline = start->lifeline[1], .output = -1, .errors = -1};
        start->guard[0] = start->lifeline[1] = -1;
        return 0;
    }
    close_end(&start->lifeline[1]);
    while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
        ;
    if (number == 0)
        return error_set(error, "a process cannot be started");
    error_set_errno(error, number, "cannot start %.500s in %.500s", start->program, start->directory);
    return PROCESS_MISSING;
}

int process_start(Process *out, char *const *arguments, char *const *environment, const char *directory, Error *error) {
    char program[PATH_TEXT_MAX];
    Start start = {.program = program,
                   .directory = directory,
                   .arguments = arguments,
                   .environment = environment,
                   .output = {-1, -1},
                   .errors = {-1, -1},
                   .report = {-1, -1},
                   .lifeline = {-1, -1},
                   .guard = {-1, -1}};
    *out = process_none;
    int result = find_program(arguments[0], program, error);
    if (result)
        return result;
    if (pipe2(start.output, O_CLOEXEC) || pipe2(start.errors, O_CLOEXEC) || pipe2(start.report, O_CLOEXEC) ||
        pipe2(start.lifeline, O_CLOEXEC) || pipe2(start.guard, O_CLOEXEC))
        result = error_set_errno(error, errno, "pipe");
    else
        result = start_child(&start, out, error);
    if (!result) {
        out->output = start.output[0];
        out->errors = start.errors[0];
        start.output[0] = start.errors[0] = -1;
        fcntl(out->output, F_SETFL, O_NONBLOCK);
        fcntl(out->errors, F_SETFL, O_NONBLOCK);
    }
    close_pipe(start.output);
    close_pipe(start.errors);
    close_pipe(start.report);
    close_pipe(start.lifeline);
    close_pipe(start.guard);
    return result;
}

/* ---- while it runs ---- */

void process_wait(const Process *process, double seconds) {
    struct pollfd polled[2] = {{.fd = process->output, .events = POLLIN}, {.fd = process->errors, .events = POLLIN}};
    poll(polled, 2, (int)(seconds * 1e3) + 1);
}

size_t process_read(int *descriptor, char *out, size_t capacity) {
    if (*descriptor < 0)
        return 0;
    ssize_t got = read(*descriptor, out, capacity);
    if (got > 0)
        return (size_t)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    close(*descriptor);
    *descriptor = -1;
    return 0;
}

/* It takes memory and cores from the runs that follow, and nobody else knows of it. */
static void tell_left(pid_t left) {
    if (left > 0)
        log_write(LOG_WARNING, "process %lld, which the program started, could not be ended within %d s and may still run", (long long)left,
                  GUARD_SECONDS);
    else if (left < 0)
        log_write(LOG_WARNING, "a process that the program started could not be ended within %d s and may still run", GUARD_SECONDS);
}

bool process_ended(Process *process) {
    GuardReport ended = {.status = SIGKILL};
    siginfo_t seen = {0};
    if (process->guard == 0)
        return true;
    if (waitid(P_PID, (id_t)process->guard, &seen, WEXITED | WNOHANG | WNOWAIT) == 0 && seen.si_pid == 0)
        return false;
    /* A guard that was killed itself says nothing: the kernel has ended the program with it. */
    if (!read_whole(process->reports, &ended, sizeof ended))
        ended = (GuardReport){.status = SIGKILL};
    tell_left(ended.left);
    process->status = ended.status;
    process->memory_bytes = ended.memory_bytes;
    while (waitpid(process->guard, NULL, 0) < 0 && errno == EINTR)
        ;
    close_end(&process->reports);
    close_end(&process->lifeline);
    process->guard = 0;
    process->pid = 0;
    return true;
}

/* While the guard is there, nobody else can have the program's number but for the moment in which it leaves. */
void process_signal(const Process *process, int number) {
    if (process->pid > 0)
        guard_signal(process->pid, number);
}

void process_deinit(Process *process) {
    close_end(&process->lifeline); /* at which the guard ends them all */
    while (!process_ended(process))
        usleep(1000);
    close_end(&process->output);
    close_end(&process->errors);
}

void process_describe(const Process *process, char *out, size_t capacity) {
    if (WIFSIGNALED(process->status))
        snprintf(out, capacity, "signal %d (%s)", WTERMSIG(process->status), strsignal(WTERMSIG(process->status)));
    else
        snprintf(out, capacity, "exit code %d", WEXITSTATUS(process->status));
}
