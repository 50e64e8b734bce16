/* The four IDX files of a data set, packed as they are. */
#include "dataset.h"

static int idx_check(const Idx idx[PACK_IMAGE_PARTS], const char *const paths[PACK_IMAGE_PARTS], Error *error) {
    for (int i = 0; i < PACK_IMAGE_PARTS; i += 2) {
        const Idx *images = &idx[i], *labels = &idx[i + 1];
        if (images->dimensions < 2)
            return data_refuse(error, "%s: byte 3: images have 2 or 3 dimensions, these 1", paths[i]);
        if (labels->dimensions != 1)
            return data_refuse(error, "%s: byte 3: labels have 1 dimension, these %d", paths[i + 1], labels->dimensions);
        if (labels->shape[0] != images->shape[0])
            return data_refuse(error, "%s: byte 4: %lld labels for the %lld images of %s", paths[i + 1], (long long)labels->shape[0],
                               (long long)images->shape[0], paths[i]);
        if (images->shape[0] > PACK_COUNT_MAX || images->shape[1] * images->shape[2] > PACK_INPUTS_MAX)
            return data_refuse(error, "%s: byte 4: more than %d images or %d pixels", paths[i], PACK_COUNT_MAX, PACK_INPUTS_MAX);
    }
    if (idx[2].shape[1] != idx[0].shape[1] || idx[2].shape[2] != idx[0].shape[2])
        return data_refuse(error, "%s: byte 8: images of another shape than those of %s", paths[2], paths[0]);
    return 0;
}

static int64_t classes_of(const Idx *labels) {
    uint8_t top = 0;
    for (size_t i = 0; i < labels->size; i++)
        top = labels->bytes[i] > top ? labels->bytes[i] : top;
    return top + 1;
}

static int labels_check(const char *path, const Idx *labels, int64_t classes, Error *error) {
    enum { IDX_VALUES = 8 };
    for (size_t i = 0; i < labels->size; i++)
        if (labels->bytes[i] >= classes)
            return data_refuse(error, "%s: byte %zu: label %d, but there are %lld classes", path, IDX_VALUES + i, labels->bytes[i],
                               (long long)classes);
    return 0;
}

int idx_data_read(IdxData *out, const char *const paths[PACK_IMAGE_PARTS], Error *error) {
    *out = (IdxData){0};
    int result = 0;
    for (int i = 0; i < PACK_IMAGE_PARTS && !result; i++)
        result = idx_read(&out->idx[i], paths[i], error);
    if (!result)
        result = idx_check(out->idx, paths, error);
    if (!result) {
        out->classes = classes_of(&out->idx[1]);
        result = labels_check(paths[3], &out->idx[3], out->classes, error);
    }
    if (result)
        idx_data_deinit(out);
    return result;
}

void idx_data_deinit(IdxData *data) {
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        idx_deinit(&data->idx[i]);
}

/* The images are in the pack then, and nowhere else: a worker that packs is to take little more than one that trains. */
static void rows_move(PackWriter *writer, DataSection section, Idx *images, const Idx *labels) {
    memcpy(pack_writer_row(writer, section, 0), images->bytes, images->size);
    for (int64_t i = 0; i < labels->shape[0]; i++)
        pack_writer_keep(writer, section, i, labels->bytes[i]);
    idx_deinit(images);
}

void idx_data_info(const IdxData *data, DataInfo *info) {
    const Idx *images = &data->idx[0];
    info->channels = 1;
    info->height = images->dimensions == 3 ? images->shape[1] : 1;
    info->inputs = images->shape[1] * images->shape[2];
    info->width = info->inputs / info->height;
    info->classes = data->classes;
    info->train_count = images->shape[0];
    info->test_count = data->idx[2].shape[0];
}

int dataset_pack_idx(const char *name, const char *const paths[PACK_IMAGE_PARTS], float mean, float deviation, const char *expected,
                     const char *out_path, DataInfo *info, Error *error) {
    IdxData data;
    PackWriter writer;
    *info = (DataInfo){.channels = 1, .mean = {mean}, .deviation = {deviation}};
    if (!pack_scale_is_usable(info))
        return error_set(error, "%s: mean %g and deviation %g: pixels are scaled to [0, 1]", name, (double)mean, (double)deviation);
    int result = pack_name_set(info, name, error);
    if (!result)
        result = idx_data_read(&data, paths, error);
    if (result)
        return result;
    idx_data_info(&data, info);
    result = pack_writer_open(&writer, info, out_path, error);
    if (!result) {
        rows_move(&writer, DATA_TEST, &data.idx[2], &data.idx[3]);
        rows_move(&writer, DATA_TRAIN, &data.idx[0], &data.idx[1]);
        result = pack_writer_finish(&writer, NULL, expected, info, error);
        if (result == DATA_REFUSED)
            error_prefix(error, "%s", paths[0]);
    }
    pack_writer_deinit(&writer);
    idx_data_deinit(&data);
    return result;
}
