/* gzip (private): gzip files, unpacked, and what may stand behind compressed data and zips. */
#pragma once

#include "dataset.h"

typedef struct Gzip Gzip;

/* Takes the descriptor, which stands at the file's start. NULL: no memory; the descriptor is closed then, too. */
Gzip *gzip_new(int descriptor);
void gzip_free(Gzip *gzip);
/* The next bytes of all members, at most size; 0: the end, every checksum is right. -1 with what is wrong in *problem, or with NULL there:
 * errno says why the file cannot be read. */
ssize_t gzip_read(Gzip *gzip, uint8_t *target, size_t size, const char **problem);
/* After the end: the byte of the file behind the last member. */
int64_t gzip_end(const Gzip *gzip);

/* Compressed data end at this byte of the file: only zeros may follow. 0, DATA_REFUSED, -1. */
int end_check(const char *path, int64_t end, Error *error);
/* A zip's end record and its comment must end the file. 0, DATA_REFUSED, -1. */
int end_check_zip(const char *path, Error *error);
