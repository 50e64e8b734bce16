#include "memory.h"
#include "sweepd/base.h"
#include "version.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double clock_read(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double clock_unix(void) {
    return clock_read(CLOCK_REALTIME);
}

double clock_monotonic(void) {
    return clock_read(CLOCK_MONOTONIC);
}

void clock_text(double unix_seconds, char out[32]) {
    time_t seconds = (time_t)unix_seconds;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* The value after the colon of a /proc/cpuinfo line that begins with key. */
static bool cpuinfo_value(const char *line, const char *key, char *out, size_t capacity) {
    if (strncmp(line, key, strlen(key)))
        return false;
    const char *colon = strchr(line, ':');
    if (!colon)
        return false;
    colon += 1 + strspn(colon + 1, " \t");
    text_copy(out, capacity, colon);
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static void flags_append(char *out, size_t capacity, const char *flags) {
    static const char *const wanted[] = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve"};
    const char *before = " (";
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *found = strstr(flags, wanted[i]);
        size_t length = strlen(wanted[i]);
        if (!found || (found[length] && found[length] != ' '))
            continue;
        size_t used = strlen(out);
        snprintf(out + used, capacity - used, "%s%s", before, wanted[i]);
        before = " ";
    }
    if (*before == ' ' && before[1] == '\0') {
        size_t used = strlen(out);
        snprintf(out + used, capacity - used, ")");
    }
}

static void cpu_read(char *out, size_t capacity) {
    char line[8192], name[96] = "unknown processor", flags[8192] = "";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        cpuinfo_value(line, "model name", name, sizeof name);
        if (cpuinfo_value(line, "flags", flags, sizeof flags) || cpuinfo_value(line, "Features", flags, sizeof flags))
            break; /* the first processor is enough */
    }
    if (file)
        fclose(file);
    text_copy(out, capacity, name);
    flags_append(out, capacity, flags);
}

void machine_read(Machine *machine) {
    *machine = (Machine){.cores = 1};
    if (gethostname(machine->host, sizeof machine->host - 1))
        text_copy(machine->host, sizeof machine->host, "unknown");
    cpu_read(machine->cpu, sizeof machine->cpu);
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0)
        machine->cores = CPU_COUNT(&set);
    machine->memory_bytes = memory_total();
    machine->gpus = gpus_of_machine();
}

VectorLevel machine_vector_level(void) {
#ifdef __x86_64__
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return v4 ? VECTOR_AVX512 : v3 ? VECTOR_AVX2 : VECTOR_GENERIC;
#else
    return VECTOR_GENERIC;
#endif
}

const char *version_text(void) {
    return SWEEPD_VERSION;
}

const char *version_commit(void) {
    return SWEEPD_COMMIT;
}
