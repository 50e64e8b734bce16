#include "sweepd/base.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int path_format(char out[PATH_TEXT_MAX], Error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(out, PATH_TEXT_MAX, format, arguments);
    va_end(arguments);
    if (size < 0 || size >= PATH_TEXT_MAX)
        return error_set(error, "a path is longer than %d bytes: %.64s...", PATH_TEXT_MAX - 1, out);
    return 0;
}

static bool path_is_program(const char *path) {
    return access(path, X_OK) == 0;
}

static int path_search(const char *name, char out[PATH_TEXT_MAX], Error *error) {
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t size = strcspn(at, ":");
        if (size && !path_format(out, error, "%.*s/%s", (int)size, at, name) && path_is_program(out))
            return 0;
        at += size + (at[size] == ':');
    }
    return error_set(error, "the program %s is not beside this one and not on PATH; reinstall, or set SWEEPD_BIN_DIR", name);
}

int path_program(const char *name, char out[PATH_TEXT_MAX], Error *error) {
    const char *directory = getenv("SWEEPD_BIN_DIR");
    if (directory && *directory) {
        if (path_format(out, error, "%s/%s", directory, name))
            return -1;
        return path_is_program(out) ? 0 : error_set(error, "SWEEPD_BIN_DIR names %s, which holds no program %s", directory, name);
    }
    char self[PATH_TEXT_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size > 0) {
        self[size] = '\0';
        char *slash = strrchr(self, '/');
        if (slash && !path_format(out, error, "%.*s/%s", (int)(slash - self), self, name) && path_is_program(out))
            return 0;
    }
    return path_search(name, out, error);
}

static int path_absolute(const char *path, char out[PATH_TEXT_MAX], Error *error) {
    char current[PATH_TEXT_MAX];
    if (*path == '/')
        return path_format(out, error, "%s", path);
    if (!getcwd(current, sizeof current))
        return error_set(error, "the current directory has no name");
    return path_format(out, error, "%s/%s", current, path);
}

int path_home(const char *home, char out[PATH_TEXT_MAX], Error *error) {
    const char *chosen = home && *home ? home : getenv("SWEEPD_HOME");
    if (chosen && *chosen)
        return path_absolute(chosen, out, error);
    const char *data = getenv("XDG_DATA_HOME");
    if (data && *data == '/')
        return path_format(out, error, "%s/sweepd", data);
    const char *user = getenv("HOME");
    if (!user || *user != '/') {
        struct passwd *entry = getpwuid(getuid());
        user = entry ? entry->pw_dir : NULL;
    }
    if (!user)
        return error_set(error, "no home directory is known; give --home DIR or set SWEEPD_HOME");
    return path_format(out, error, "%s/.local/share/sweepd", user);
}
