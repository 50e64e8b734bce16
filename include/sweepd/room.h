/* room (layer queue): whether a run finds room on a host, why not, and how many threads it gets. Plain arithmetic: what is there and what
 * is taken is passed in. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/store.h"

typedef struct RoomHost {
    int64_t cores;       /* 0: not known */
    double memory_bytes; /* that workers may take together; 0: not known, and then everything fits */
    GpuSet gpus;
} RoomHost;

/* What a machine with so much memory leaves to workers: all but a tenth, at most 1 GiB. */
double room_of_machine(double memory_bytes);

/* What runs with these tensors need, one of which took so much; in steps of 4 MiB, so that what is known of many runs seldom changes. */
double room_of_peak(double tensor_bytes, double peak_bytes);

bool room_holds(Need most, Need needed); /* whether `most` is enough of either */
Need room_whole(const RoomHost *host);   /* all that a host has for workers; STORE_ANY_BYTES where its memory is not known */
/* What the workers, [count], leave of it; memory may be negative. */
Need room_left(const RoomHost *host, const HostWorker *workers, size_t count);
GpuSet room_free_gpus(const RoomHost *host, const HostWorker *workers, size_t count);
int64_t room_free_cores(const RoomHost *host, const HostWorker *workers, size_t count);

typedef enum {
    ROOM_FITS,
    ROOM_WAITS, /* it will fit when others have ended */
    ROOM_NEVER, /* it is too large for the host by itself */
} RoomVerdict;

RoomVerdict room_check(const RoomHost *host, const HostWorker *workers, size_t count, Need needed);
/* Why the run does not fit, "" when it does: "needs 3.1 GiB; 2.0 GiB of the 23.4 GiB of this machine are free until run 12 ends", "needs 2
 * GPUs, more than the 1 GPU of this machine". `where`: the host, as the sentence ends: "this machine", "node7". */
void room_describe(const RoomHost *host, const HostWorker *workers, size_t count, Need needed, const char *where,
                   char out[RECORD_TEXT_MAX]);

/* Threads for a run on a host with so many free cores while `others` further runs could begin there at once: one as long as there are as
 * many runs as cores; else its share, rounded up, for the dearest goes first; no more than its products are large enough for. */
int64_t room_threads(const Run *run, int64_t free_cores, int64_t others);
