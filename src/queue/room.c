#include "sweepd/room.h"

#include <math.h>
#include <stdio.h>

static const double STEP_BYTES = 4 << 20, RESERVE_SHARE = 0.1, RESERVE_BYTES = 1 << 30;

/* A product that several threads share ends with the slowest of them, and element-wise work stays on one. FLOPs of a product, on average
 * over a step, that a thread wants: a millisecond's. */
static const double PRODUCT_FLOPS_PER_THREAD = 1 << 27;

double room_of_machine(double memory_bytes) {
    return memory_bytes - fmin(memory_bytes * RESERVE_SHARE, RESERVE_BYTES);
}

double room_of_peak(double tensor_bytes, double peak_bytes) {
    return ceil(fmax(tensor_bytes, peak_bytes) / STEP_BYTES) * STEP_BYTES;
}

/* ---- memory ---- */

double room_free_bytes(const RoomHost *host, const HostWorker *workers, size_t count) {
    double left = host->memory_bytes;
    for (size_t i = 0; i < count; i++)
        left -= workers[i].memory_bytes;
    return left;
}

RoomVerdict room_check(const RoomHost *host, const HostWorker *workers, size_t count, double needed) {
    if (host->memory_bytes <= 0 || needed <= room_free_bytes(host, workers, count))
        return ROOM_FITS;
    return needed <= host->memory_bytes ? ROOM_WAITS : ROOM_NEVER;
}

/* A run whose end alone would do; 0: there is none. */
static int64_t run_to_wait_for(const HostWorker *workers, size_t count, double missing) {
    for (size_t i = 0; i < count; i++)
        if (workers[i].memory_bytes >= missing)
            return workers[i].run_id;
    return 0;
}

void room_describe(const RoomHost *host, const HostWorker *workers, size_t count, double needed, const char *where,
                   char out[RECORD_TEXT_MAX]) {
    char need[BYTES_TEXT_MAX], left[BYTES_TEXT_MAX], all[BYTES_TEXT_MAX];
    double free_bytes = room_free_bytes(host, workers, count);
    RoomVerdict verdict = room_check(host, workers, count, needed);
    bytes_text(needed, need);
    bytes_text(free_bytes, left);
    bytes_text(host->memory_bytes, all);
    int64_t run_id = run_to_wait_for(workers, count, needed - free_bytes);
    if (verdict == ROOM_FITS)
        *out = '\0';
    else if (verdict == ROOM_NEVER)
        snprintf(out, RECORD_TEXT_MAX, "needs %s, more than the %s of %.100s", need, all, where);
    else if (run_id)
        snprintf(out, RECORD_TEXT_MAX, "needs %s; %s of the %s of %.100s are free until run %lld ends", need, left, all, where,
                 (long long)run_id);
    else
        snprintf(out, RECORD_TEXT_MAX, "needs %s; %s of the %s of %.100s are free until several runs end", need, left, all, where);
}

/* ---- cores ---- */

int64_t room_free_cores(const RoomHost *host, const HostWorker *workers, size_t count) {
    int64_t left = host->cores;
    for (size_t i = 0; i < count; i++)
        left -= workers[i].threads;
    return left > 0 ? left : 0;
}

/* Three products a layer, forward and for both gradients, but two for the first. */
static double product_flops(const Run *run) {
    const Architecture *arch = &run->model;
    if (run->trainer != TRAINER_BUILTIN)
        return 0;
    int64_t layers = 2 + arch->depth * (arch->kind == MODEL_BMLP ? 2 : 1);
    int64_t batch = run->batch < run->examples ? run->batch : run->examples;
    return (double)arch_step_gemm_flops(arch, batch) / (double)(3 * layers - 1);
}

int64_t room_threads(const Run *run, int64_t free_cores, int64_t others) {
    if (run->resources.cpus > 0)
        return run->resources.cpus;
    int64_t share = (free_cores + others) / (others + 1);
    double useful = product_flops(run) / PRODUCT_FLOPS_PER_THREAD;
    int64_t threads = useful < (double)share ? (int64_t)useful : share;
    return threads > 1 ? threads : 1;
}
