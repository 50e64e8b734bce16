#include "sweepd/wire.h"

#include <string.h>
#include <sys/stat.h>

enum { TOKEN_FILE_MAX = 4096 };

int wire_token_read(const char *path, char out[WIRE_TOKEN_MAX], Error *error) {
    Buffer text;
    buffer_init(&text, TOKEN_FILE_MAX);
    int result = file_read(path, TOKEN_FILE_MAX, &text, error);
    if (result == 0) {
        size_t length = text.data == NULL ? 0 : strcspn(text.data, " \t\r\n");
        if (length == 0 || length >= WIRE_TOKEN_MAX) {
            result = error_set(error, "%s: must hold a token of 1 to %d characters", path, WIRE_TOKEN_MAX - 1);
        } else {
            memcpy(out, text.data, length);
            out[length] = '\0';
        }
    }
    buffer_deinit(&text);
    return result;
}

void wire_token_warn(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_mode & (S_IROTH | S_IWOTH))
        log_write(LOG_WARNING, "%s: others on this machine may %s the token; 'chmod 600 %s' keeps it to you", path,
                  status.st_mode & S_IROTH ? "read" : "replace", path);
}
