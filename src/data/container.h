/* container (private): a folder, tar or zip as one sequence of files. */
#pragma once

#include "dataset.h"

enum { CONTAINER_END = 3, CONTAINER_NAME_MAX = 4096 };

typedef struct Container Container;

/* A folder has neither link nor bytes. */
typedef struct ContainerEntry {
    const char *name; /* below the folder or as the archive has it, without a leading "./"; until the next call */
    const char *link; /* NULL: a file; else the name that it is another name of, or leads to. Its bytes are to be had there only */
    int64_t size;
    bool is_folder;
} ContainerEntry;

/* 0, DATA_REFUSED, -1. */
int container_open(Container **out, const char *path, Error *error);
void container_free(Container *container);
bool container_is_folder(const Container *container);
/* From now on folders are given, too, where the container names them. */
void container_give_folders(Container *container);
/* From now on it is asked for each file, and in the middle of what is read; every call below may then be DATA_STOPPED. */
void container_stop_when(Container *container, Stop stop);
/* The next file or link: 0, CONTAINER_END, DATA_REFUSED, -1. */
int container_next(Container *container, ContainerEntry *out, Error *error);
/* The next bytes of the current file: fewer than size only at its end. */
int container_take(Container *container, uint8_t *target, size_t size, size_t *taken, Error *error);
/* The rest of the current file, at most `max` bytes, appended to an initialised buffer. */
int container_take_all(Container *container, size_t max, Buffer *out, Error *error);
