/* Workers as processes of this machine.
 *
 * Everything that may fail or allocate happens before fork; between fork and exec the child calls async-signal-safe functions
 * only. The child reports a failed exec through a pipe that closes by itself when exec succeeds, so that a missing program is an error of
 * start and not a worker that died. Only processes that were started here are waited for. */

#include "sweepd/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { LOCAL_WORKERS_MAX = 1024, ARGUMENTS_MAX = 12, NUMBER_MAX = 32 };

typedef struct LocalExecutor {
    Executor base;
    char program[PATH_TEXT_MAX], home[PATH_TEXT_MAX], socket_path[PATH_TEXT_MAX], log_path[PATH_TEXT_MAX];
    int threads;
    bool unpinned;
    int64_t started; /* numbers the names */
    ExecWorker workers[LOCAL_WORKERS_MAX];
    size_t count;
} LocalExecutor;

typedef struct Command {
    char name[EXEC_NAME_MAX], threads[NUMBER_MAX], blas_threads[64], omp_threads[64];
    char *arguments[ARGUMENTS_MAX];
    char **environment; /* owned; its strings are not */
} Command;

/* ---- start ---- */

static bool names_thread_count(const char *variable) {
    return strncmp(variable, "OPENBLAS_NUM_THREADS=", 21) == 0 || strncmp(variable, "OMP_NUM_THREADS=", 16) == 0;
}

static int command_environment(Command *command, int threads, Error *error) {
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    command->environment = calloc(count + 3, sizeof *command->environment);
    if (command->environment == NULL)
        return error_set_memory(error, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!names_thread_count(environ[i]))
            command->environment[kept++] = environ[i];
    snprintf(command->blas_threads, sizeof command->blas_threads, "OPENBLAS_NUM_THREADS=%d", threads);
    snprintf(command->omp_threads, sizeof command->omp_threads, "OMP_NUM_THREADS=%d", threads);
    command->environment[kept++] = command->blas_threads;
    command->environment[kept] = command->omp_threads;
    return 0;
}

static int command_init(Command *command, LocalExecutor *local, Error *error) {
    *command = (Command){0};
    /* The daemon's pid keeps names apart from those of workers that an earlier daemon left behind. */
    snprintf(command->name, sizeof command->name, "local-%ld-%lld", (long)getpid(), (long long)++local->started);
    snprintf(command->threads, sizeof command->threads, "%d", local->threads);
    char *arguments[ARGUMENTS_MAX] = {local->program, "serve",       "--home",    local->home,      "--socket", local->socket_path,
                                      "--name",       command->name, "--threads", command->threads, NULL};
    size_t count = local->threads > 0 ? 10 : 8;
    arguments[count] = local->unpinned ? "--no-pin" : NULL;
    arguments[count + 1] = NULL;
    memcpy(command->arguments, arguments, sizeof arguments);
    return command_environment(command, local->threads > 0 ? local->threads : 1, error);
}

static void report_and_exit(int report) {
    int number = errno;
    ssize_t ignored = write(report, &number, sizeof number);
    (void)ignored;
    _exit(127);
}

/* Runs in the child. Signal dispositions and the mask are set back, since the daemon's would be inherited through exec. */
static void child_run(const Command *command, int log, int report) {
    sigset_t none;
    sigemptyset(&none);
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        report_and_exit(report);
    /* Whatever the daemon was started with and did not know of stays behind too. */
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(command->arguments[0], command->arguments, command->environment);
    report_and_exit(report);
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

static int spawn(const Command *command, int log, pid_t *out, Error *error) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return error_set_errno(error, errno, "pipe");
    pid_t pid = fork();
    if (pid == 0)
        child_run(command, log, report[1]);
    int number = errno;
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return error_set_errno(error, number, "fork");
    }
    number = read_report(report[0]);
    close(report[0]);
    if (number == 0) {
        *out = pid;
        return 0;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error_set_errno(error, number, "%s", command->arguments[0]);
}

static int local_start(Executor *executor, ExecWorker *out, Error *error) {
    LocalExecutor *local = (LocalExecutor *)executor;
    if (local->count == LOCAL_WORKERS_MAX)
        return error_set(error, "at most %d workers", LOCAL_WORKERS_MAX);
    Command command;
    int log = -1;
    pid_t pid = 0;
    int result = command_init(&command, local, error);
    if (result == 0) {
        log = open(local->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        result = log >= 0 ? spawn(&command, log, &pid, error) : error_set_errno(error, errno, "%s", local->log_path);
    }
    if (result == 0) {
        ExecWorker *worker = &local->workers[local->count++];
        *worker = (ExecWorker){.pid = pid};
        text_copy(worker->name, sizeof worker->name, command.name);
        *out = *worker;
    }
    if (log >= 0)
        close(log);
    free(command.environment);
    return result;
}

/* ---- end ---- */

static void describe_end(ExecWorker *worker, int status) {
    worker->ended = true;
    worker->by_signal = WIFSIGNALED(status);
    worker->code = worker->by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
    if (worker->by_signal)
        snprintf(worker->detail, sizeof worker->detail, "signal %d (%s)", worker->code, strsignal(worker->code));
    else
        snprintf(worker->detail, sizeof worker->detail, "exit code %d", worker->code);
}

static int local_reap(Executor *executor, ExecWorker *out, size_t capacity, size_t *count, Error *error) {
    (void)error;
    LocalExecutor *local = (LocalExecutor *)executor;
    *count = 0;
    for (size_t i = 0; i < local->count && *count < capacity;) {
        ExecWorker *worker = &local->workers[i];
        int status = 0;
        pid_t pid = waitpid((pid_t)worker->pid, &status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            i++;
            continue;
        }
        /* ECHILD: somebody else has waited for it; that it is gone is all there is to know. */
        if (pid > 0)
            describe_end(worker, status);
        else
            worker->ended = true;
        out[(*count)++] = *worker;
        *worker = local->workers[--local->count];
    }
    return 0;
}

static void local_stop(Executor *executor) {
    const LocalExecutor *local = (const LocalExecutor *)executor;
    for (size_t i = 0; i < local->count; i++)
        kill((pid_t)local->workers[i].pid, SIGTERM);
}

static size_t local_alive(const Executor *executor) {
    return ((const LocalExecutor *)executor)->count;
}

static void local_free(Executor *executor) {
    free(executor);
}

static const ExecutorInterface local_interface = {"local", local_start, local_reap, local_stop, local_alive, local_free};

int exec_local_new(Executor **out, const ExecLocalSettings *settings, Error *error) {
    LocalExecutor *local = calloc(1, sizeof *local);
    if (local == NULL)
        return error_set_memory(error, "out of memory");
    local->base.interface = &local_interface;
    local->threads = settings->threads;
    local->unpinned = settings->unpinned;
    if (!text_copy(local->program, sizeof local->program, settings->program) ||
        !text_copy(local->home, sizeof local->home, settings->home) ||
        !text_copy(local->socket_path, sizeof local->socket_path, settings->socket_path) ||
        !text_copy(local->log_path, sizeof local->log_path, settings->log_path)) {
        free(local);
        return error_set(error, "a path is longer than %d bytes", PATH_TEXT_MAX - 1);
    }
    *out = &local->base;
    return 0;
}
