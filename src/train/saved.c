/* safetensors has no checksum: a changed digit in the metadata, or a changed bit in a tensor, would be another run under the same key. */
#include "saved.h"

#include "builtin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t entry_bytes(const SafetensorsEntry *entry) {
    return (size_t)entry->shape[0] * (size_t)entry->shape[1] * sizeof *entry->data;
}

static void hash_text(Sha256 *hash, const char *text) {
    sha256_update(hash, text, strlen(text) + 1);
}

/* Of every name with its text, and every tensor's name with its bytes, in the order of the file. */
static int saved_digest(const SavedForm *form, const char *const *texts, const SafetensorsEntry *entries, size_t entry_count,
                        char hex[SHA256_HEX_MAX], Error *error) {
    Sha256 *hash;
    if (sha256_new(&hash, error))
        return -1;
    hash_text(hash, "format");
    hash_text(hash, form->format);
    hash_text(hash, "run");
    hash_text(hash, form->run);
    for (size_t i = 0; i < form->count; i++) {
        hash_text(hash, form->names[i]);
        hash_text(hash, texts[i]);
    }
    for (size_t i = 0; i < entry_count; i++) {
        hash_text(hash, entries[i].name);
        sha256_update(hash, entries[i].data, entry_bytes(&entries[i]));
    }
    sha256_finish(hash, hex);
    sha256_free(hash);
    return 0;
}

int saved_write(const SavedForm *form, const char *const *texts, const SafetensorsEntry *entries, size_t entry_count, const char *path,
                Error *error) {
    char digest[SHA256_HEX_MAX];
    if (saved_digest(form, texts, entries, entry_count, digest, error))
        return -1;
    const char *pairs[2 * (SAVED_ITEMS_MAX + 3)] = {"format", form->format, "digest", digest, "run", form->run};
    for (size_t i = 0; i < form->count; i++) {
        pairs[2 * (i + 3)] = form->names[i];
        pairs[2 * (i + 3) + 1] = texts[i];
    }
    return safetensors_write(path, entries, entry_count, pairs, form->count + 3, error);
}

static int digest_check(const SavedForm *form, const Safetensors *file, const char *path, Error *error) {
    char digest[SHA256_HEX_MAX];
    const char *said = safetensors_metadata(file, "digest"), *texts[SAVED_ITEMS_MAX];
    for (size_t i = 0; i < form->count; i++) {
        texts[i] = safetensors_metadata(file, form->names[i]);
        if (!texts[i])
            return train_refuse(error, "%s: damaged: its metadata do not state %s", path, form->names[i]);
    }
    size_t entries = safetensors_count(file);
    if (saved_digest(form, texts, entries ? safetensors_entry(file, 0) : NULL, entries, digest, error))
        return -1;
    if (!said || strcmp(said, digest))
        return train_refuse(error, "%s: damaged: its metadata and tensors do not have the digest that it states", path);
    return 0;
}

static int saved_check(const SavedForm *form, const Safetensors *file, const char *path, Error *error) {
    const char *format = safetensors_metadata(file, "format"), *run = safetensors_metadata(file, "run");
    if (!format || strcmp(format, form->format))
        return train_refuse(error, "%s: not a checkpoint of this version, %s", path, form->format);
    if (!run || strcmp(run, form->run))
        return train_refuse(error, "%s: the checkpoint of another run, %.64s; this one is %s", path, run ? run : "unnamed", form->run);
    return digest_check(form, file, path, error);
}

int saved_open(Safetensors **out, const SavedForm *form, const char *path, Error *error) {
    int result = train_open_tensors(out, path, error);
    if (!result)
        result = saved_check(form, *out, path, error);
    if (result) {
        safetensors_free(*out);
        *out = NULL;
    }
    return result;
}

bool saved_whole(const Safetensors *file, const char *name, int64_t max, int64_t *out) {
    const char *text = safetensors_metadata(file, name);
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || text[digits])
        return false;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0 && *out <= max;
}

bool saved_number(const Safetensors *file, const char *name, double max, double *out) {
    const char *text = safetensors_metadata(file, name);
    char *end;
    if (!text || !*text || text[strspn(text, "0123456789.e+-")])
        return false;
    *out = strtod(text, &end);
    return !*end && *out >= 0 && *out <= max;
}

int train_open_tensors(Safetensors **out, const char *path, Error *error) {
    int result = safetensors_open(out, path, error);
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}
