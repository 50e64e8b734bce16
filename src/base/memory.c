/* How much memory there is, and how much of it is this process's own.
 *
 * A control group may allow less than the machine has, and so may any group above it. Version 2 has one tree, whose groups say memory.max;
 * version 1 has a tree for memory, whose groups say memory.limit_in_bytes. A container sees its own group as the root, so the path that
 * /proc/self/cgroup states may not be there: its parts that are there count. */
#include "memory.h"

#include "sweepd/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number in the file, or HUGE when there is none ("max", no such file). */
static double limit_read(const char *root, const char *group, const char *name) {
    char path[PATH_TEXT_MAX], text[64] = "", *end;
    snprintf(path, sizeof path, "%s%s/%s", root, group, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return MEMORY_UNLIMITED;
    double limit = fgets(text, sizeof text, file) ? strtod(text, &end) : 0;
    fclose(file);
    return *text >= '0' && *text <= '9' && limit > 0 ? limit : MEMORY_UNLIMITED;
}

/* Of the group and all above it. */
static double limit_of_group(const char *root, char *group, const char *name) {
    double least = limit_read(root, "", name);
    for (char *slash = strrchr(group, '/'); slash; slash = strrchr(group, '/')) {
        double limit = limit_read(root, group, name);
        least = limit < least ? limit : least;
        *slash = '\0';
    }
    return least;
}

double memory_group_limit(const char *groups, const char *root) {
    char line[PATH_TEXT_MAX], v1_root[PATH_TEXT_MAX];
    double least = MEMORY_UNLIMITED;
    FILE *file = fopen(groups, "re");
    while (file && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        bool unified = !strcmp(controllers, ":"), memory = strstr(controllers, "memory") != NULL;
        snprintf(v1_root, sizeof v1_root, "%.4000s/memory", root);
        double limit = unified  ? limit_of_group(root, group, "memory.max")
                       : memory ? limit_of_group(v1_root, group, "memory.limit_in_bytes")
                                : MEMORY_UNLIMITED;
        least = limit < least ? limit : least;
    }
    if (file)
        fclose(file);
    return least;
}

double memory_total(void) {
    double physical = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double limit = memory_group_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    return limit < physical ? limit : physical;
}

const char *bytes_text(double bytes, char out[BYTES_TEXT_MAX]) {
    if (bytes >= 0x1p30)
        snprintf(out, BYTES_TEXT_MAX, "%.1f GiB", bytes / 0x1p30);
    else
        snprintf(out, BYTES_TEXT_MAX, "%.0f MiB", bytes > 0 ? bytes / 0x1p20 : 0);
    return out;
}

double process_memory_bytes(void) {
    long long size, resident, shared;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    int got = fscanf(file, "%lld %lld %lld", &size, &resident, &shared);
    fclose(file);
    return got == 3 && resident > shared ? (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE) : 0;
}
