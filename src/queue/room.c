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

/* ---- memory and GPUs ---- */

bool room_holds(Need most, Need needed) {
    return needed.memory_bytes <= most.memory_bytes && needed.gpus <= most.gpus;
}

Need room_whole(const RoomHost *host) {
    return (Need){host->memory_bytes > 0 ? host->memory_bytes : STORE_ANY_BYTES, gpus_count(host->gpus)};
}

GpuSet room_free_gpus(const RoomHost *host, const HostWorker *workers, size_t count) {
    GpuSet left = host->gpus;
    for (size_t i = 0; i < count; i++)
        left &= ~workers[i].gpus;
    return left;
}

Need room_left(const RoomHost *host, const HostWorker *workers, size_t count) {
    Need left = {room_whole(host).memory_bytes, gpus_count(room_free_gpus(host, workers, count))};
    for (size_t i = 0; i < count && host->memory_bytes > 0; i++)
        left.memory_bytes -= workers[i].memory_bytes;
    return left;
}

RoomVerdict room_check(const RoomHost *host, const HostWorker *workers, size_t count, Need needed) {
    if (room_holds(room_left(host, workers, count), needed))
        return ROOM_FITS;
    return room_holds(room_whole(host), needed) ? ROOM_WAITS : ROOM_NEVER;
}

/* A run whose end alone would do; 0: there is none. */
static int64_t run_to_wait_for(const HostWorker *workers, size_t count, Need missing) {
    for (size_t i = 0; i < count; i++)
        if (room_holds((Need){workers[i].memory_bytes, gpus_count(workers[i].gpus)}, missing))
            return workers[i].run_id;
    return 0;
}

enum { AMOUNT_TEXT_MAX = BYTES_TEXT_MAX };

static const char *amount_text(double amount, bool gpus, char out[AMOUNT_TEXT_MAX]) {
    if (!gpus)
        return bytes_text(amount, out);
    snprintf(out, AMOUNT_TEXT_MAX, "%.0f GPU%s", amount, amount == 1 ? "" : "s");
    return out;
}

/* `run_id`: whose end is waited for; 0: that of several. */
static void describe_wait(double needed, double left, double all, bool gpus, int64_t run_id, const char *where, char out[RECORD_TEXT_MAX]) {
    char need[AMOUNT_TEXT_MAX], rest[AMOUNT_TEXT_MAX], whole[AMOUNT_TEXT_MAX], end[48];
    snprintf(end, sizeof end, run_id ? "run %lld ends" : "several runs end", (long long)run_id);
    snprintf(out, RECORD_TEXT_MAX, "needs %s; %s of the %s of %.60s are free until %s", amount_text(needed, gpus, need),
             amount_text(left, gpus, rest), amount_text(all, gpus, whole), where, end);
}

void room_describe(const RoomHost *host, const HostWorker *workers, size_t count, Need needed, const char *where,
                   char out[RECORD_TEXT_MAX]) {
    char need[AMOUNT_TEXT_MAX], all[AMOUNT_TEXT_MAX];
    Need whole = room_whole(host), left = room_left(host, workers, count);
    RoomVerdict verdict = room_check(host, workers, count, needed);
    *out = '\0';
    if (verdict == ROOM_NEVER) {
        bool gpus = needed.gpus > whole.gpus;
        snprintf(out, RECORD_TEXT_MAX, "needs %s, more than the %s of %.100s",
                 amount_text(gpus ? (double)needed.gpus : needed.memory_bytes, gpus, need),
                 amount_text(gpus ? (double)whole.gpus : whole.memory_bytes, gpus, all), where);
    } else if (verdict == ROOM_WAITS) {
        Need missing = {needed.memory_bytes - left.memory_bytes, needed.gpus - left.gpus};
        int64_t run_id = run_to_wait_for(workers, count, missing);
        if (missing.gpus > 0)
            describe_wait((double)needed.gpus, (double)left.gpus, (double)whole.gpus, true, run_id, where, out);
        else
            describe_wait(needed.memory_bytes, left.memory_bytes, whole.memory_bytes, false, run_id, where, out);
    }
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
    const Training training = run_training(run);
    return (double)arch_step_gemm_flops(arch, arch_batch(&training)) / (double)(3 * layers - 1);
}

int64_t room_threads(const Run *run, int64_t free_cores, int64_t others) {
    if (run->resources.cpus > 0)
        return run->resources.cpus;
    int64_t share = (free_cores + others) / (others + 1);
    double useful = product_flops(run) / PRODUCT_FLOPS_PER_THREAD;
    int64_t threads = useful < (double)share ? (int64_t)useful : share;
    return threads > 1 ? threads : 1;
}
