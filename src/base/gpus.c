#include "sweepd/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number below GPUS_MAX, without sign or space; NULL when there is none. */
static const char *number_read(const char *text, int64_t *out) {
    size_t digits = strspn(text, "0123456789");
    *out = strtol(text, NULL, 10);
    return digits > 0 && digits < 4 ? text + digits : NULL;
}

int gpus_parse(const char *text, GpuSet *out) {
    int64_t device;
    *out = 0;
    while (*text) {
        text = number_read(text, &device);
        if (!text || device >= GPUS_MAX || (*text && *text != ','))
            return 1;
        *out |= (GpuSet)1 << device;
        text += *text == ',';
    }
    return 0;
}

const char *gpus_text(GpuSet set, char out[GPUS_TEXT_MAX]) {
    size_t size = 0;
    *out = '\0';
    for (int device = 0; device < GPUS_MAX; device++)
        if (set >> device & 1)
            size += (size_t)snprintf(out + size, GPUS_TEXT_MAX - size, "%s%d", size ? "," : "", device);
    return out;
}

int64_t gpus_count(GpuSet set) {
    return __builtin_popcountll(set);
}

GpuSet gpus_first(GpuSet set, int64_t count) {
    GpuSet first = 0;
    for (; set && count > 0; count--) {
        first |= set & -set;
        set &= set - 1;
    }
    return first;
}

/* What CUDA itself would make of the list: it ends at the first item that is no device. */
static GpuSet numbers_read(const char *list) {
    GpuSet set = 0;
    int64_t device;
    for (const char *at = list; *at;) {
        at = number_read(at + strspn(at, " "), &device);
        if (!at || device >= GPUS_MAX)
            break;
        set |= (GpuSet)1 << device;
        at += *at == ',';
    }
    return set;
}

/* Devices may be named by what nvidia-smi -L prints, GPU-8932f937-..., MIG-..., or the beginning of that. */
typedef struct Names {
    const char *items[GPUS_MAX]; /* in the list */
    int sizes[GPUS_MAX];
    int count;
} Names;

/* One that begins another may be the same device. */
static bool names_have(const Names *names, const char *item, int size) {
    for (int i = 0; i < names->count; i++)
        if (!strncmp(names->items[i], item, (size_t)(names->sizes[i] < size ? names->sizes[i] : size)))
            return true;
    return false;
}

/* Up to the first item that is no name, or stands there already: no device is dealt out twice. */
static void names_read(const char *list, Names *out) {
    out->count = 0;
    for (const char *at = list; at && out->count < GPUS_MAX;) {
        at += strspn(at, " ");
        int size = (int)strcspn(at, ", ");
        bool named = !strncmp(at, "GPU-", 4) || !strncmp(at, "MIG-", 4);
        if (!named || size >= GPU_NAME_MAX || names_have(out, at, size))
            return;
        out->items[out->count] = at;
        out->sizes[out->count++] = size;
        at = strchr(at, ',');
        at += at != NULL;
    }
}

static int option_parse(const char *text, GpuSet *out) {
    int64_t count;
    const char *end = number_read(text, &count);
    if (!end)
        return 1;
    if (*end)
        return gpus_parse(text, out);
    *out = gpus_first(~(GpuSet)0, count);
    return count > GPUS_MAX;
}

int gpus_read_option(const char *text, GpuSet *out) {
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    Names names;
    if (option_parse(text, out))
        return 1;
    names_read(list ? list : "", &names);
    return names.count > 0 && (*out & ~gpus_first(~(GpuSet)0, names.count));
}

static GpuSet visible_read(const char *list) {
    Names names;
    names_read(list, &names);
    return names.count > 0 ? gpus_first(~(GpuSet)0, names.count) : numbers_read(list);
}

const char *gpus_visible(GpuSet set, char out[GPUS_VISIBLE_MAX]) {
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    size_t size = 0;
    Names names;
    names_read(list ? list : "", &names);
    *out = '\0';
    for (int device = 0; device < GPUS_MAX; device++) {
        if (!(set >> device & 1))
            continue;
        out[size] = ',';
        size += size > 0;
        if (device < names.count)
            size += (size_t)snprintf(out + size, GPUS_VISIBLE_MAX - size, "%.*s", names.sizes[device], names.items[device]);
        else
            size += (size_t)snprintf(out + size, GPUS_VISIBLE_MAX - size, "%d", device);
    }
    return out;
}

static int64_t device_files(void) {
    int64_t count = 0;
    DIR *directory = opendir("/dev");
    if (!directory)
        return 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        const char *number = entry->d_name + strlen("nvidia");
        count += !strncmp(entry->d_name, "nvidia", strlen("nvidia")) && *number && strspn(number, "0123456789") == strlen(number);
    }
    closedir(directory);
    return count;
}

GpuSet gpus_of_machine(void) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    return visible ? visible_read(visible) : gpus_first(~(GpuSet)0, device_files());
}
