/* Everything that may fail or allocate happens before fork; between fork and exec the child calls async-signal-safe functions only. A
 * failed exec is told through a pipe that closes by itself when exec succeeds.
 *
 * The program leads a process group, so that what it starts is ended with it. It is killed by the kernel when the thread that started it
 * ends, which holds for a worker that is killed too; its children, which the kernel does not tell, see their parent end. */
#include "process.h"

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
    pid_t parent;
    int output[2], errors[2], report[2]; /* pipes */
} Start;

static void child_run(const Start *start) {
    sigset_t none;
    sigemptyset(&none);
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != start->parent) /* it ended before that */
        _exit(127);
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(start->output[1], STDOUT_FILENO) < 0 ||
        dup2(start->errors[1], STDERR_FILENO) < 0 || chdir(start->directory) != 0)
        report_and_exit(start->report[1]);
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(start->program, start->arguments, start->environment);
    report_and_exit(start->report[1]);
}

/* 0 when exec succeeded in the child; its errno otherwise. */
static int read_report(int report) {
    int number = 0;
    ssize_t got;
    do
        got = read(report, &number, sizeof number);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof number ? number : 0;
}

static void close_pipe(int pipe[2]) {
    for (int i = 0; i < 2; i++) {
        if (pipe[i] >= 0)
            close(pipe[i]);
        pipe[i] = -1;
    }
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
    pid_t pid = fork();
    if (pid == 0)
        child_run(start);
    if (pid < 0)
        return error_set_errno(error, errno, "fork");
    setpgid(pid, pid); /* as the child does: whichever comes first */
    close(start->report[1]);
    start->report[1] = -1;
    int number = read_report(start->report[0]);
    if (number == 0) {
        out->pid = pid;
        return 0;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    error_set_errno(error, number, "cannot start %.500s in %.500s", start->program, start->directory);
    return PROCESS_MISSING;
}

int process_start(Process *out, char *const *arguments, char *const *environment, const char *directory, Error *error) {
    char program[PATH_TEXT_MAX];
    Start start = {.program = program,
                   .directory = directory,
                   .arguments = arguments,
                   .environment = environment,
                   .parent = getpid(),
                   .output = {-1, -1},
                   .errors = {-1, -1},
                   .report = {-1, -1}};
    *out = (Process){.output = -1, .errors = -1};
    int result = find_program(arguments[0], program, error);
    if (result)
        return result;
    if (pipe2(start.output, O_CLOEXEC) || pipe2(start.errors, O_CLOEXEC) || pipe2(start.report, O_CLOEXEC))
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

bool process_ended(Process *process) {
    struct rusage usage;
    if (process->pid == 0)
        return true;
    /* Looked at, and its group ended, before it is waited for: until then nobody else can have its number. */
    siginfo_t seen = {0};
    if (waitid(P_PID, (id_t)process->pid, &seen, WEXITED | WNOHANG | WNOWAIT) == 0 && seen.si_pid == 0)
        return false;
    kill(-process->pid, SIGKILL);
    if (wait4(process->pid, &process->status, 0, &usage) == process->pid)
        process->memory_bytes = 1024.0 * (double)usage.ru_maxrss;
    process->pid = 0;
    return true;
}

void process_signal(const Process *process, int number) {
    if (process->pid > 0)
        kill(-process->pid, number);
}

void process_deinit(Process *process) {
    process_signal(process, SIGKILL);
    while (!process_ended(process))
        usleep(1000);
    if (process->output >= 0)
        close(process->output);
    if (process->errors >= 0)
        close(process->errors);
    process->output = process->errors = -1;
}

void process_describe(const Process *process, char *out, size_t capacity) {
    if (WIFSIGNALED(process->status))
        snprintf(out, capacity, "signal %d (%s)", WTERMSIG(process->status), strsignal(WTERMSIG(process->status)));
    else
        snprintf(out, capacity, "exit code %d", WEXITSTATUS(process->status));
}
