#include "sweep_file.h"

#include "cli.h"

int sweep_file_read(const char *path, Buffer *text, Sweep **out, Error *error) {
    *out = NULL;
    buffer_init(text, SWEEP_FILE_MAX);
    if (file_read(path, SWEEP_FILE_MAX, text, error) < 0)
        return CLI_USAGE;
    int result = sweep_parse(out, text->data ? text->data : "", text->size, path, error);
    return result == SWEEP_INVALID ? CLI_USAGE : result;
}
