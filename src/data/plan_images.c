/* Images in folders of classes: train/CLASS/..., and val/CLASS/... or test/CLASS/... . Tiny ImageNet's validation images lie in one folder,
 * val/images, and val/val_annotations.txt names the class of each. Examples are ordered by class and name, so that neither the kind of
 * container nor the order in it matters. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TINY_SIDE = 64, SEGMENT_MAX = 256 };

typedef struct Place {
    bool is_test;
    const char *class; /* in the file's name; not ended */
    size_t class_size;
    size_t prefix_size; /* of what comes before train/ in the file's name */
} Place;

static bool is_image(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *base = plan_base_name(name), *dot = strrchr(base, '.');
    if (!dot || !plan_is_data(name))
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot, endings[i]))
            return true;
    return false;
}

/* The first segment that is train or `held_out`, then the class, then more. */
static bool place_find(const char *name, const char *held_out, Place *out) {
    for (const char *at = name; *at;) {
        size_t size = strcspn(at, "/");
        if (!at[size])
            return false;
        bool train = size == strlen("train") && !strncmp(at, "train", size);
        bool test = size == strlen(held_out) && !strncmp(at, held_out, size);
        if (train || test) {
            const char *class = at + size + 1;
            size_t length = strcspn(class, "/");
            *out = (Place){test, class, length, (size_t)(at - name)};
            return class[length] && length > 0 && length < SEGMENT_MAX;
        }
        at += size + 1;
    }
    return false;
}

static const char *const held_out_names[] = {"val", "validation", "test"};
enum { HELD_OUT_NAMES = sizeof held_out_names / sizeof *held_out_names };

bool plan_is_class(const char *name) {
    char inside[CONTAINER_NAME_MAX + 2];
    Place place;
    snprintf(inside, sizeof inside, "%s/x", name);
    return plan_is_data(name) && place_find(inside, "", &place) && !strcmp(place.class + place.class_size, "/x");
}

/* The first image in a place of a class, under train/ or what is held out. */
static const PlanFile *image_find(const Plan *plan, const char *held_out) {
    Place place;
    for (size_t i = 0; i < plan->file_count; i++)
        if (is_image(plan->files[i].name) && place_find(plan->files[i].name, held_out, &place))
            return &plan->files[i];
    return NULL;
}

int plan_images_refuse(const Plan *plan, Error *error) {
    const PlanFile *image = NULL, *record = plan->files;
    for (size_t i = 0; i < HELD_OUT_NAMES && !image; i++)
        image = image_find(plan, held_out_names[i]);
    while (image && record->role == ROLE_NONE)
        record++;
    return image ? data_refuse(error, "%s: %s is of %s, but %s of image folders: two data sets; leave one", plan->source, record->name,
                               plan->format, image->name)
                 : 0;
}

/* Some images below a folder of this name: "val" goes before "test", which in the published sets has no labels. */
static const char *held_out_find(const Plan *plan) {
    for (size_t i = 0; i < HELD_OUT_NAMES; i++)
        for (size_t j = 0; j < plan->file_count; j++) {
            Place place;
            if (is_image(plan->files[j].name) && place_find(plan->files[j].name, held_out_names[i], &place) && place.is_test)
                return held_out_names[i];
        }
    return NULL;
}

/* ---- val_annotations.txt: a file's name, a tab, its class, a tab, a box ---- */

typedef struct Annotation {
    const char *file, *class; /* in the note; not ended */
    size_t file_size, class_size, line;
} Annotation;

typedef struct Annotations {
    Annotation *items;
    size_t count;
} Annotations;

static int span_compare(const char *a, size_t a_size, const char *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int annotation_compare(const void *a, const void *b) {
    const Annotation *x = a, *y = b;
    return span_compare(x->file, x->file_size, y->file, y->file_size);
}

static int annotations_sort(Annotations *annotations, const Plan *plan, const PlanNote *note, Error *error) {
    if (annotations->count)
        qsort(annotations->items, annotations->count, sizeof *annotations->items, annotation_compare);
    for (size_t i = 1; i < annotations->count; i++) {
        const Annotation *one = &annotations->items[i - 1], *other = &annotations->items[i];
        if (!annotation_compare(one, other))
            return data_refuse(error, "%s: %s: lines %zu and %zu are both for %.*s", plan->source, note->name,
                               one->line < other->line ? one->line : other->line, one->line < other->line ? other->line : one->line,
                               (int)one->file_size, one->file);
    }
    return 0;
}

static int annotations_read(Annotations *out, const Plan *plan, const PlanNote *note, Error *error) {
    size_t lines = 1;
    for (size_t i = 0; i < note->bytes.size; i++)
        lines += note->bytes.data[i] == '\n' || note->bytes.data[i] == '\r';
    out->items = calloc(lines, sizeof *out->items);
    if (!out->items)
        return error_set_memory(error, "no memory for %zu annotations", lines);
    const char *at = note->bytes.data;
    for (size_t line = 1; *at; line++) {
        size_t length = strcspn(at, "\r\n"), file = strcspn(at, "\t\r\n"), class = 0;
        if (file < length)
            class = strcspn(at + file + 1, "\t\r\n");
        if (length && (!file || !class))
            return data_refuse(error, "%s: %s:%zu: expected a file's name, a tab and its class", plan->source, note->name, line);
        if (length)
            out->items[out->count++] = (Annotation){at, at + file + 1, file, class, line};
        at += length;
        at += *at == '\r';
        at += *at == '\n';
    }
    if (at != note->bytes.data + note->bytes.size)
        return data_refuse(error, "%s: %s: byte %td: a zero byte in a text", plan->source, note->name, at - note->bytes.data);
    return annotations_sort(out, plan, note, error);
}

static int annotation_apply(const Annotations *annotations, const Plan *plan, const PlanFile *file, Place *place, Error *error) {
    const char *base = plan_base_name(file->name);
    Annotation key = {.file = base, .file_size = strlen(base)};
    const Annotation *found = bsearch(&key, annotations->items, annotations->count, sizeof key, annotation_compare);
    if (!found)
        return data_refuse(error, "%s: %s: not in val_annotations.txt", plan->source, file->name);
    place->class = found->class;
    place->class_size = found->class_size;
    return 0;
}

/* ---- classes ---- */

static int name_compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct ImageItem {
    PlanFile *file;
    Place place;
} ImageItem;

static int item_compare(const void *a, const void *b) {
    const ImageItem *x = a, *y = b;
    if (x->place.is_test != y->place.is_test)
        return x->place.is_test ? 1 : -1;
    int order = span_compare(x->place.class, x->place.class_size, y->place.class, y->place.class_size);
    return order ? order : strcmp(x->file->name, y->file->name);
}

/* The items are sorted: the classes of training come in order, each name in one run. */
static int classes_take(Plan *plan, const ImageItem *items, size_t count, Error *error) {
    size_t capacity = 0;
    for (size_t i = 0; i < count && !items[i].place.is_test; i++) {
        const Place *place = &items[i].place;
        char *last = plan->info.classes ? plan->names[plan->info.classes - 1] : NULL;
        if (last && !span_compare(last, strlen(last), place->class, place->class_size))
            continue;
        if (plan->info.classes == DATA_CLASSES_MAX)
            return data_refuse(error, "%s: %s: more than %d classes", plan->source, items[i].file->name, DATA_CLASSES_MAX);
        if ((size_t)plan->info.classes == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **names = realloc(plan->names, capacity * sizeof *names);
            if (!names)
                return error_set_memory(error, "no memory for %zu class names", capacity);
            plan->names = names;
        }
        plan->names[plan->info.classes] = strndup(place->class, place->class_size);
        if (!plan->names[plan->info.classes])
            return error_set_memory(error, "no memory for a class name");
        plan->info.classes++;
    }
    return 0;
}

static int item_number(Plan *plan, const ImageItem *item, Error *error) {
    char class[SEGMENT_MAX + 1], *key = class;
    size_t size = item->place.class_size < SEGMENT_MAX ? item->place.class_size : SEGMENT_MAX;
    memcpy(class, item->place.class, size);
    class[size] = '\0';
    char **found = bsearch(&key, plan->names, (size_t)plan->info.classes, sizeof key, name_compare);
    if (!found)
        return data_refuse(error, "%s: %s: its class %.80s has no training images", plan->source, item->file->name, class);
    int64_t *count = item->place.is_test ? &plan->info.test_count : &plan->info.train_count;
    if (*count == PACK_COUNT_MAX)
        return data_refuse(error, "%s: more than %d images", plan->source, PACK_COUNT_MAX);
    PlanFile *file = item->file;
    file->role = ROLE_IMAGE;
    file->section = item->place.is_test ? DATA_TEST : DATA_TRAIN;
    file->row = (*count)++;
    file->label = (uint16_t)(found - plan->names);
    return 0;
}

static int items_number(Plan *plan, ImageItem *items, size_t count, Error *error) {
    qsort(items, count, sizeof *items, item_compare);
    int result = classes_take(plan, items, count, error);
    for (size_t i = 0; i < count && !result; i++) {
        if (i && !strcmp(items[i].file->name, items[i - 1].file->name))
            return data_refuse(error, "%s: %s is there twice", plan->source, items[i].file->name);
        result = item_number(plan, &items[i], error);
    }
    return result;
}

static int items_collect(Plan *plan, const char *held_out, const Annotations *annotations, ImageItem *items, size_t *count, Error *error) {
    for (size_t i = 0; i < plan->file_count; i++) {
        Place place;
        PlanFile *file = &plan->files[i];
        if (!is_image(file->name) || !place_find(file->name, held_out, &place))
            continue;
        int result = place.is_test && annotations->items ? annotation_apply(annotations, plan, file, &place, error) : 0;
        if (result)
            return result;
        if (*count && span_compare(file->name, place.prefix_size, items->file->name, items->place.prefix_size))
            return data_refuse(error, "%s: %s and %s: two sets of images; leave one", plan->source, items->file->name, file->name);
        items[(*count)++] = (ImageItem){file, place};
    }
    return 0;
}

static void empty_find(Plan *plan) {
    for (size_t i = 0; i < plan->folder_count; i++) {
        const char *class = plan_base_name(plan->folders[i]);
        if (plan->names && bsearch(&class, plan->names, (size_t)plan->info.classes, sizeof class, name_compare))
            continue;
        if (plan->empty.count++ == 0)
            text_copy(plan->empty.first, sizeof plan->empty.first, class);
    }
}

int plan_images(Plan *plan, Error *error) {
    const char *held_out = held_out_find(plan);
    const PlanNote *note;
    Annotations annotations = {0};
    if (!held_out && image_find(plan, ""))
        return data_refuse(error, "%s: there are images in train/CLASS/, but val/CLASS/ or test/CLASS/ is missing", plan->source);
    if (!held_out)
        return PLAN_OTHER;
    int result = plan_note(plan, "val_annotations.txt", &note, error);
    if (result)
        return result;
    ImageItem *items = calloc(plan->file_count + 1, sizeof *items);
    size_t count = 0;
    result = items ? 0 : error_set_memory(error, "no memory for the names of images");
    if (!result && note)
        result = annotations_read(&annotations, plan, note, error);
    if (!result)
        result = items_collect(plan, held_out, &annotations, items, &count, error);
    plan->format = note ? "Tiny ImageNet" : "image folders";
    plan->info.height = plan->info.width = note ? TINY_SIDE : 0;
    if (!result)
        result = items_number(plan, items, count, error);
    if (!result && !plan->info.train_count)
        result = data_refuse(error, "%s: no images in train/CLASS/", plan->source);
    if (!result)
        empty_find(plan);
    free(annotations.items);
    free(items);
    return result;
}
