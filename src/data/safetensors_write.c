#include "sweepd/safetensors.h"

#include <stdlib.h>

static size_t entry_bytes(const SafetensorsEntry *entry) {
    return (size_t)entry->shape[0] * (size_t)(entry->dimensions > 1 ? entry->shape[1] : 1) * sizeof *entry->data;
}

static void header_format(Buffer *out, const SafetensorsEntry *entries, size_t count, const char *const *pairs, size_t pair_count) {
    size_t offset = 0;
    buffer_append_text(out, "{\"__metadata__\":{");
    for (size_t i = 0; i < pair_count; i++) {
        buffer_append_text(out, i ? "," : "");
        buffer_append_json(out, pairs[2 * i]);
        buffer_append_text(out, ":");
        buffer_append_json(out, pairs[2 * i + 1]);
    }
    buffer_append_text(out, "}");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(out, ",");
        buffer_append_json(out, entries[i].name);
        buffer_printf(out, ":{\"dtype\":\"F32\",\"shape\":[%lld", (long long)entries[i].shape[0]);
        if (entries[i].dimensions > 1)
            buffer_printf(out, ",%lld", (long long)entries[i].shape[1]);
        buffer_printf(out, "],\"data_offsets\":[%zu,%zu]}", offset, offset + entry_bytes(&entries[i]));
        offset += entry_bytes(&entries[i]);
    }
    buffer_append_text(out, "}");
    while (!out->failed && out->size % SAFETENSORS_LENGTH_BYTES)
        buffer_append_text(out, " ");
}

/* Tensors go to the file from where they are: a copy of a large model would be as large again. */
static int file_write(const char *path, const Buffer *header, const SafetensorsEntry *entries, size_t count, Error *error) {
    char length[SAFETENSORS_LENGTH_BYTES];
    FilePiece *pieces = calloc(count + 2, sizeof *pieces);
    if (!pieces)
        return error_set_memory(error, "%s: no memory for a list of tensors", path);
    for (int i = 0; i < SAFETENSORS_LENGTH_BYTES; i++)
        length[i] = (char)(header->size >> (8 * i));
    pieces[0] = (FilePiece){length, sizeof length};
    pieces[1] = (FilePiece){header->data, header->size};
    for (size_t i = 0; i < count; i++)
        pieces[i + 2] = (FilePiece){entries[i].data, entry_bytes(&entries[i])};
    int result = file_write_pieces(path, pieces, count + 2, 0644, error);
    free(pieces);
    return result;
}

int safetensors_write(const char *path, const SafetensorsEntry *entries, size_t count, const char *const *metadata_pairs, size_t pairs,
                      Error *error) {
    Buffer header;
    buffer_init(&header, SAFETENSORS_HEADER_MAX);
    header_format(&header, entries, count, metadata_pairs, pairs);
    int result = buffer_check(&header, error, path);
    if (!result)
        result = file_write(path, &header, entries, count, error);
    buffer_deinit(&header);
    return result;
}
