/* A handler that sets a flag and wakes poll(2) by an eventfd. Blocking the signals and reading them by sigtimedwait would be less, but
 * matrix libraries start threads before main with the signals open, and one open thread is enough for the default action to end the
 * process. */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool requested;
static int wake_descriptor = -1;

static void stop_handle(int number) {
    (void)number;
    int saved = errno;
    atomic_store(&requested, true);
    uint64_t one = 1;
    ssize_t ignored = write(wake_descriptor, &one, sizeof one);
    (void)ignored;
    errno = saved;
}

int stop_init(Error *error) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
    if (wake_descriptor >= 0)
        return 0;
    wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_descriptor < 0)
        return error_set_errno(error, errno, "cannot make an event descriptor");
    struct sigaction action = {.sa_handler = stop_handle, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], &action, NULL))
            return error_set_errno(error, errno, "cannot handle signal %d", numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

bool stop_requested(void) {
    return atomic_load(&requested);
}

/* The wake descriptor stays readable once a stop was requested: a wait then passes over it, or it would spin. */
void stop_wait(int descriptor, double seconds) {
    struct pollfd polled[2] = {
        {.fd = stop_requested() ? -1 : wake_descriptor, .events = POLLIN},
        {.fd = descriptor, .events = POLLIN},
    };
    if (seconds > 0)
        poll(polled, 2, seconds > 3600 ? 3600000 : (int)(seconds * 1e3) + 1);
}
