/* Formats of fixed records.
 *
 * CIFAR: a label (CIFAR-100: coarse, then fine), then 32 x 32 pixels of red, of green, of blue, row by row. STL-10: 96 x 96 pixels of
 * red, green, blue, column by column, and the labels, from 1 on, in a file beside. */
#include "plan.h"

enum { TRAIN_FILES_MAX = 5, CIFAR_SIDE = 32, CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE, STL_SIDE = 96, STL_PLANE = STL_SIDE * STL_SIDE };

typedef struct RecordFormat {
    const char *format;
    const char *train[TRAIN_FILES_MAX]; /* in the order of their examples */
    const char *test;
    const char *labels[DATA_SECTIONS]; /* NULL: inside the records */
    const char *names;
    int64_t classes;
    RecordForm form;
} RecordFormat;

static const RecordFormat formats[] = {
    {"CIFAR-10",
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
     "test_batch.bin",
     {NULL},
     "batches.meta.txt",
     10,
     {1 + 3 * CIFAR_PLANE, 0, {NULL, CIFAR_SIDE, CIFAR_SIDE, 3, CIFAR_SIDE, 1, CIFAR_PLANE}, 1}},
    {"CIFAR-100",
     {"train.bin"},
     "test.bin",
     {NULL},
     "fine_label_names.txt",
     100,
     {2 + 3 * CIFAR_PLANE, 1, {NULL, CIFAR_SIDE, CIFAR_SIDE, 3, CIFAR_SIDE, 1, CIFAR_PLANE}, 2}},
    {"STL-10",
     {"train_X.bin"},
     "test_X.bin",
     {"train_y.bin", "test_y.bin"},
     "class_names.txt",
     10,
     {3 * STL_PLANE, -1, {NULL, STL_SIDE, STL_SIDE, 3, 1, STL_SIDE, STL_PLANE}, 0}},
};

/* The one file of that name; NULL: none. Twice is refused, as neither can be told to be the right one. */
static int file_find(Plan *plan, const char *base_name, PlanFile **out, Error *error) {
    *out = NULL;
    for (size_t i = 0; i < plan->file_count; i++) {
        if (strcmp(plan_base_name(plan->files[i].name), base_name) || !plan_is_data(plan->files[i].name))
            continue;
        if (*out)
            return data_refuse(error, "%s: %s and %s are both there; leave one", plan->source, (*out)->name, plan->files[i].name);
        *out = &plan->files[i];
    }
    return 0;
}

static int records_add(Plan *plan, const RecordFormat *format, const char *base_name, DataSection section, int64_t *count, Error *error) {
    PlanFile *file;
    int result = file_find(plan, base_name, &file, error);
    if (result)
        return result;
    if (!file)
        return data_refuse(error, "%s: %s is missing, a part of %s", plan->source, base_name, format->format);
    int64_t records = file->size / format->form.bytes;
    if (file->size % format->form.bytes || !records || records > PACK_COUNT_MAX - *count)
        return data_refuse(error, "%s: %s: byte %lld: cut short or too long: %s has records of %lld bytes", plan->source, file->name,
                           (long long)file->size, format->format, (long long)format->form.bytes);
    file->role = ROLE_RECORDS;
    file->section = section;
    file->row = *count;
    *count += records;
    return 0;
}

/* All training files of a format are of one length; one that is not was cut between two records. */
static int train_add(Plan *plan, const RecordFormat *format, Error *error) {
    int64_t each = 0;
    for (int i = 0; i < TRAIN_FILES_MAX && format->train[i]; i++) {
        int64_t before = plan->info.train_count;
        int result = records_add(plan, format, format->train[i], DATA_TRAIN, &plan->info.train_count, error);
        if (result)
            return result;
        int64_t count = plan->info.train_count - before;
        if (i && count != each)
            return data_refuse(error, "%s: %s has %lld records, but %s has %lld", plan->source, format->train[i], (long long)count,
                               format->train[0], (long long)each);
        each = count;
    }
    return 0;
}

static int labels_find(Plan *plan, const RecordFormat *format, Error *error) {
    for (int i = 0; i < DATA_SECTIONS && format->labels[0]; i++) {
        int64_t count = i == DATA_TRAIN ? plan->info.train_count : plan->info.test_count;
        const PlanNote *note;
        int result = plan_note(plan, format->labels[i], &note, error);
        if (result)
            return result;
        if (!note)
            return data_refuse(error, "%s: %s is missing, a part of %s", plan->source, format->labels[i], format->format);
        if ((int64_t)note->bytes.size != count)
            return data_refuse(error, "%s: %s: %zu labels for %lld images", plan->source, note->name, note->bytes.size, (long long)count);
        for (int64_t j = 0; j < count; j++) {
            uint8_t label = (uint8_t)note->bytes.data[j];
            if (label < 1 || label > format->classes)
                return data_refuse(error, "%s: %s: byte %lld: label %d; expected 1 to %lld", plan->source, note->name, (long long)j, label,
                                   (long long)format->classes);
        }
        plan->labels[i] = note;
    }
    return 0;
}

static int format_plan(Plan *plan, const RecordFormat *format, Error *error) {
    plan->format = format->format;
    plan->form = format->form;
    plan->info.classes = format->classes;
    plan->info.height = format->form.pixels.height;
    plan->info.width = format->form.pixels.width;
    plan->info.channels = format->form.pixels.channels;
    int result = train_add(plan, format, error);
    if (!result)
        result = records_add(plan, format, format->test, DATA_TEST, &plan->info.test_count, error);
    if (!result)
        result = labels_find(plan, format, error);
    const PlanNote *names = NULL;
    if (!result)
        result = plan_note(plan, format->names, &names, error);
    if (!result && names)
        result = plan_names_read(plan, names, format->classes, error);
    return result;
}

int plan_records(Plan *plan, Error *error) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        PlanFile *first;
        int result = file_find(plan, formats[i].train[0], &first, error);
        if (result)
            return result;
        if (first)
            return format_plan(plan, &formats[i], error);
    }
    return PLAN_OTHER;
}
