/* base: what every layer stands on. Errors, log, buffers with a hard maximum, hash, random numbers, files, machine.
 *
 * Return values, here and in every layer: 0 is success; a negative value means that something broke, is described in the
 * Error passed in, and is handed up with context added once at each boundary; a positive value is a named outcome
 * that the function's comment lists and that the caller must handle.
 *
 * Naming: memory that the caller owns is set up by _init and cleared by _deinit; heap objects come from _new and go by
 * _free. _deinit and _free accept NULL and zeroed structs. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- errors ---- */

enum { ERROR_TEXT_MAX = 1024 };

/* One line of text, without a newline and without a program's name: "sweeps/a.yaml:4:3: grid.depth: ...". Whatever it quotes, it is plain
 * (text_is_plain): other bytes are written as text_copy_plain writes them. */
typedef struct Error {
    char text[ERROR_TEXT_MAX];
    bool memory; /* an allocation failed, or would: less at once may go well */
} Error;

/* Each sets or extends the text and returns -1, so that a caller can `return error_set(error, ...)`. A NULL error is allowed. */
int error_set(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
int error_set_memory(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* With what the system says of `number`, an errno; ENOMEM is memory. */
int error_set_errno(Error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before what the error says, and leaves what it is. */
int error_prefix(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- log: lines to stderr, or to a file opened for append; timestamps in UTC ---- */

typedef enum { LOG_INFO, LOG_WARNING, LOG_ERROR } LogLevel;

/* To the end of this file, made with mode 0600 when missing. 0, or -1 and messages go where they went. */
int log_open(const char *path, Error *error);
void log_close(void); /* back to stderr */
/* One line, plain as an error's, cut at 2 KiB, in one write, so that processes that append to one file do not mix theirs. */
void log_write(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- buffers ---- */

/* Growable bytes, always followed by a NUL that `size` does not count. Growth past `max` or a failed allocation sets
 * `failed`; the buffer then keeps what it has and ignores further appends, so that a writer checks once, at the end. */
typedef struct Buffer {
    char *data;
    size_t size, capacity, max;
    bool failed;
} Buffer;

void buffer_init(Buffer *buffer, size_t max);
void buffer_deinit(Buffer *buffer);
void buffer_clear(Buffer *buffer);
void buffer_append(Buffer *buffer, const void *data, size_t size);
void buffer_append_text(Buffer *buffer, const char *text);
void buffer_printf(Buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The shortest decimal text that reads back as the same double ("0.1", "1e+18"). Non-finite values become "null". */
void buffer_append_double(Buffer *buffer, double value);
/* The text as a JSON string, quoted and escaped. A byte that is no UTF-8, which no JSON reader takes, becomes "?". */
void buffer_append_json(Buffer *buffer, const char *text);
/* 0, or an error that says what did not fit when the buffer has failed. */
int buffer_check(const Buffer *buffer, Error *error, const char *what);

/* Copies with truncation; returns false when the text did not fit. */
bool text_copy(char *target, size_t capacity, const char *source);
/* strdup that sets the error. NULL on failure. */
char *text_duplicate(const char *source, Error *error);

/* Bytes of the well-formed UTF-8 character at text, or 0. */
size_t text_character_size(const char *text);
/* How many bytes of the text, from its start, are valid UTF-8 without control characters; plain: all of them. Any other, on a terminal or
 * in a log, may pretend to be another line or say what is not so. */
size_t text_plain_size(const char *text);
bool text_is_plain(const char *text);
/* Copies, cut to fit, with each byte that is not plain as "\x1b". */
void text_copy_plain(char *target, size_t capacity, const char *source);

/* ---- hash ---- */

enum { SHA256_HEX_MAX = 65 };

typedef struct Sha256 Sha256; /* goes by sha256_free once it is finished, or before */
int sha256_new(Sha256 **out, Error *error);
void sha256_free(Sha256 *hash);
void sha256_update(Sha256 *hash, const void *data, size_t size);
void sha256_finish(Sha256 *hash, char hex[SHA256_HEX_MAX]);
/* The digest of one piece of memory, in lower-case hexadecimal. */
int sha256_hex(const void *data, size_t size, char hex[SHA256_HEX_MAX], Error *error);

/* Of a whole file, in lower-case hexadecimal. MD5 is for checksums that others publish, against accidents alone. */
typedef enum { DIGEST_SHA256, DIGEST_MD5 } DigestKind;
int digest_file(DigestKind kind, const char *path, char hex[SHA256_HEX_MAX], Error *error);

/* ---- random numbers: xoshiro256**, seeded by splitmix64 (Blackman and Vigna 2018) ---- */

typedef struct Rng {
    uint64_t state[4];
} Rng;

/* Streams of one seed are independent: a use names its stream ("subset", epoch number, ...), so nothing depends on the
 * order in which numbers are drawn elsewhere. */
void rng_init(Rng *rng, uint64_t seed, uint64_t stream);
uint64_t rng_next(Rng *rng);
double rng_uniform(Rng *rng);                 /* [0, 1), 53 bits */
uint64_t rng_below(Rng *rng, uint64_t bound); /* [0, bound), unbiased; bound > 0 */
double rng_normal(Rng *rng);                  /* mean 0, deviation 1 */
void rng_shuffle(Rng *rng, uint32_t *items, size_t count);

/* ---- order ---- */

/* For qsort and the like: doubles in ascending order, none of them NaN. */
int doubles_compare(const void *left, const void *right);
/* The smaller of the two. */
static inline int64_t count_at_most(int64_t count, int64_t most) {
    return count < most ? count : most;
}

/* ---- files ---- */

enum { PATH_TEXT_MAX = 4096 };

/* Reads a whole file of at most max bytes into an initialised buffer (whose own max must allow it). */
int file_read(const char *path, size_t max, Buffer *out, Error *error);
enum { FILE_MISSING = 1, FILE_END = -1 };
/* Appends at most `bytes` from byte `from` on (nothing where the file is shorter), or with FILE_END the last ones. 0, FILE_MISSING, -1. */
int file_read_part(const char *path, int64_t from, size_t bytes, Buffer *out, Error *error);
/* Behind what the file holds, and on disk when this returns; the file is there. After a failure a part of it may be in the file. */
int file_append(const char *path, const void *data, size_t size, Error *error);
/* Writes to another file, syncs, and gives it the name: path holds the old bytes or the new ones, never a part. */
int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode, Error *error);
/* The same for a file that is written piece by piece: opens a file for reading and writing and returns its descriptor, or -1. It has no
 * name, so that nothing is left of it when the process is killed, and temporary is ""; where the file system has no such files, that is
 * its name, beside path. file_publish gives it the mode, syncs, names it and only then closes, so that a lock is held until it has the
 * name; one that failed has removed and closed it, too. file_abandon removes and closes it. */
int file_create_temporary(const char *path, char temporary[PATH_TEXT_MAX], Error *error);
int file_publish(int descriptor, const char *temporary, const char *path, unsigned mode, Error *error);
void file_abandon(int descriptor, const char *temporary);
/* The same from pieces, one behind the other, so that what is large need not be copied together first. */
typedef struct FilePiece {
    const void *data;
    size_t size;
} FilePiece;
int file_write_pieces(const char *path, const FilePiece *pieces, size_t count, unsigned mode, Error *error);
/* Removes what the writers above left in the directory when their process was killed. For a directory that nobody else writes to. */
void file_remove_temporaries(const char *directory);
/* Makes the directory and its parents; an existing directory is fine. */
int directory_make(const char *path, unsigned mode, Error *error);
bool file_exists(const char *path);
/* printf into a path-sized array; an error when it does not fit. */
int path_format(char out[PATH_TEXT_MAX], Error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A program that belongs to this one: $SWEEPD_BIN_DIR/name, else name beside the running program, else name as found on PATH. */
int path_program(const char *name, char out[PATH_TEXT_MAX], Error *error);
/* The directory that keeps everything: `home` when given, else $SWEEPD_HOME, else $XDG_DATA_HOME/sweepd,
 * else ~/.local/share/sweepd. Absolute. Not created. */
int path_home(const char *home, char out[PATH_TEXT_MAX], Error *error);

/* ---- time, in seconds ---- */

double clock_unix(void);      /* since 1970, for records */
double clock_monotonic(void); /* for durations */
/* "2026-11-23T18:20:05Z". */
void clock_text(double unix_seconds, char out[32]);

/* ---- GPUs: the numbered devices of a machine, as CUDA_VISIBLE_DEVICES has them: its numbers, or, where it lists names (GPU-...), the
 * places of these from 0 on ---- */

enum { GPUS_MAX = 64, GPUS_TEXT_MAX = 256, GPU_NAME_MAX = 64, GPUS_VISIBLE_MAX = GPUS_MAX * GPU_NAME_MAX };

typedef uint64_t GpuSet; /* bit i: device i */

/* "0,1,3"; "": none. 0, or 1 when it is no such list. */
int gpus_parse(const char *text, GpuSet *out);
/* As an option's value: how many, "2" for devices 0 and 1, or which, "0,1,3"; a list of one ends with a comma, "3,". 0, or 1 when it is
 * neither, or has places that CUDA_VISIBLE_DEVICES lists no names for. */
int gpus_read_option(const char *text, GpuSet *out);
const char *gpus_text(GpuSet set, char out[GPUS_TEXT_MAX]); /* "0,1,3"; returns out */
/* What CUDA_VISIBLE_DEVICES is to be for a program that has these: their numbers, or their names in this process's own. Returns out. */
const char *gpus_visible(GpuSet set, char out[GPUS_VISIBLE_MAX]);
int64_t gpus_count(GpuSet set);
/* Its first `count`; fewer where it has fewer. */
GpuSet gpus_first(GpuSet set, int64_t count);
/* Those that CUDA_VISIBLE_DEVICES lists, up to the first item that is no device; without that variable, as many as there are files
 * /dev/nvidia0, /dev/nvidia1, ... */
GpuSet gpus_of_machine(void);

/* ---- machine and build ---- */

enum { MACHINE_TEXT_MAX = 128 };

typedef struct Machine {
    char host[MACHINE_TEXT_MAX];
    char cpu[MACHINE_TEXT_MAX]; /* the processor's own model name, with its vector extensions: "AMD EPYC (avx2 avx512)" */
    int cores;                  /* that this process may use (affinity) */
    double memory_bytes;        /* that its control groups allow */
    GpuSet gpus;                /* gpus_of_machine */
} Machine;

void machine_read(Machine *machine);
/* "3.1 GiB", "900 MiB"; into out, which it returns. Negative numbers are 0. */
enum { BYTES_TEXT_MAX = 32 };
const char *bytes_text(double bytes, char out[BYTES_TEXT_MAX]);
/* Resident memory that this process has for itself: without what it maps from files, which processes share. 0: the system does not tell. */
double process_memory_bytes(void);
/* Zeroed memory for arrays of numbers, whole lines of the cache, in huge pages where it is large enough for them; the caller's, by free.
 * NULL: there is none. */
void *pages_new(size_t bytes);

/* The widest vector extension of which this processor has all parts: x86-64-v3 is VECTOR_AVX2, x86-64-v4 is VECTOR_AVX512. Files that are
 * compiled once per level (meson.build's vector_variants) are chosen from by it. */
typedef enum { VECTOR_GENERIC, VECTOR_AVX2, VECTOR_AVX512 } VectorLevel;
VectorLevel machine_vector_level(void);
const char *version_text(void);   /* "0.1.0" */
const char *version_commit(void); /* "1a2b3c4" with "+" when the tree differed from it; "unknown" outside a checkout */
