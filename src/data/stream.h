/* stream (private): a compressed file as the bytes that it holds, and what a tar's end has to be checked by. */
#pragma once

#include "dataset.h"

typedef struct Stream Stream;

/* gzip, bzip2, xz or zstd, told by a file's first bytes; *out is NULL where it is none of them. The path must outlive it. 0, DATA_REFUSED,
 * -1. */
int stream_open(Stream **out, const char *path, Error *error);
void stream_free(Stream *stream);
/* The next bytes, until the next call; 0 at the end; below 0: damaged, with *problem. The end is told only when a checksum behind it, where
 * the form has one, is right. */
ssize_t stream_read(Stream *stream, const void **bytes, const char **problem);
/* After the end: only zeros may follow in the file. 0, DATA_REFUSED, -1. */
int stream_check_end(const Stream *stream, const char *path, Error *error);
/* Of the bytes that were read: how many, and where the last that is not zero ends. */
int64_t stream_size(const Stream *stream);
int64_t stream_size_used(const Stream *stream);
/* Where the last byte that is not zero ends. */
size_t bytes_used(const uint8_t *bytes, size_t size);
