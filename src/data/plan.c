#include "plan.h"

#include <stdlib.h>

enum { FILES_MAX = 50000000 };

const char *plan_base_name(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

int plan_note(const Plan *plan, const char *base_name, const PlanNote **out, Error *error) {
    *out = NULL;
    for (size_t i = 0; i < plan->note_count; i++) {
        const PlanNote *note = &plan->notes[i];
        if (strcmp(plan_base_name(note->name), base_name))
            continue;
        if (*out)
            return data_refuse(error, "%s: %s and %s are both there; leave one", plan->source, (*out)->name, note->name);
        *out = note;
    }
    return 0;
}

int plan_names_read(Plan *plan, const PlanNote *note, int64_t count, Error *error) {
    const char *at = note->bytes.data;
    plan->names = calloc((size_t)count, sizeof *plan->names);
    if (!plan->names)
        return error_set_memory(error, "no memory for %lld class names", (long long)count);
    int64_t found = 0;
    for (int64_t line = 1; *at; line++) {
        size_t size = strcspn(at, "\r\n");
        if (size && found == count)
            return data_refuse(error, "%s: %s:%lld: more than the %lld class names", plan->source, note->name, (long long)line,
                               (long long)count);
        if (size && !(plan->names[found++] = strndup(at, size)))
            return error_set_memory(error, "no memory for class names");
        at += size;
        at += at[0] == '\r' && at[1] == '\n';
        at += *at != '\0';
    }
    if (found < count)
        return data_refuse(error, "%s: %s: %lld class names; expected %lld", plan->source, note->name, (long long)found, (long long)count);
    return 0;
}

/* ---- the look ---- */

bool plan_is_hidden(const char *name) {
    for (const char *at = name; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (*at == '.' && strspn(at, ".") != strcspn(at, "/"))
            return true;
    return false;
}

bool plan_leaves(const char *name) {
    for (const char *at = name; *at; at += strspn(at, "/")) {
        size_t size = strcspn(at, "/");
        if (size == 2 && at[0] == '.' && at[1] == '.')
            return true;
        at += size;
    }
    return false;
}

bool plan_is_data(const char *name) {
    return !plan_is_hidden(name) && !plan_leaves(name);
}

bool plan_is_note(const char *name) {
    static const char *const notes[] = {"batches.meta.txt", "fine_label_names.txt", "class_names.txt",
                                        "train_y.bin",      "test_y.bin",           "val_annotations.txt"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (!strcmp(plan_base_name(name), notes[i]))
            return plan_is_data(name);
    return false;
}

static int file_add(Plan *plan, const ContainerEntry *entry, Error *error) {
    if (plan->file_count == plan->file_capacity) {
        size_t capacity = plan->file_capacity ? 2 * plan->file_capacity : 64;
        PlanFile *files = capacity > FILES_MAX ? NULL : realloc(plan->files, capacity * sizeof *files);
        if (!files)
            return error_set_memory(error, "%s: no memory for the names of %zu files", plan->source, plan->file_count);
        plan->files = files;
        plan->file_capacity = capacity;
    }
    PlanFile *file = &plan->files[plan->file_count];
    *file = (PlanFile){.name = text_duplicate(entry->name, error), .size = entry->size};
    if (!file->name)
        return -1;
    plan->file_count++;
    if (entry->link && !(file->link = text_duplicate(entry->link, error)))
        return -1;
    return 0;
}

static int note_take(Plan *plan, Container *container, const char *name, Error *error) {
    if (plan->note_count == PLAN_NOTES_MAX)
        return data_refuse(error, "%s: %s: the %dth file of labels or names", plan->source, name, PLAN_NOTES_MAX + 1);
    PlanNote *note = &plan->notes[plan->note_count++];
    buffer_init(&note->bytes, NOTE_BYTES_MAX);
    note->name = text_duplicate(name, error);
    if (!note->name)
        return -1;
    buffer_append(&note->bytes, "", 0);
    return container_take_all(container, NOTE_BYTES_MAX, &note->bytes, error);
}

static int folder_add(Plan *plan, const char *name, Error *error) {
    if (plan->folder_count == plan->folder_capacity) {
        size_t capacity = plan->folder_capacity ? 2 * plan->folder_capacity : 64;
        char **folders = realloc(plan->folders, capacity * sizeof *folders);
        if (!folders)
            return error_set_memory(error, "%s: no memory for the names of %zu folders", plan->source, plan->folder_count);
        plan->folders = folders;
        plan->folder_capacity = capacity;
    }
    plan->folders[plan->folder_count] = text_duplicate(name, error);
    return plan->folders[plan->folder_count] ? (plan->folder_count++, 0) : -1;
}

static int files_look(Plan *plan, Container *container, Error *error) {
    for (;;) {
        ContainerEntry entry;
        int result = container_next(container, &entry, error);
        if (result)
            return result == CONTAINER_END ? 0 : result;
        if (entry.is_folder) {
            result = plan_is_class(entry.name) ? folder_add(plan, entry.name, error) : 0;
            if (result)
                return result;
            continue;
        }
        result = file_add(plan, &entry, error);
        if (!result && !entry.link && plan_is_note(entry.name))
            result = note_take(plan, container, plan->files[plan->file_count - 1].name, error);
        if (result)
            return result;
    }
}

/* ---- IDX ---- */

/* "train-images-idx3-ubyte", also with a prefix, and zipped or not. */
static int idx_find(Plan *plan, char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX], Error *error) {
    static const char *const parts[PACK_IMAGE_PARTS][2] = {{"train-images-idx", "train-images.idx"},
                                                           {"train-labels-idx", "train-labels.idx"},
                                                           {"t10k-images-idx", "test-images-idx"},
                                                           {"t10k-labels-idx", "test-labels-idx"}};
    int found = 0;
    for (int i = 0; i < PACK_IMAGE_PARTS; i++) {
        *paths[i] = '\0';
        for (size_t j = 0; j < plan->file_count; j++) {
            const char *name = plan->files[j].name, *base = plan_base_name(name);
            if ((!strstr(base, parts[i][0]) && !strstr(base, parts[i][1])) || !plan_is_data(name))
                continue;
            if (*paths[i])
                return data_refuse(error, "%s: %s and %s are both there; leave one", plan->source, plan_base_name(paths[i]), base);
            if (path_format(paths[i], error, "%s/%s", plan->source, name))
                return -1;
            plan->files[j].role = ROLE_RECORDS;
            found++;
        }
    }
    if (!found)
        return PLAN_OTHER;
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        if (!*paths[i])
            return data_refuse(error, "%s: an IDX file is missing: ...%s...", plan->source, parts[i][0]);
    return 0;
}

static int plan_idx(Plan *plan, bool is_folder, Error *error) {
    char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX];
    int result = is_folder ? idx_find(plan, paths, error) : PLAN_OTHER;
    if (result)
        return result;
    const char *const files[PACK_IMAGE_PARTS] = {paths[0], paths[1], paths[2], paths[3]};
    result = idx_data_read(&plan->idx, files, error);
    if (result)
        return result;
    plan->is_idx = true;
    plan->format = "IDX";
    idx_data_info(&plan->idx, &plan->info);
    const DataInfo *info = &plan->info;
    plan->form = (RecordForm){info->inputs, -1, {NULL, info->height, info->width, 1, info->width, 1, info->inputs}, 0};
    return 0;
}

static int unknown_refuse(const Plan *plan, Error *error) {
    size_t leaving = 0;
    for (size_t i = 0; i < plan->file_count; i++)
        leaving += plan_leaves(plan->files[i].name);
    return data_refuse(error,
                       "%s: none of its %zu files is known%s: expected CIFAR-10, CIFAR-100 or STL-10 in their binary versions, IDX "
                       "files, or train/CLASS/ and val/CLASS/ or test/CLASS/ with JPEG or PNG images",
                       plan->source, plan->file_count, leaving ? " (a name with '..' is not taken)" : "");
}

int plan_make(Plan *out, const char *source, Stop stop, Error *error) {
    Container *container;
    *out = (Plan){.source = source};
    int result = container_open(&container, source, error);
    if (!result) {
        container_give_folders(container);
        container_stop_when(container, stop);
        result = files_look(out, container, error);
    }
    if (!result)
        result = plan_links(out, error);
    if (!result)
        result = plan_idx(out, container_is_folder(container), error);
    if (result == PLAN_OTHER)
        result = plan_records(out, error);
    if (!result)
        result = plan_images_refuse(out, error);
    else if (result == PLAN_OTHER)
        result = plan_images(out, error);
    container_free(container);
    if (result == PLAN_OTHER)
        result = unknown_refuse(out, error);
    if (result)
        plan_deinit(out);
    return result;
}

void plan_deinit(Plan *plan) {
    for (int64_t i = 0; plan->names && i < plan->info.classes; i++)
        free(plan->names[i]);
    free(plan->names);
    for (size_t i = 0; i < plan->file_count; i++) {
        free(plan->files[i].name);
        free(plan->files[i].link);
    }
    free(plan->files);
    for (size_t i = 0; i < plan->folder_count; i++)
        free(plan->folders[i]);
    free(plan->folders);
    for (size_t i = 0; i < plan->note_count; i++) {
        free(plan->notes[i].name);
        buffer_deinit(&plan->notes[i].bytes);
    }
    idx_data_deinit(&plan->idx);
    *plan = (Plan){0};
}
