/* Packing. The calling thread reads the source in order, once more than the plan did; as many threads as there are cores decode and resize
 * into the rows of the mapped pack. What one of them cannot decode is skipped; anything else that fails ends it all. */
#include "plan.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 256, JOBS_EACH = 4, RECORDS_A_JOB = 64 };

/* Encoded: one image. Else `count` records of the plan's form. */
typedef struct Job {
    Buffer bytes;
    const PlanFile *file; /* of an image */
    bool encoded;
    DataSection section;
    int64_t row, count;
} Job;

typedef struct Packer {
    const Plan *plan;
    const PackOptions *options;
    Stop stop;
    PackWriter writer;
    PackReport *report;
    int thread_count;
    pthread_t threads[THREADS_MAX];
    Job *jobs;    /* a ring: [job_count] */
    Buffer bytes; /* what was read last */
    size_t job_count, head, waiting, skip_capacity;
    bool closed, out_of_memory, out_of_copies; /* copies: of the reader, others of the workers */
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    int64_t done, total;
    int32_t *renumbered; /* [plan's classes]; NULL: all are kept */
} Packer;

/* ---- a worker ---- */

typedef struct Worker {
    Packer *packer;
    Resizer *resizer;
    ImageBuffer buffer;
    Job job;
} Worker;

static bool skip_add(Packer *packer, const char *name, const char *reason) {
    PackReport *report = packer->report;
    pthread_mutex_lock(&packer->lock);
    if (report->skip_count == packer->skip_capacity) {
        size_t capacity = packer->skip_capacity ? 2 * packer->skip_capacity : 16;
        PackSkip *skips = realloc(report->skips, capacity * sizeof *skips);
        if (skips) {
            report->skips = skips;
            packer->skip_capacity = capacity;
        }
    }
    bool fits = report->skip_count < packer->skip_capacity;
    if (fits)
        report->skips[report->skip_count++] = (PackSkip){strdup(name), strdup(reason)};
    pthread_mutex_unlock(&packer->lock);
    return fits;
}

static bool image_pack(Worker *worker, const Job *job) {
    Packer *packer = worker->packer;
    char reason[IMAGE_REASON_MAX] = "";
    Pixels pixels;
    int channels = (int)packer->writer.header.info.channels;
    int result = image_decode(&pixels, &worker->buffer, (const uint8_t *)job->bytes.data, job->bytes.size, channels, reason);
    if (result > 0)
        return skip_add(packer, job->file->name, reason);
    if (result < 0 || resizer_run(worker->resizer, &pixels, pack_writer_row(&packer->writer, job->section, job->row)))
        return false;
    pack_writer_keep(&packer->writer, job->section, job->row, job->file->label);
    return true;
}

/* One channel of three. */
static void grey_take(const Pixels *in, uint8_t *out) {
    for (int64_t y = 0; y < in->height; y++)
        for (int64_t x = 0; x < in->width; x++) {
            const uint8_t *p = in->bytes + y * in->row + x * in->column;
            out[y * in->width + x] = pixel_grey(p[0], p[in->channel], p[2 * in->channel]);
        }
}

/* The source's channels as the pack wants them. */
static bool channels_match(Worker *worker, Pixels *pixels) {
    int64_t wanted = worker->packer->writer.header.info.channels;
    if (pixels->channels == wanted)
        return true;
    if (wanted == 3) { /* of one: the same three times */
        pixels->channel = 0;
        pixels->channels = 3;
        return true;
    }
    size_t size = (size_t)(pixels->height * pixels->width);
    if (worker->buffer.capacity < size) {
        free(worker->buffer.bytes);
        worker->buffer.bytes = malloc(size);
        worker->buffer.capacity = worker->buffer.bytes ? size : 0;
        if (!worker->buffer.bytes)
            return false;
    }
    grey_take(pixels, worker->buffer.bytes);
    *pixels = (Pixels){worker->buffer.bytes, pixels->height, pixels->width, 1, pixels->width, 1, 0};
    return true;
}

static bool records_pack(Worker *worker, const Job *job) {
    const RecordForm *form = &worker->packer->plan->form;
    for (int64_t i = 0; i < job->count; i++) {
        Pixels pixels = form->pixels;
        pixels.bytes = (const uint8_t *)job->bytes.data + i * form->bytes + form->start;
        if (!channels_match(worker, &pixels) ||
            resizer_run(worker->resizer, &pixels, pack_writer_row(&worker->packer->writer, job->section, job->row + i)))
            return false;
    }
    return true;
}

/* The worker's buffer goes into the ring in place of the one that it takes. */
static bool job_take(Worker *worker) {
    Packer *packer = worker->packer;
    pthread_mutex_lock(&packer->lock);
    while (!packer->waiting && !packer->closed)
        pthread_cond_wait(&packer->filled, &packer->lock);
    bool taken = packer->waiting > 0;
    if (taken) {
        Job *slot = &packer->jobs[packer->head], job = *slot;
        slot->bytes = worker->job.bytes;
        worker->job = job;
        packer->head = (packer->head + 1) % packer->job_count;
        packer->waiting--;
        pthread_cond_signal(&packer->emptied);
    }
    pthread_mutex_unlock(&packer->lock);
    return taken;
}

static void *worker_run(void *context) {
    Worker worker = {.packer = context};
    Packer *packer = context;
    const DataInfo *info = &packer->writer.header.info;
    buffer_init(&worker.job.bytes, IMAGE_BYTES_MAX);
    worker.resizer = resizer_new(info->height, info->width);
    bool fine = worker.resizer != NULL;
    while (job_take(&worker)) {
        if (fine)
            fine = worker.job.encoded ? image_pack(&worker, &worker.job) : records_pack(&worker, &worker.job);
    }
    pthread_mutex_lock(&packer->lock);
    packer->out_of_memory = packer->out_of_memory || !fine;
    pthread_mutex_unlock(&packer->lock);
    resizer_free(worker.resizer);
    free(worker.buffer.bytes);
    buffer_deinit(&worker.job.bytes);
    return NULL;
}

/* ---- the reader ---- */

/* The next slot of the ring, its buffer empty; only the reader fills slots, so it stays free until job_give. */
static Job *job_next(Packer *packer) {
    pthread_mutex_lock(&packer->lock);
    while (packer->waiting == packer->job_count)
        pthread_cond_wait(&packer->emptied, &packer->lock);
    Job *job = &packer->jobs[(packer->head + packer->waiting) % packer->job_count];
    pthread_mutex_unlock(&packer->lock);
    buffer_clear(&job->bytes);
    return job;
}

static void job_give(Packer *packer, int64_t images) {
    pthread_mutex_lock(&packer->lock);
    packer->waiting++;
    pthread_cond_signal(&packer->filled);
    pthread_mutex_unlock(&packer->lock);
    packer->done += images;
    if (packer->options->on_progress)
        packer->options->on_progress(packer->options->context, packer->done, packer->total);
}

static int stop_check(const Packer *packer) {
    return stop_is_asked(&packer->stop) ? DATA_STOPPED : 0;
}

static int record_label(const Packer *packer, const PlanFile *file, const uint8_t *record, int64_t index, uint16_t *out, Error *error) {
    const Plan *plan = packer->plan;
    if (plan->form.label < 0) {
        *out = (uint16_t)((uint8_t)plan->labels[file->section]->bytes.data[file->row + index] - 1);
        return 0;
    }
    *out = record[plan->form.label];
    if (*out < plan->info.classes)
        return 0;
    return data_refuse(error, "%s: %s: byte %lld: label %d, but there are %lld classes", plan->source, file->name,
                       (long long)(index * plan->form.bytes + plan->form.label), *out, (long long)plan->info.classes);
}

static int records_take(const Packer *packer, Container *container, const PlanFile *file, int64_t offset, size_t size, Buffer *out,
                        Error *error) {
    while (out->size < size) {
        uint8_t chunk[16384];
        size_t left = size - out->size, taken;
        int result = container_take(container, chunk, left < sizeof chunk ? left : sizeof chunk, &taken, error);
        if (result)
            return result;
        if (!taken)
            return data_refuse(error, "%s: %s: byte %lld: the file ends here, before its size", packer->plan->source, file->name,
                               (long long)(offset + (int64_t)out->size));
        buffer_append(out, chunk, taken);
        if (out->failed)
            return error_set_memory(error, "no memory for %zu bytes of records", size);
    }
    return 0;
}

/* start: the first record's place in its file. */
static int labels_keep(Packer *packer, const PlanFile *file, const uint8_t *records, int64_t start, int64_t count, Error *error) {
    for (int64_t i = 0; i < count; i++) {
        uint16_t label;
        int result = record_label(packer, file, records + i * packer->plan->form.bytes, start + i, &label, error);
        if (result)
            return result;
        pack_writer_keep(&packer->writer, file->section, file->row + start + i, label);
    }
    return 0;
}

/* What was read goes to one job for each of the file's names that the plan wants; the last takes the buffer itself. `start`: records. */
static void names_give(Packer *packer, const PlanFile *file, int64_t start, int64_t count) {
    const PlanFile *next = plan_file_wanted(file);
    while (next) {
        const PlanFile *name = next;
        next = plan_file_wanted(name->other_name);
        Job *job = job_next(packer);
        if (next) {
            buffer_append(&job->bytes, packer->bytes.data, packer->bytes.size);
            packer->out_of_copies = packer->out_of_copies || job->bytes.failed;
        } else {
            Buffer empty = job->bytes;
            job->bytes = packer->bytes;
            packer->bytes = empty;
        }
        job->file = name;
        job->encoded = name->role == ROLE_IMAGE;
        job->section = name->section;
        job->row = name->row + start;
        job->count = count;
        job_give(packer, count);
    }
}

static int records_read(Packer *packer, Container *container, const PlanFile *file, Error *error) {
    int64_t bytes = packer->plan->form.bytes, records = file->size / bytes;
    for (int64_t start = 0; start < records; start += RECORDS_A_JOB) {
        int64_t count = count_at_most(records - start, RECORDS_A_JOB);
        buffer_clear(&packer->bytes);
        int result = stop_check(packer);
        if (!result)
            result = records_take(packer, container, file, start * bytes, (size_t)(count * bytes), &packer->bytes, error);
        for (const PlanFile *name = plan_file_wanted(file); name && !result; name = plan_file_wanted(name->other_name))
            result = labels_keep(packer, name, (const uint8_t *)packer->bytes.data, start, count, error);
        if (result)
            return result;
        names_give(packer, file, start, count);
    }
    return 0;
}

static int image_read(Packer *packer, Container *container, const PlanFile *file, Error *error) {
    buffer_clear(&packer->bytes);
    int result = stop_check(packer);
    if (!result)
        result = container_take_all(container, IMAGE_BYTES_MAX, &packer->bytes, error);
    if (!result)
        names_give(packer, file, 0, 1);
    return result;
}

static int file_pack(Packer *packer, Container *container, const PlanFile *file, Error *error) {
    if (plan_leaves(file->name))
        return skip_add(packer, file->name, "its name leaves the folder by '..'") ? 0 : error_set_memory(error, "no memory for its name");
    const PlanFile *wanted = file->link ? NULL : plan_file_wanted(file);
    if (!wanted)
        return 0;
    return wanted->role == ROLE_RECORDS ? records_read(packer, container, file, error) : image_read(packer, container, file, error);
}

static bool entry_is(const ContainerEntry *entry, const PlanFile *file) {
    if (strcmp(entry->name, file->name) || !entry->link != !file->link)
        return false;
    return entry->link ? !strcmp(entry->link, file->link) : entry->size == file->size;
}

/* Both looks must see the same files, in the same order. */
static int container_pack(Packer *packer, Error *error) {
    const Plan *plan = packer->plan;
    Container *container;
    ContainerEntry entry;
    int result = container_open(&container, plan->source, error);
    if (!result)
        container_stop_when(container, packer->stop);
    buffer_init(&packer->bytes, IMAGE_BYTES_MAX);
    for (size_t i = 0; i < plan->file_count && !result; i++) {
        const PlanFile *file = &plan->files[i];
        result = container_next(container, &entry, error);
        if (result == CONTAINER_END || (!result && !entry_is(&entry, file)))
            result = data_refuse(error, "%s: %s: changed while it was read", plan->source, file->name);
        else if (!result)
            result = file_pack(packer, container, file, error);
        if (!result && packer->out_of_copies)
            result = error_set_memory(error, "no memory for a copy of %lld bytes", (long long)file->size);
    }
    buffer_deinit(&packer->bytes);
    container_free(container);
    return result;
}

static int idx_section_pack(Packer *packer, DataSection section, const Idx *images, const Idx *labels, Error *error) {
    const RecordForm *form = &packer->plan->form;
    for (int64_t start = 0; start < images->shape[0]; start += RECORDS_A_JOB) {
        int64_t count = count_at_most(images->shape[0] - start, RECORDS_A_JOB);
        Job *job = job_next(packer);
        if (stop_check(packer))
            return DATA_STOPPED;
        buffer_append(&job->bytes, images->bytes + start * form->bytes, (size_t)(count * form->bytes));
        if (job->bytes.failed)
            return error_set_memory(error, "no memory for %lld images", (long long)count);
        for (int64_t i = 0; i < count; i++)
            pack_writer_keep(&packer->writer, section, start + i, labels->bytes[start + i]);
        job->encoded = false;
        job->section = section;
        job->row = start;
        job->count = count;
        job_give(packer, count);
    }
    return 0;
}

static int idx_pack(Packer *packer, Error *error) {
    const Idx *idx = packer->plan->idx.idx;
    int result = idx_section_pack(packer, DATA_TRAIN, &idx[0], &idx[1], error);
    return result ? result : idx_section_pack(packer, DATA_TEST, &idx[2], &idx[3], error);
}

/* ---- putting it together ---- */

static int packer_start(Packer *packer, Error *error) {
    packer->job_count = (size_t)packer->thread_count * JOBS_EACH;
    packer->jobs = calloc(packer->job_count, sizeof *packer->jobs);
    if (!packer->jobs)
        return error_set_memory(error, "no memory to pack with %d threads", packer->thread_count);
    for (size_t i = 0; i < packer->job_count; i++)
        buffer_init(&packer->jobs[i].bytes, IMAGE_BYTES_MAX);
    int wanted = packer->thread_count;
    for (packer->thread_count = 0; packer->thread_count < wanted; packer->thread_count++) {
        int problem = pthread_create(&packer->threads[packer->thread_count], NULL, worker_run, packer);
        if (problem)
            return error_set_errno(error, problem, "cannot start a thread");
    }
    return 0;
}

static void packer_stop(Packer *packer) {
    pthread_mutex_lock(&packer->lock);
    packer->closed = true;
    pthread_cond_broadcast(&packer->filled);
    pthread_mutex_unlock(&packer->lock);
    for (int i = 0; i < packer->thread_count; i++)
        pthread_join(packer->threads[i], NULL);
    for (size_t i = 0; packer->jobs && i < packer->job_count; i++)
        buffer_deinit(&packer->jobs[i].bytes);
    free(packer->jobs);
}

static int skip_compare(const void *a, const void *b) {
    return strcmp(((const PackSkip *)a)->name, ((const PackSkip *)b)->name);
}

static int info_fill(const Plan *plan, const PackOptions *options, DataInfo *info, Error *error) {
    *info = plan->info;
    if (pack_name_set(info, options->name, error))
        return DATA_REFUSED;
    if (options->height)
        info->height = options->height;
    if (options->width)
        info->width = options->width;
    if (options->channels || !info->channels)
        info->channels = options->channels ? options->channels : 3;
    if (!info->height || !info->width)
        return data_refuse(error, "%s: images in folders may be of any size; --size N states the one to pack them in", plan->source);
    if ((info->channels != 1 && info->channels != 3) || info->height > IMAGE_SIDE_MAX || info->width > IMAGE_SIDE_MAX ||
        info->height * info->width * info->channels > PACK_INPUTS_MAX)
        return data_refuse(error, "%lld x %lld pixels of %lld channels: expected 1 or 3 channels and at most %d values",
                           (long long)info->width, (long long)info->height, (long long)info->channels, PACK_INPUTS_MAX);
    info->inputs = info->height * info->width * info->channels;
    return 0;
}

static int plan_pack(Packer *packer, Error *error) {
    const Plan *plan = packer->plan;
    int result = packer_start(packer, error);
    if (!result)
        result = plan->is_idx ? idx_pack(packer, error) : container_pack(packer, error);
    packer_stop(packer);
    PackReport *report = packer->report;
    if (!result && packer->out_of_memory)
        result = error_set_memory(error, "no memory for an image's pixels");
    for (size_t i = 0; i < report->skip_count && !result; i++)
        if (!report->skips[i].name || !report->skips[i].reason)
            result = error_set_memory(error, "no memory for the names of skipped images");
    if (result)
        return result;
    if (report->skip_count)
        qsort(report->skips, report->skip_count, sizeof *report->skips, skip_compare);
    const char *const *names = (const char *const *)plan->names;
    result = pack_report_classes(report, &packer->writer, names, error);
    if (!result)
        result = pack_writer_finish(&packer->writer, names, NULL, &report->info, error);
    if (result == DATA_REFUSED && report->skip_count)
        error_prefix(error, "%s: %s: %s", plan->source, report->skips[0].name, report->skips[0].reason);
    else if (result == DATA_REFUSED)
        error_prefix(error, "%s", plan->source);
    return result;
}

/* Labels stay in their order, and so do the names: plan->names becomes those of the pack. */
static int classes_choose(Packer *packer, Plan *plan, int64_t *classes, Error *error) {
    const bool *wanted = packer->options->classes;
    int64_t all = plan->info.classes, kept = 0;
    if (!wanted)
        return 0;
    for (int64_t i = all; i < DATA_CLASSES_MAX; i++)
        if (wanted[i])
            return data_refuse(error, "%s: there is no class %lld; its classes are 0 to %lld", plan->source, (long long)i,
                               (long long)all - 1);
    packer->renumbered = malloc((size_t)all * sizeof *packer->renumbered);
    if (!packer->renumbered)
        return error_set_memory(error, "no memory for %lld classes", (long long)all);
    for (int64_t i = 0; i < all; i++) {
        packer->renumbered[i] = wanted[i] ? (int32_t)kept++ : -1;
        if (plan->names && !wanted[i])
            free(plan->names[i]);
        else if (plan->names)
            plan->names[kept - 1] = plan->names[i];
    }
    for (int64_t i = kept; plan->names && i < all; i++)
        plan->names[i] = NULL;
    *classes = kept;
    return kept >= 2 ? 0 : data_refuse(error, "%s: %lld class is too few; keep two or more", plan->source, (long long)kept);
}

int dataset_pack(PackReport *report, const char *source, const char *out_path, const PackOptions *options, Error *error) {
    Plan plan;
    DataInfo info;
    Machine machine;
    Packer packer = {.plan = &plan,
                     .options = options,
                     .stop = {options->should_stop, options->context},
                     .report = report,
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .filled = PTHREAD_COND_INITIALIZER,
                     .emptied = PTHREAD_COND_INITIALIZER,
                     .writer = {.descriptor = -1}};
    *report = (PackReport){0};
    int result = plan_make(&plan, source, packer.stop, error);
    if (result)
        return result;
    machine_read(&machine);
    packer.thread_count = options->threads ? options->threads : machine.cores;
    packer.thread_count = packer.thread_count > THREADS_MAX ? THREADS_MAX : packer.thread_count;
    packer.total = plan.info.train_count + plan.info.test_count;
    report->format = plan.format;
    plan_report(&plan, report);
    result = info_fill(&plan, options, &info, error);
    if (!result)
        result = classes_choose(&packer, &plan, &info.classes, error);
    if (!result)
        result = pack_writer_open(&packer.writer, &info, out_path, error);
    packer.writer.renumbered = packer.renumbered;
    packer.writer.stop = packer.stop;
    if (!result)
        result = plan_pack(&packer, error);
    pack_writer_deinit(&packer.writer);
    free(packer.renumbered);
    plan_deinit(&plan);
    if (result)
        pack_report_deinit(report);
    return result;
}
