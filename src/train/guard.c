/* The kernel ends a program with its parent where it is asked to (PR_SET_PDEATHSIG), but not the program's children. The guard is the
 * program's parent and the one to whom its orphans fall (PR_SET_CHILD_SUBREAPER), whatever group or session they made. It sees the worker
 * end, however that ends, by the end of a pipe that the worker alone keeps open. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_child(int number) {
    (void)number;
}

/* SIGCHLD comes only while the guard waits. What a terminal or a person sends to stop the worker reaches the guard too, and is not for it.
 */
static void prepare_signals(sigset_t *waiting) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t blocked;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = on_child;
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    sigemptyset(waiting);
}

/* One by one where the system, or a container's filter of its calls, has no close_range. */
static void close_all(unsigned first, unsigned last) {
    struct rlimit limit;
    if (close_range(first, last, 0) == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    for (rlim_t i = first; i <= last && i < limit.rlim_cur; i++)
        close((int)i);
}

/* The guard's own copies of the worker's files would outlive the worker: its locks, its connections. And its copy of the pipe that closes
 * when exec succeeds would keep the worker waiting. */
static void keep_only(int a, int b) {
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (low > 0)
        close_all(0, low - 1);
    if (high > low + 1)
        close_all(low + 1, high - 1);
    close_all(high + 1, ~0U);
}

static void report_write(int reports, const GuardReport *report) {
    ssize_t ignored = write(reports, report, sizeof *report); /* less than a pipe takes at once */
    (void)ignored;
}

/* The children that are there now, as the kernel lists them: "12 17 ". Returns the last, 0 where it lists none. */
static pid_t kill_children(void) {
    char text[4096];
    int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    pid_t pid = 0, last = 0;
    for (ssize_t i = 0; i < size; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = 10 * pid + (text[i] - '0');
            continue;
        }
        if (pid > 1 && kill(pid, SIGKILL) == 0)
            last = pid;
        pid = 0;
    }
    if (file >= 0)
        close(file);
    return last;
}

/* Each that ends hands its own children on to the guard. Where the kernel lists no children, those that left the group stay; and one that
 * hangs in the kernel, or that a debugger holds, is not gone for being killed. Returns what GuardReport calls `left`. */
static pid_t end_others(void) {
    struct timespec pause = {.tv_nsec = 1000000}, begin, now;
    pid_t last = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        last = kill_children();
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (ended < 0 && errno == ECHILD)
            return 0;
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec <= GUARD_SECONDS);
    return last > 0 ? last : -1;
}

void guard_signal(pid_t program, int number) {
    kill(-program, number);
    kill(program, number);
}

/* Whether the program has ended; orphans of its that have are collected on the way. It is looked at, and its group ended, before it is
 * collected: until then nobody else can have its number. */
static bool collect(GuardReport *report) {
    siginfo_t seen = {0};
    struct rusage usage;
    while (waitid(P_ALL, 0, &seen, WEXITED | WNOHANG | WNOWAIT) == 0 && seen.si_pid != 0) {
        if (seen.si_pid != report->pid) {
            waitpid(seen.si_pid, NULL, 0);
            seen.si_pid = 0;
            continue;
        }
        guard_signal(report->pid, SIGKILL);
        if (wait4(report->pid, &report->status, 0, &usage) == report->pid)
            report->memory_bytes = 1024.0 * (double)usage.ru_maxrss;
        return true;
    }
    return false;
}

static void watch(int lifeline, GuardReport *report, const sigset_t *waiting) {
    struct pollfd polled = {.fd = lifeline, .events = POLLIN};
    while (!collect(report))
        if (ppoll(&polled, 1, NULL, waiting) > 0) { /* the worker is gone */
            guard_signal(report->pid, SIGKILL);
            polled.fd = -1;
        }
}

void guard_run(int lifeline, int reports, void (*run)(const void *context), const void *context) {
    GuardReport report = {0};
    sigset_t waiting;
    prctl(PR_SET_NAME, "sweep-guard");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setpgid(0, 0);
    prepare_signals(&waiting);
    report.pid = fork();
    if (report.pid == 0)
        run(context);
    if (report.pid < 0)
        _exit(127);
    setpgid(report.pid, report.pid); /* as the child does: whichever comes first */
    keep_only(lifeline, reports);
    report_write(reports, &report);
    watch(lifeline, &report, &waiting);
    report.left = end_others();
    report_write(reports, &report);
    _exit(0);
}
