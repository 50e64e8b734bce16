/* Cores of its own for each run: while a run is trained, all threads of this process, and what it starts, stay on as many cores as the run
 * has threads.
 *
 * Which cores are taken is known to the machine alone: several daemons, and users, may have workers on it. So a core is held by an abstract
 * Unix socket that bears its number: a name can be bound once, whoever binds it, and the kernel gives it back when the process ends,
 * however it ends. Where not enough are to be had, the run goes unpinned, as the system sees fit.
 *
 * Cores whose siblings, the other threads of the same physical core, are free go first: a scheduler would choose so, too. */
#include "worker.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const double RETRY_SECONDS = 1; /* small runs do not pay for each look */

static struct {
    bool enabled;
    cpu_set_t allowed;
    int wanted;             /* that the last call of cores_pin asked for */
    int locks[CPU_SETSIZE]; /* descriptors [held] */
    int cores[CPU_SETSIZE];
    size_t held;
    double tried_at; /* monotonic: when so many were not to be had */
} place;

/* -1: another has it, or it cannot be had. */
static int core_lock(int core) {
    const char *name = getenv("SWEEPD_CORE_LOCKS");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s-%d", name && *name ? name : "sweepd-core", core);
    int lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool fits = size >= 0 && (size_t)size < sizeof address.sun_path - 1;
    if (lock >= 0 && fits &&
        bind(lock, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) == 0)
        return lock;
    if (lock >= 0)
        close(lock);
    return -1;
}

static bool core_is_held(int core) {
    for (size_t i = 0; i < place.held; i++)
        if (place.cores[i] == core)
            return true;
    return false;
}

static bool core_is_free(int core) {
    int lock = core_is_held(core) ? -1 : core_lock(core);
    if (lock >= 0)
        close(lock);
    return lock >= 0;
}

/* The list is as "0,4" or "0-1". */
static bool siblings_are_free(int core) {
    char path[128];
    int first, last;
    bool free = true;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core);
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &first) == 1) {
        last = first;
        if (fscanf(file, "-%d", &last) != 1)
            last = first;
        for (int sibling = first; sibling <= last; sibling++)
            free = free && (sibling == core || core_is_free(sibling));
        if (fgetc(file) != ',')
            break;
    }
    if (file)
        fclose(file);
    return free;
}

static void hold_some(size_t count, bool whole) {
    for (int core = 0; core < CPU_SETSIZE && place.held < count; core++) {
        if (!CPU_ISSET((size_t)core, &place.allowed) || core_is_held(core) || (whole && !siblings_are_free(core)))
            continue;
        int lock = core_lock(core);
        if (lock < 0)
            continue;
        place.locks[place.held] = lock;
        place.cores[place.held++] = core;
    }
}

static void let_go(void) {
    for (; place.held > 0; place.held--)
        close(place.locks[place.held - 1]);
}

static void move_threads(const cpu_set_t *cores) {
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry = tasks ? readdir(tasks) : NULL; entry; entry = readdir(tasks))
        if (*entry->d_name != '.')
            sched_setaffinity(atoi(entry->d_name), sizeof *cores, cores);
    if (tasks)
        closedir(tasks);
}

void cores_init(bool enabled) {
    place.enabled = enabled && sched_getaffinity(0, sizeof place.allowed, &place.allowed) == 0;
}

void cores_pin(int count) {
    cpu_set_t cores;
    size_t wanted = count > 0 && count <= CPU_COUNT(&place.allowed) ? (size_t)count : 0;
    bool again = count == place.wanted && (place.held == wanted || clock_monotonic() < place.tried_at + RETRY_SECONDS);
    if (!place.enabled || again)
        return;
    bool pinned = place.held > 0;
    let_go();
    place.wanted = count;
    place.tried_at = clock_monotonic();
    hold_some(wanted, true);
    hold_some(wanted, false);
    if (place.held < wanted)
        let_go();
    CPU_ZERO(&cores);
    for (size_t i = 0; i < place.held; i++)
        CPU_SET((size_t)place.cores[i], &cores);
    if (place.held > 0 || pinned)
        move_threads(place.held > 0 ? &cores : &place.allowed);
}

void cores_free_thread(void) {
    if (place.enabled)
        sched_setaffinity(0, sizeof place.allowed, &place.allowed);
}
