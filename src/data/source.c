/* Data sets by name: where their files are, and the pack that a home keeps of each. */
#include "dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Source {
    const char *name;
    float mean, deviation;               /* what its runs are normalised by: rounded, as is usual, and not measured */
    const char *files[PACK_IMAGE_PARTS]; /* without ".gz" */
    const char *mend;
} Source;

static const Source sources[] = {
    {"fashion-mnist",
     0.286f,
     0.353f,
     {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
     "install the package dataset-fashion-mnist, or set SWEEPD_DATA to the directory that holds fashion-mnist"},
};

static const Source *source_find(const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (!strcmp(sources[i].name, name))
            return &sources[i];
    return NULL;
}

bool dataset_name_is_own(const char *name) {
    return source_find(name) != NULL;
}

static int files_find(const Source *source, char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX], Error *error) {
    char folder[PATH_TEXT_MAX];
    const char *own = getenv("SWEEPD_DATA");
    bool is_own = own && *own && !path_format(folder, NULL, "%s/%s", own, source->name) && file_exists(folder);
    if (!is_own && path_format(folder, error, "/usr/share/datasets/%s", source->name))
        return -1;
    for (int i = 0; i < PACK_IMAGE_PARTS; i++) {
        char *path = paths[i];
        if (path_format(path, error, "%s/%s.gz", folder, source->files[i]))
            return -1;
        if (!file_exists(path))
            path[strlen(path) - strlen(".gz")] = '\0';
        if (!file_exists(path))
            return data_refuse(error, "%s: neither %s nor %s.gz is there; %s", source->name, path, path, source->mend);
    }
    return 0;
}

int dataset_own_files(const char *name, char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX], Error *error) {
    const Source *source = source_find(name);
    return source ? files_find(source, paths, error) : data_refuse(error, "no data set is known as \"%s\"", name);
}

static int source_pack(const Source *source, const char *digest, const char *out_path, Error *error) {
    char text[PACK_IMAGE_PARTS][PATH_TEXT_MAX];
    const char *paths[PACK_IMAGE_PARTS];
    int result = files_find(source, text, error);
    if (result)
        return result;
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        paths[i] = text[i];
    DataInfo info;
    return dataset_pack_idx(source->name, paths, source->mean, source->deviation, digest, out_path, &info, error);
}

/* Names and digests become part of a path. In every locale the same. */
bool dataset_name_is_plain(const char *name, size_t size) {
    static const char set[] = "-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { INSIDE = 3 };
    if (!size || size >= sizeof((DataInfo *)0)->name || !*name || !strchr(set + INSIDE, *name))
        return false;
    for (size_t i = 0; i < size; i++)
        if (!name[i] || !strchr(set, name[i]))
            return false;
    return true;
}

/* ---- what makes a pack that is missing ---- */

static const DownloadSource *find_published(const char *name, int64_t classes) {
    const DownloadSource *source;
    for (size_t i = 0; (source = download_source_at(i)); i++) {
        size_t size = strlen(source->name);
        bool named = strncmp(name, source->name, size) == 0 && (!name[size] || name[size] == '-');
        if (named && (classes == 0 || classes == source->classes))
            return source;
    }
    return NULL;
}

/* The options for square images of so many values, which others are resized to. there: channels of the source; 0: not known. */
static void append_size(const DownloadSource *source, int64_t inputs, int64_t there, Buffer *out) {
    for (int64_t channels = 3; channels >= 1; channels -= 2) {
        int64_t side = llround(sqrt((double)inputs / (double)channels));
        if (inputs == 0 || side * side * channels != inputs)
            continue;
        if (!source || side != source->height || side != source->width)
            buffer_printf(out, " --size %lld", (long long)side);
        if (channels == 1 && there != 1)
            buffer_append_text(out, " --grey");
        if (channels == 3 && there == 1)
            buffer_append_text(out, " --colour");
        return;
    }
}

void data_append_commands(const char *name, int64_t inputs, int64_t classes, int64_t channels, Buffer *out) {
    const DownloadSource *source = find_published(name, classes);
    if (source)
        buffer_printf(out, "'sweepctl data fetch %s', then ", source->name);
    buffer_printf(out, "'sweepctl data pack %s %s", source ? source->name : "SOURCE", name);
    append_size(source, inputs, source ? source->channels : channels, out);
    buffer_append_text(out, "'");
}

static int refuse_missing(const char *name, const char *path, Error *error) {
    Buffer commands;
    buffer_init(&commands, ERROR_TEXT_MAX);
    data_append_commands(name, 0, 0, 0, &commands);
    int result =
        data_refuse(error, "no data set is known as \"%s\", and %s is not there: %s", name, path, commands.data ? commands.data : "");
    buffer_deinit(&commands);
    return result;
}

static int pack_make(const char *home, const char *name, const char *digest, const char *path, Error *error) {
    char directory[PATH_TEXT_MAX];
    const Source *source = source_find(name);
    if (!source)
        return refuse_missing(name, path, error);
    if (path_format(directory, error, "%s/data", home) || directory_make(directory, 0755, error))
        return -1;
    return source_pack(source, digest, path, error);
}

/* The pack that a person made under the name serves when it is the one that is asked for. */
static int pack_find(const char *root, const char *name, const char *digest, char path[PATH_TEXT_MAX], Error *error) {
    char own[PATH_TEXT_MAX];
    DataInfo info;
    if (path_format(path, error, "%s/data/%s-%s.pack", root, name, digest) || path_format(own, error, "%s/data/%s.pack", root, name))
        return -1;
    if (file_exists(path))
        return 0;
    if (!file_exists(own))
        return pack_make(root, name, digest, path, error);
    int result = dataset_header_read(own, &info, error);
    if (!result && !strcmp(info.digest, digest)) {
        text_copy(path, PATH_TEXT_MAX, own);
        return 0;
    }
    if (source_find(name))
        return pack_make(root, name, digest, path, error);
    if (result)
        return result;
    return data_refuse(error, "%s is not the data that is asked for: its digest is %s, and not %s", own, info.digest, digest);
}

int dataset_open_pack(DatasetMap **out, const char *path, const char *name, const char *digest, Error *error) {
    int result = dataset_map_once(out, path, error);
    if (result)
        return result;
    const DataInfo *info = dataset_info(*out);
    if (strcmp(info->name, name) || strcmp(info->digest, digest)) {
        error_set(error, "%s is not the data that is asked for: it is %s, digest %s, and not %s, digest %s", path, info->name, info->digest,
                  name, digest);
        dataset_free(*out);
        *out = NULL;
        return DATA_REFUSED;
    }
    return 0;
}

/* path: where it was found. */
static int open_found(DatasetMap **out, const char *home, const char *name, const char *digest, char path[PATH_TEXT_MAX], Error *error) {
    char root[PATH_TEXT_MAX];
    *out = NULL;
    if (!dataset_name_is_plain(name, strlen(name)))
        return data_refuse(error, "not a data set's name: \"%.80s\"", name);
    if (!pack_digest_is_plain(digest))
        return data_refuse(error, "%s: not a data set's digest: \"%.80s\"", name, digest);
    if (path_home(home, root, error))
        return -1;
    int result = pack_find(root, name, digest, path, error);
    return result ? result : dataset_open_pack(out, path, name, digest, error);
}

int dataset_open(DatasetMap **out, const char *home, const char *name, const char *digest, Error *error) {
    char path[PATH_TEXT_MAX];
    return open_found(out, home, name, digest, path, error);
}

int dataset_locate(char path[PATH_TEXT_MAX], const char *home, const char *name, const char *digest, Error *error) {
    DatasetMap *data;
    int result = open_found(&data, home, name, digest, path, error);
    dataset_free(data);
    return result;
}
