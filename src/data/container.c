/* libarchive reads folders, too, so one loop serves all. It lets two kinds of damage pass: a tar that ends between two files, and one that
 * has something behind its end. So what closes a tar, zeros and nothing else, is looked for here, in what the archive is unpacked to where
 * it is compressed. */
#include "container.h"
#include "gzip.h"
#include "stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 1 << 18, TAR_BLOCK = 512, TAR_CLOSING = 2 * TAR_BLOCK, PLACE_UNKNOWN = -1 };

struct Container {
    char path[PATH_TEXT_MAX];
    struct archive *archive;
    struct archive_entry *entry;
    bool is_folder, inside; /* inside: there is a current file */
    bool gives_folders;
    Stream *stream; /* NULL: not compressed */
    Stop stop;
    bool stopped;
    char name[CONTAINER_NAME_MAX], link[CONTAINER_NAME_MAX];
    int64_t size, place; /* of the current file */
};

static bool stop_check(Container *container) {
    container->stopped = container->stopped || stop_is_asked(&container->stop);
    return container->stopped;
}

/* Of what is read, libarchive hands a stop on as an error. */
static int refuse(const Container *container, Error *error, const char *what) {
    if (container->stopped)
        return DATA_STOPPED;
    const char *text = what ? what : archive_error_string(container->archive);
    error_set(error, "%s", text ? text : "damaged");
    if (container->place != PLACE_UNKNOWN)
        error_prefix(error, "byte %lld", (long long)container->place);
    if (*container->name)
        error_prefix(error, "%s", container->name);
    error_prefix(error, "%s", container->path);
    return DATA_REFUSED;
}

/* ---- opening ---- */

static ssize_t on_stream_read(struct archive *archive, void *context, const void **out) {
    Container *container = context;
    const char *problem = NULL;
    if (stop_check(container)) {
        archive_set_error(archive, EINTR, "stopped");
        return -1;
    }
    ssize_t got = stream_read(container->stream, out, &problem);
    if (got < 0)
        archive_set_error(archive, EIO, "the compressed data are damaged or cut short (%s)", problem ? problem : "no reason given");
    return got;
}

static int archive_start(Container *container) {
    struct archive *archive = container->is_folder ? archive_read_disk_new() : archive_read_new();
    container->archive = archive;
    if (!archive)
        return ARCHIVE_FATAL;
    if (container->is_folder) {
        archive_read_disk_set_symlink_logical(archive);
        return archive_read_disk_open(archive, container->path);
    }
    archive_read_support_format_tar(archive);
    archive_read_support_format_zip_seekable(archive); /* by its directory, which stands at the end: a zip without it was cut */
    return container->stream ? archive_read_open(archive, container, NULL, on_stream_read, NULL)
                             : archive_read_open_filename(archive, container->path, READ_BLOCK);
}

/* libarchive knows a zip by the directory at its end alone. */
static bool starts_as_zip(const Container *container) {
    char start[4] = "";
    if (container->is_folder || container->stream)
        return false;
    int descriptor = open(container->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = descriptor < 0 ? -1 : read(descriptor, start, sizeof start);
    if (descriptor >= 0)
        close(descriptor);
    return got == sizeof start && !memcmp(start, "PK\3\4", sizeof start);
}

static int start_refuse(const Container *container, Error *error) {
    bool cut = starts_as_zip(container);
    return refuse(container, error, cut ? "a zip, but its directory does not stand at its end: it is cut short, or more follows it" : NULL);
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
        container->place = PLACE_UNKNOWN;
        result = container->is_folder ? 0 : stream_open(&container->stream, container->path, error);
        if (!result && archive_start(container) < ARCHIVE_WARN)
            result = start_refuse(container, error);
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
    stream_free(container->stream);
    free(container);
}

bool container_is_folder(const Container *container) {
    return container->is_folder;
}

void container_give_folders(Container *container) {
    container->gives_folders = true;
}

void container_stop_when(Container *container, Stop stop) {
    container->stop = stop;
}

/* ---- the end ---- */

static bool is_tar(const Container *container) {
    return !container->is_folder && (archive_format(container->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
}

/* Of a plain file: how long it is, and where its last byte behind `from` that is not zero ends. */
static int file_tail(const Container *container, int64_t from, int64_t *size, int64_t *used, Error *error) {
    uint8_t block[16384];
    int descriptor = open(container->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = descriptor < 0 ? -1 : 1;
    for (*size = *used = from; got > 0; *size += got) {
        got = pread(descriptor, block, sizeof block, *size);
        size_t last = got > 0 ? bytes_used(block, (size_t)got) : 0;
        if (last)
            *used = *size + (int64_t)last;
        if (got <= 0)
            break;
    }
    int problem = errno;
    if (descriptor >= 0)
        close(descriptor);
    return got < 0 ? error_set_errno(error, problem, "cannot read %s", container->path) : 0;
}

/* The rest of the compressed data: their checksum comes last. */
static int stream_tail(Container *container, int64_t *size, int64_t *used, Error *error) {
    const void *bytes;
    ssize_t more = 1;
    while (more > 0)
        more = on_stream_read(container->archive, container, &bytes);
    *size = stream_size(container->stream);
    *used = stream_size_used(container->stream);
    return more < 0 ? refuse(container, error, NULL) : stream_check_end(container->stream, container->path, error);
}

/* After the last file: two blocks of zeros or more close a tar, and only zeros follow. */
static int tail_check(Container *container, Error *error) {
    if (container->is_folder)
        return 0;
    int64_t end = archive_read_header_position(container->archive), size = 0, used = 0;
    int result = container->stream ? stream_tail(container, &size, &used, error) : 0;
    if (!result && !container->stream && is_tar(container))
        result = file_tail(container, end, &size, &used, error);
    if (!result && !container->stream && !is_tar(container))
        result = end_check_zip(container->path, error);
    if (result || !is_tar(container))
        return result;
    if (used > end)
        return data_refuse(error, "%s: byte %lld: the tar is closed here, but more follows: it is damaged, or two tars in one file",
                           container->path, (long long)end);
    if (size - end < TAR_CLOSING)
        return data_refuse(error, "%s: byte %lld: the tar ends here without its closing blocks: it is cut short", container->path,
                           (long long)end);
    return 0;
}

/* ---- from file to file ---- */

static const char *without_root(const char *name) {
    while (*name == '/' || (name[0] == '.' && name[1] == '/'))
        name++;
    return name;
}

static bool name_take(Container *container) {
    const char *name = archive_entry_pathname(container->entry);
    if (name && container->is_folder) {
        size_t prefix = strlen(container->path);
        if (!strncmp(name, container->path, prefix))
            name += prefix;
    }
    return name && text_copy(container->name, sizeof container->name, without_root(name));
}

/* Where a symbolic link leads, from the folder that it lies in; as it stands, where that is outside. */
static bool target_resolve(Container *container, const char *target) {
    char *out = container->link, *slash = strrchr(container->name, '/');
    size_t size = slash ? (size_t)(slash - container->name) : 0, length;
    memcpy(out, container->name, size);
    for (const char *at = target; *at; at += length + (at[length] == '/')) {
        length = strcspn(at, "/");
        if (!length && at == target)
            return text_copy(out, sizeof container->link, target);
        if (!length || (length == 1 && *at == '.'))
            continue;
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            if (!size)
                return text_copy(out, sizeof container->link, target);
            while (size && out[--size] != '/')
                ;
            continue;
        }
        if (size + length + 2 > sizeof container->link)
            return false;
        if (size)
            out[size++] = '/';
        memcpy(out + size, at, length);
        size += length;
    }
    out[size] = '\0';
    return size || text_copy(out, sizeof container->link, "."); /* the root */
}

/* A tar says a hard link's target from its root; one that carries bytes of its own is a file like any other. */
static bool link_take(Container *container) {
    const char *hard = archive_entry_hardlink(container->entry), *soft = archive_entry_symlink(container->entry);
    *container->link = '\0';
    if (archive_entry_filetype(container->entry) == AE_IFLNK)
        return target_resolve(container, soft && *soft ? soft : "/");
    if (hard && archive_entry_size(container->entry) == 0)
        return *hard && text_copy(container->link, sizeof container->link, *without_root(hard) ? without_root(hard) : hard);
    return true;
}

/* What is left of the current file, so that damage in it is not taken for the next one's. */
static int file_leave(Container *container, Error *error) {
    bool inside = container->inside && !container->is_folder;
    container->place = PLACE_UNKNOWN;
    container->inside = false;
    if (inside && archive_read_data_skip(container->archive) < ARCHIVE_WARN)
        return refuse(container, error, NULL);
    *container->name = '\0';
    return 0;
}

static int header_refuse(Container *container, Error *error) {
    if (container->is_folder && container->entry)
        name_take(container);
    else if (is_tar(container)) /* the header's position is not to be had after an error */
        container->place = archive_filter_bytes(container->archive, 0);
    return refuse(container, error, NULL);
}

static int entry_take(Container *container, ContainerEntry *out, Error *error) {
    if (!name_take(container) || !link_take(container)) {
        *container->name = '\0';
        return data_refuse(error, "%s: a file's name in it is missing or longer than %d bytes", container->path, CONTAINER_NAME_MAX - 1);
    }
    container->place = container->size = 0;
    container->inside = true;
    if (!*container->link) {
        if (!archive_entry_size_is_set(container->entry))
            return refuse(container, error, "its size is not stated; write the archive anew");
        container->size = archive_entry_size(container->entry);
        if (container->size < 0)
            return refuse(container, error, "its size is negative");
    }
    *out = (ContainerEntry){.name = container->name, .link = *container->link ? container->link : NULL, .size = container->size};
    return 0;
}

/* A tar ends its name with a slash. */
static int folder_take(Container *container, ContainerEntry *out) {
    for (size_t size = strlen(container->name); size && container->name[size - 1] == '/'; size--)
        container->name[size - 1] = '\0';
    *out = (ContainerEntry){.name = container->name, .is_folder = true};
    return 0;
}

int container_next(Container *container, ContainerEntry *out, Error *error) {
    for (;;) {
        if (stop_check(container))
            return DATA_STOPPED;
        int result = file_leave(container, error);
        if (result)
            return result;
        int code = archive_read_next_header(container->archive, &container->entry);
        if (code == ARCHIVE_EOF) {
            result = tail_check(container, error);
            return result ? result : CONTAINER_END;
        }
        if (code < ARCHIVE_WARN)
            return header_refuse(container, error);
        if (container->is_folder && archive_read_disk_can_descend(container->archive))
            archive_read_disk_descend(container->archive);
        mode_t type = archive_entry_filetype(container->entry);
        if (type == AE_IFDIR && container->gives_folders && name_take(container))
            return folder_take(container, out);
        if (type == AE_IFREG || type == AE_IFLNK || archive_entry_hardlink(container->entry))
            return entry_take(container, out, error);
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
