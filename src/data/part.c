/* Not every server can say whether a file is still the one that a part is of, so the address and the size are kept as well. */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ORIGIN_MAX = PATH_TEXT_MAX + VALIDATOR_MAX + 64, OPENS_TRIED = 100 };

/* Three lines; anything else is as if it were not there. */
static bool origin_read(Part *part) {
    Buffer text;
    Error ignored;
    PartOrigin *origin = &part->origin;
    bool fine = false;
    buffer_init(&text, ORIGIN_MAX + 1);
    bool there = file_read(part->origin_path, ORIGIN_MAX, &text, &ignored) == 0;
    buffer_append(&text, "", 1);
    if (there && !text.failed) {
        char *rest = text.data, *url = strsep(&rest, "\n"), *validator = strsep(&rest, "\n"), *total = strsep(&rest, "\n");
        fine = rest && text_copy(origin->url, sizeof origin->url, url) && text_copy(origin->validator, sizeof origin->validator, validator);
        origin->total = fine ? strtoll(total, NULL, 10) : -1;
    }
    buffer_deinit(&text);
    return fine;
}

static int origin_write(const Part *part, Error *error) {
    char text[ORIGIN_MAX];
    const PartOrigin *origin = &part->origin;
    int size = snprintf(text, sizeof text, "%s\n%s\n%lld\n", origin->url, origin->validator, (long long)origin->total);
    return file_write_atomic(part->origin_path, text, (size_t)size, 0600, error); /* an address may hold a password */
}

static void descriptor_close(Part *part) {
    close(part->descriptor);
    part->descriptor = -1;
}

/* Between opening and locking, who had the lock may have renamed the part, or removed it. */
static bool part_has_path(const Part *part) {
    struct stat own, named;
    return !fstat(part->descriptor, &own) && !stat(part->path, &named) && own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

static int part_lock(Part *part, Error *error) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (int i = 0; i < OPENS_TRIED; i++) {
        part->descriptor = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (part->descriptor < 0)
            return error_set_errno(error, errno, "cannot write %s", part->path);
        bool locked = !fcntl(part->descriptor, F_OFD_SETLK, &lock);
        if (locked && part_has_path(part))
            return 0;
        descriptor_close(part);
        if (!locked)
            break;
    }
    return data_refuse(error, "%s: another program is fetching it", part->path);
}

int part_open(Part *part, const char *path, Error *error) {
    *part = (Part){.descriptor = -1};
    if (path_format(part->path, error, "%s.part", path) || path_format(part->origin_path, error, "%s.from", part->path))
        return -1;
    int result = part_lock(part, error);
    if (result)
        return result;
    off_t end = lseek(part->descriptor, 0, SEEK_END);
    if (end < 0)
        return error_set_errno(error, errno, "cannot read %s", part->path);
    part->size = end;
    part->has_origin = end > 0 && origin_read(part);
    return 0;
}

void part_close(Part *part) {
    if (part->descriptor < 0)
        return;
    if (lseek(part->descriptor, 0, SEEK_END) == 0)
        part_remove(part);
    descriptor_close(part);
}

/* The origin first: a part must not be taken for one of another file. */
int part_begin(Part *part, const PartOrigin *origin, Error *error) {
    part->origin = *origin;
    part->has_origin = true;
    part->size = 0;
    if (ftruncate(part->descriptor, 0) || lseek(part->descriptor, 0, SEEK_SET))
        return error_set_errno(error, errno, "cannot write %s", part->path);
    return origin_write(part, error);
}

void part_disown(Part *part) {
    unlink(part->origin_path);
    part->has_origin = false;
}

void part_remove(Part *part) {
    unlink(part->origin_path);
    unlink(part->path);
}

int part_publish(Part *part, const char *path, Error *error) {
    int descriptor = part->descriptor;
    part->descriptor = -1;
    unlink(part->origin_path);
    return file_publish(descriptor, part->path, path, 0644, error);
}
