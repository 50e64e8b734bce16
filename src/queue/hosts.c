/* The hosts that workers ask from, and which run fits where.
 *
 * A run that does not fit is passed over for smaller ones that do: the machine stays full, and most of the time the run fits soon, for it
 * waits only for those that were under way before it. Small runs could go past for ever, though. So the first run that is passed over is
 * remembered, and when smaller ones have gone past it for `patience_seconds`, nothing more is leased on a host that could hold it until so
 * many have ended that it fits. */
#include "private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const QueueHost *host_note(Queue *queue, const char *name, const RoomHost *room) {
    bool own = !strcmp(name, queue->settings.host);
    for (size_t i = 0; i < queue->host_count; i++)
        if (!strcmp(queue->hosts[i].name, name)) {
            if (!own)
                queue->hosts[i].room = (RoomHost){room->cores, room_of_machine(room->memory_bytes), room->gpus};
            return &queue->hosts[i];
        }
    if (queue->host_count == QUEUE_HOSTS_MAX) {
        queue->host_count--;
        memmove(queue->hosts + 1, queue->hosts + 2, (QUEUE_HOSTS_MAX - 2) * sizeof *queue->hosts);
    }
    QueueHost *host = &queue->hosts[queue->host_count++];
    *host = (QueueHost){.room = own ? queue->settings.room : (RoomHost){room->cores, room_of_machine(room->memory_bytes), room->gpus}};
    text_copy(host->name, sizeof host->name, name);
    return host;
}

int host_read(Queue *queue, const QueueHost *host, HostRoom *out, Error *error) {
    out->host = host;
    if (store_host_workers(queue->store, host->name, out->workers, QUEUE_WORKERS_MAX, &out->count, error) < 0)
        return -1;
    out->free_cores = room_free_cores(&host->room, out->workers, out->count);
    out->free_gpus = room_free_gpus(&host->room, out->workers, out->count);
    out->left = room_left(&host->room, out->workers, out->count);
    return 0;
}

int host_next(Queue *queue, int64_t sweep_id, Need most, PendingRun *out, Error *error) {
    for (;;) {
        int result = store_next_pending(queue->store, sweep_id, most, out, error);
        if (result != 0 || !out->readable || out->need.memory_bytes > 0)
            return result;
        if (store_run_set_memory(queue->store, out->run_id, run_tensor_bytes(&out->run), run_memory_bytes(&out->run), error) < 0)
            return -1;
    }
}

/* ---- whose turn it is ---- */

/* Whether it is pending still, and in a sweep that is not paused. */
static int run_still_waits(Queue *queue, int64_t run_id, bool *waits, Need *needed, Error *error) {
    RunRecord run;
    bool wanted, paused;
    int result = store_run_get(queue->store, run_id, &run, error);
    *waits = false;
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (store_run_wanted(queue->store, run_id, &wanted, &paused, error) < 0)
        return -1;
    *waits = run.state == RUN_PENDING && wanted && !paused;
    *needed = (Need){run.memory_bytes, run.gpus};
    return 0;
}

/* `run_id` does not fit now. 0: those that need at most *most may go past, which no longer has GPUs where they are all that is missing;
 * QUEUE_EMPTY: none may. */
static int host_pass(Queue *queue, const HostRoom *room, int64_t run_id, double now, Need *most, Error *error) {
    bool waits = false;
    Need needed = {0};
    if (queue->passed_run && run_still_waits(queue, queue->passed_run, &waits, &needed, error) < 0)
        return -1;
    if (!waits) {
        queue->passed_run = run_id;
        queue->passed_since = now;
        return 0;
    }
    bool could_fit = room_holds(room_whole(&room->host->room), needed);
    bool patient = now - queue->passed_since < queue->settings.patience_seconds;
    if (patient || !could_fit || room_holds(room->left, needed))
        return 0;
    most->gpus = 0;
    return needed.memory_bytes <= room->left.memory_bytes ? 0 : QUEUE_EMPTY;
}

int host_turn(Queue *queue, const HostRoom *room, double now, Need *most, int64_t *sweep_id, int64_t *pending, Error *error) {
    PendingRun first;
    Need whole = room_whole(&room->host->room);
    *most = room->left;
    int result = store_next_sweep(queue->store, whole, sweep_id, pending, error);
    if (result == 0 && !room_holds(room->left, whole)) {
        result = host_next(queue, *sweep_id, whole, &first, error);
        if (result == 0 && !room_holds(room->left, first.need)) {
            result = host_pass(queue, room, first.run_id, now, most, error);
            result = result ? result : store_next_sweep(queue->store, *most, sweep_id, pending, error);
        }
    }
    return result == STORE_NONE ? QUEUE_EMPTY : result;
}

/* ---- threads ---- */

int host_threads(Queue *queue, const HostRoom *room, const PendingRun *run, int64_t *threads, Error *error) {
    int64_t others = 0;
    *threads = room_threads(&run->run, room->free_cores, 0);
    if (*threads <= 1)
        return 0;
    /* It is pending itself still. */
    Need left = {room->left.memory_bytes - run->need.memory_bytes, room->left.gpus - run->need.gpus};
    if (store_fitting_count(queue->store, left, room->free_cores + 1, &others, error) < 0)
        return -1;
    others -= room_holds(left, run->need);
    *threads = room_threads(&run->run, room->free_cores, others > 0 ? others : 0);
    return 0;
}

/* ---- why runs wait ---- */

static void describe_on(const HostRoom *room, bool own, Need needed, char out[RECORD_TEXT_MAX]) {
    room_describe(&room->host->room, room->workers, room->count, needed, own ? "this machine" : room->host->name, out);
}

/* Of two hosts, neither of which has room for it now, the one to tell of: where it will fit, then one with enough GPUs, then memory. */
static bool is_nearer(const RoomHost *a, RoomVerdict verdict, const RoomHost *b, RoomVerdict other, Need needed) {
    Need has = room_whole(a), had = room_whole(b);
    if (verdict != other)
        return verdict < other;
    if ((has.gpus >= needed.gpus) != (had.gpus >= needed.gpus))
        return has.gpus >= needed.gpus;
    return has.memory_bytes > had.memory_bytes;
}

int queue_waiting(Queue *queue, Need needed, char out[RECORD_TEXT_MAX], Error *error) {
    static HostRoom room;
    const QueueHost *nearest = NULL;
    RoomVerdict best = ROOM_NEVER;
    *out = '\0';
    for (size_t i = 0; i < queue->host_count; i++) {
        const QueueHost *host = &queue->hosts[i];
        if (host_read(queue, host, &room, error) < 0)
            return -1;
        RoomVerdict verdict = room_check(&host->room, room.workers, room.count, needed);
        if (verdict == ROOM_FITS) {
            *out = '\0';
            return 0;
        }
        if (!nearest || is_nearer(&host->room, verdict, &nearest->room, best, needed)) {
            nearest = host;
            best = verdict;
            describe_on(&room, !strcmp(host->name, queue->settings.host), needed, out);
        }
    }
    return 0;
}

/* The most GPUs that any host has, and the most memory that one with the GPUs of `needed` has: runs of a sweep need as many, as a rule. */
static Need largest_room(const Queue *queue, Need needed) {
    Need most = {0}, any = {0};
    for (size_t i = 0; i < queue->host_count; i++) {
        Need has = room_whole(&queue->hosts[i].room);
        any = (Need){fmax(any.memory_bytes, has.memory_bytes), has.gpus > any.gpus ? has.gpus : any.gpus};
        if (has.gpus >= needed.gpus)
            most.memory_bytes = fmax(most.memory_bytes, has.memory_bytes);
    }
    return (Need){most.memory_bytes > 0 ? most.memory_bytes : any.memory_bytes, any.gpus};
}

typedef int (*LargestRun)(Store *store, int64_t sweep_id, int64_t *run_id, Need *need, Error *error);

int queue_sweep_waiting(Queue *queue, int64_t sweep_id, char out[RECORD_TEXT_MAX], int64_t *oversized, Error *error) {
    static const LargestRun kinds[] = {store_largest_pending, store_largest_pending_of_gpus};
    *out = '\0';
    *oversized = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !*out; i++) {
        int64_t run_id;
        Need needed;
        char reason[RECORD_TEXT_MAX];
        int result = kinds[i](queue->store, sweep_id, &run_id, &needed, error);
        if (result != 0 && result != STORE_NONE)
            return -1;
        if (result == 0 && queue_waiting(queue, needed, reason, error) < 0)
            return -1;
        if (result != 0 || !*reason)
            continue;
        snprintf(out, RECORD_TEXT_MAX, "run %lld %.220s", (long long)run_id, reason);
        if (store_larger_count(queue->store, sweep_id, largest_room(queue, needed), oversized, error) < 0)
            return -1;
    }
    return 0;
}

int queue_can_go_on(Queue *queue, bool *can, Error *error) {
    int64_t count = 0;
    *can = queue->host_count == 0;
    for (size_t i = 0; i < queue->host_count && !*can; i++) {
        if (store_fitting_count(queue->store, room_whole(&queue->hosts[i].room), 1, &count, error) < 0)
            return -1;
        *can = count > 0;
    }
    return 0;
}
