/* libarchive reads folders, too, so one loop serves all. Two kinds of damage it lets pass: a tar that ends between two files, so the two
 * empty blocks that end every tar are looked for here; and gzip data with a wrong checksum, so zlib, which checks it, does the unzipping.
 */
#include "container.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_BLOCK = 1 << 18, TAR_BLOCK = 512 };

struct Container {
    char path[PATH_TEXT_MAX];
    struct archive *archive;
    struct archive_entry *entry;
    bool is_folder;
    gzFile gzip; /* NULL: not zipped this way */
    uint8_t *block;
    char name[CONTAINER_NAME_MAX];
    int64_t size, place; /* of the current file */
};

static int refuse(const Container *container, Error *error, const char *what) {
    const char *text = what ? what : archive_error_string(container->archive);
    if (*container->name)
        return data_refuse(error, "%s: %s: byte %lld: %s", container->path, container->name, (long long)container->place,
                           text ? text : "damaged");
    return data_refuse(error, "%s: %s", container->path, text ? text : "damaged");
}

/* ---- gzip ---- */

static bool is_gzip(const char *path) {
    uint8_t magic[2] = {0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    bool read_both = descriptor >= 0 && read(descriptor, magic, sizeof magic) == (ssize_t)sizeof magic;
    if (descriptor >= 0)
        close(descriptor);
    return read_both && magic[0] == 0x1f && magic[1] == 0x8b;
}

static ssize_t gzip_read(struct archive *archive, Container *container) {
    int code = Z_OK, got = gzread(container->gzip, container->block, READ_BLOCK);
    const char *problem = gzerror(container->gzip, &code);
    if (got >= 0 && (code == Z_OK || code == Z_STREAM_END))
        return got;
    archive_set_error(archive, code == Z_ERRNO ? errno : EIO, "the gzip stream is damaged or cut short (%s)", problem);
    return -1;
}

static ssize_t on_gzip_read(struct archive *archive, void *context, const void **out) {
    Container *container = context;
    *out = container->block;
    return gzip_read(archive, container);
}

static int gzip_start(Container *container) {
    container->block = malloc(READ_BLOCK);
    container->gzip = gzopen(container->path, "rbe");
    if (container->block && container->gzip)
        return archive_read_open(container->archive, container, NULL, on_gzip_read, NULL);
    archive_set_error(container->archive, errno, "cannot be read");
    return ARCHIVE_FATAL;
}

/* ---- opening ---- */

static int archive_start(Container *container) {
    struct archive *archive = container->is_folder ? archive_read_disk_new() : archive_read_new();
    container->archive = archive;
    if (!archive)
        return ARCHIVE_FATAL;
    if (container->is_folder) {
        archive_read_disk_set_symlink_logical(archive);
        return archive_read_disk_open(archive, container->path);
    }
    archive_read_support_filter_all(archive);
    archive_read_support_format_tar(archive);
    archive_read_support_format_zip_seekable(archive); /* by its directory, which stands at the end: a zip without it was cut */
    return is_gzip(container->path) ? gzip_start(container) : archive_read_open_filename(archive, container->path, READ_BLOCK);
}

int container_open(Container **out, const char *path, Error *error) {
    struct stat status;
    *out = NULL;
    Container *container = calloc(1, sizeof *container);
    if (!container)
        return error_set_memory(error, "%s: no memory", path);
    int result = 0;
    if (path_format(container->path, error, "%s", path)) {
        result = -1;
    } else if (stat(path, &status)) {
        error_set_errno(error, errno, "cannot open %s", path);
        result = DATA_REFUSED;
    } else if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
        result = data_refuse(error, "%s is neither a folder nor a file", path);
    } else {
        for (size_t size = strlen(container->path); size > 1 && container->path[size - 1] == '/'; size--)
            container->path[size - 1] = '\0';
        container->is_folder = S_ISDIR(status.st_mode);
        if (archive_start(container) < ARCHIVE_WARN)
            result = refuse(container, error, NULL);
    }
    if (result)
        container_free(container);
    else
        *out = container;
    return result;
}

void container_free(Container *container) {
    if (!container)
        return;
    archive_read_free(container->archive);
    if (container->gzip)
        gzclose_r(container->gzip);
    free(container->block);
    free(container);
}

bool container_is_folder(const Container *container) {
    return container->is_folder;
}

/* After the last file: the archive's end as its form demands it. */
static int tail_check(Container *container, Error *error) {
    ssize_t more = 1;
    while (container->gzip && more > 0) /* the checksum comes last */
        more = gzip_read(container->archive, container);
    if (more < 0)
        return refuse(container, error, NULL);
    uint8_t tail[2 * TAR_BLOCK];
    bool plain_tar = !container->is_folder && (archive_format(container->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR &&
                     archive_filter_count(container->archive) == 1 && !container->gzip;
    if (!plain_tar)
        return 0;
    int descriptor = open(container->path, O_RDONLY | O_CLOEXEC);
    off_t end = descriptor < 0 ? -1 : lseek(descriptor, 0, SEEK_END);
    bool whole = end >= (off_t)sizeof tail && pread(descriptor, tail, sizeof tail, end - (off_t)sizeof tail) == (ssize_t)sizeof tail;
    for (size_t i = 0; i < sizeof tail && whole; i++)
        whole = tail[i] == 0;
    if (descriptor >= 0)
        close(descriptor);
    if (whole)
        return 0;
    return data_refuse(error, "%s: byte %lld: the tar ends here without its closing blocks: it is cut short", container->path,
                       (long long)(end < 0 ? 0 : end));
}

static bool name_take(Container *container) {
    const char *name = archive_entry_pathname(container->entry);
    if (name && container->is_folder) {
        size_t prefix = strlen(container->path);
        if (!strncmp(name, container->path, prefix))
            name += prefix;
    }
    while (name && (*name == '/' || (name[0] == '.' && name[1] == '/')))
        name++;
    return name && text_copy(container->name, sizeof container->name, name);
}

int container_next(Container *container, ContainerEntry *out, Error *error) {
    for (;;) {
        int code = archive_read_next_header(container->archive, &container->entry);
        if (code == ARCHIVE_EOF) {
            *container->name = '\0';
            int result = tail_check(container, error);
            return result ? result : CONTAINER_END;
        }
        if (code < ARCHIVE_WARN)
            return refuse(container, error, NULL);
        container->place = 0;
        if (container->is_folder && archive_read_disk_can_descend(container->archive))
            archive_read_disk_descend(container->archive);
        if (archive_entry_filetype(container->entry) != AE_IFREG)
            continue;
        if (!name_take(container)) {
            *container->name = '\0';
            return data_refuse(error, "%s: a file's name in it is missing or longer than %d bytes", container->path,
                               CONTAINER_NAME_MAX - 1);
        }
        if (archive_entry_hardlink(container->entry) && archive_entry_size(container->entry) == 0)
            continue;
        if (!archive_entry_size_is_set(container->entry))
            return refuse(container, error, "its size is not stated; write the archive anew");
        container->size = archive_entry_size(container->entry);
        if (container->size < 0)
            return refuse(container, error, "its size is negative");
        *out = (ContainerEntry){container->name, container->size};
        return 0;
    }
}

int container_take(Container *container, uint8_t *target, size_t size, size_t *taken, Error *error) {
    *taken = 0;
    while (*taken < size) {
        ssize_t got = archive_read_data(container->archive, target + *taken, size - *taken);
        if (got < 0)
            return refuse(container, error, NULL);
        if (got == 0)
            break;
        *taken += (size_t)got;
        container->place += got;
    }
    return 0;
}

int container_take_all(Container *container, size_t max, Buffer *out, Error *error) {
    uint8_t chunk[16384];
    if (container->size > (int64_t)max)
        return data_refuse(error, "%s: %s: %lld bytes; expected at most %zu", container->path, container->name, (long long)container->size,
                           max);
    for (;;) {
        size_t taken;
        int result = container_take(container, chunk, sizeof chunk, &taken, error);
        if (result)
            return result;
        if (out->size + taken > max)
            return refuse(container, error, "it is larger than it said");
        buffer_append(out, chunk, taken);
        if (out->failed)
            return error_set_memory(error, "%s: %s: no memory for %zu bytes", container->path, container->name, out->size);
        if (taken < sizeof chunk)
            break;
    }
    if (container->place != container->size)
        return refuse(container, error, "it ends here, before its size");
    return 0;
}
