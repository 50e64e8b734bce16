#include "sweepd/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_TEMPORARY ".tmp-" /* then six characters */

enum { DESCRIPTOR_PATH_MAX = 32, NAMES_TRIED = 100 };

int file_read(const char *path, size_t max, Buffer *out, Error *error) {
    int result = -1;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(error, errno, "cannot open %s", path);
    char chunk[16384];
    for (;;) {
        ssize_t size = read(descriptor, chunk, sizeof chunk);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            error_set_errno(error, errno, "cannot read %s", path);
            goto out;
        }
        if (size == 0)
            break;
        if (out->size + (size_t)size > max) {
            error_set(error, "%s is larger than %zu bytes", path, max);
            goto out;
        }
        buffer_append(out, chunk, (size_t)size);
    }
    buffer_append(out, "", 0); /* an empty file is an empty text, not NULL */
    result = buffer_check(out, error, path);
out:
    close(descriptor);
    return result;
}

int file_read_part(const char *path, int64_t from, size_t bytes, Buffer *out, Error *error) {
    char chunk[16384];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && errno == ENOENT)
        return FILE_MISSING;
    off_t size = descriptor < 0 ? -1 : lseek(descriptor, 0, SEEK_END), at = from;
    if (size < 0) {
        error_set_errno(error, errno, "cannot open %s", path);
        if (descriptor >= 0)
            close(descriptor);
        return -1;
    }
    if (from == FILE_END)
        at = size > (off_t)bytes ? size - (off_t)bytes : 0;
    ssize_t got = 1;
    for (size_t left = bytes; left > 0 && got != 0;) {
        got = at >= size ? 0 : pread(descriptor, chunk, left < sizeof chunk ? left : sizeof chunk, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        buffer_append(out, chunk, (size_t)got);
        left -= (size_t)got;
        at += got;
    }
    int number = errno;
    close(descriptor);
    return got < 0 ? error_set_errno(error, number, "cannot read %s", path) : buffer_check(out, error, path);
}

static int write_whole(int descriptor, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(descriptor, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        data += done;
        size -= (size_t)done;
    }
    return 0;
}

int file_append(const char *path, const void *data, size_t size, Error *error) {
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int number = descriptor < 0 ? errno : -write_whole(descriptor, data, size);
    if (!number && fdatasync(descriptor) && errno != EINVAL) /* EINVAL: a file system that cannot */
        number = errno;
    if (descriptor >= 0)
        close(descriptor);
    return number ? error_set_errno(error, number, "cannot write %s", path) : 0;
}

/* The directory that holds the name. */
static const char *directory_of(const char *path, char parent[PATH_TEXT_MAX]) {
    text_copy(parent, PATH_TEXT_MAX, path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return ".";
    slash[slash == parent] = '\0';
    return parent;
}

/* A name is durable only when the directory that holds it is. */
static void directory_sync(const char *path) {
    char parent[PATH_TEXT_MAX];
    int descriptor = open(directory_of(path, parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    fsync(descriptor);
    close(descriptor);
}

/* ---- files without a name ---- */

static const char *descriptor_path(int descriptor, char out[DESCRIPTOR_PATH_MAX]) {
    snprintf(out, DESCRIPTOR_PATH_MAX, "/proc/self/fd/%d", descriptor);
    return out;
}

/* -1: not to be had on this file system, or not to be named later. */
static int unnamed_create(const char *path) {
    char parent[PATH_TEXT_MAX], self[DESCRIPTOR_PATH_MAX];
    int descriptor = open(directory_of(path, parent), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0 || file_exists(descriptor_path(descriptor, self)))
        return descriptor;
    close(descriptor);
    return -1;
}

static int unnamed_link(int descriptor, const char *path) {
    char self[DESCRIPTOR_PATH_MAX];
    return linkat(AT_FDCWD, descriptor_path(descriptor, self), AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* A link replaces nothing, a rename does: a file that takes another's name has one of its own for that moment. Negative errno. */
static int unnamed_publish(int descriptor, const char *path) {
    char temporary[PATH_TEXT_MAX];
    int problem = unnamed_link(descriptor, path);
    if (problem != -EEXIST)
        return problem;
    uint64_t start = (uint64_t)getpid() + (uint64_t)(1e9 * clock_monotonic());
    for (uint64_t i = 0; i < NAMES_TRIED && problem == -EEXIST; i++) {
        if (path_format(temporary, NULL, "%s" FILE_TEMPORARY "%06x", path, (unsigned)((start + i) & 0xffffff)))
            return -ENAMETOOLONG;
        problem = unnamed_link(descriptor, temporary);
    }
    if (!problem && rename(temporary, path)) {
        problem = -errno;
        unlink(temporary);
    }
    return problem;
}

/* ---- */

int file_create_temporary(const char *path, char temporary[PATH_TEXT_MAX], Error *error) {
    *temporary = '\0';
    int unnamed = unnamed_create(path);
    if (unnamed >= 0)
        return unnamed;
    if (path_format(temporary, error, "%s" FILE_TEMPORARY "XXXXXX", path))
        return -1;
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    return descriptor < 0 ? error_set_errno(error, errno, "cannot write %s", path) : descriptor;
}

int file_publish(int descriptor, const char *temporary, const char *path, unsigned mode, Error *error) {
    int problem = fchmod(descriptor, (mode_t)mode) || fsync(descriptor) ? -errno : 0;
    if (!problem && !*temporary)
        problem = unnamed_publish(descriptor, path);
    else if (!problem && rename(temporary, path))
        problem = -errno;
    if (problem) {
        file_abandon(descriptor, temporary);
        return error_set_errno(error, -problem, "cannot write %s", path);
    }
    close(descriptor); /* what it could say of the bytes, fsync has said */
    directory_sync(path);
    return 0;
}

void file_abandon(int descriptor, const char *temporary) {
    if (*temporary)
        unlink(temporary);
    close(descriptor);
}

int file_write_pieces(const char *path, const FilePiece *pieces, size_t count, unsigned mode, Error *error) {
    char temporary[PATH_TEXT_MAX];
    int descriptor = file_create_temporary(path, temporary, error);
    if (descriptor < 0)
        return -1;
    int problem = 0;
    for (size_t i = 0; i < count && !problem; i++)
        problem = write_whole(descriptor, pieces[i].data, pieces[i].size);
    if (!problem)
        return file_publish(descriptor, temporary, path, mode, error);
    file_abandon(descriptor, temporary);
    return error_set_errno(error, -problem, "cannot write %s", path);
}

int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode, Error *error) {
    return file_write_pieces(path, &(FilePiece){data, size}, 1, mode, error);
}

void file_remove_temporaries(const char *directory) {
    DIR *stream = opendir(directory);
    if (!stream)
        return;
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        if (!fnmatch("?*" FILE_TEMPORARY "??????", entry->d_name, 0))
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

static int directory_make_one(const char *path, unsigned mode, Error *error) {
    struct stat status;
    if (!mkdir(path, (mode_t)mode))
        return 0;
    int number = errno;
    if (number == EEXIST && !stat(path, &status) && S_ISDIR(status.st_mode))
        return 0;
    return error_set_errno(error, number, "cannot make the directory %s", path);
}

int directory_make(const char *path, unsigned mode, Error *error) {
    char part[PATH_TEXT_MAX];
    if (!*path || !text_copy(part, sizeof part, path))
        return error_set(error, "not a usable directory name: \"%.64s\"", path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        struct stat status;
        if (stat(part, &status) && directory_make_one(part, mode, error))
            return -1;
        *at = '/';
    }
    return directory_make_one(part, mode, error);
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}
