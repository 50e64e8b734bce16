/* Checks everything that a sweep needs, one line each; what is amiss comes with its mend. */
#include "source.h"

#include "format.h"

#include "sweepd/data.h"
#include "sweepd/store.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TEXT_COLUMN = 16 };

typedef enum { CHECK_OK, CHECK_FAIL } CheckResult;

typedef struct Doctor {
    char home[PATH_TEXT_MAX];
    bool daemon; /* one serves the home; set by check_socket, used by what follows it */
} Doctor;

/* Each writes what it found to text, and on failure how to mend it. */
typedef CheckResult (*Check)(Doctor *doctor, char text[ERROR_TEXT_MAX]);

static const double disk_wanted_bytes = 1e9;

__attribute__((format(printf, 3, 4))) static CheckResult say(CheckResult result, char text[ERROR_TEXT_MAX], const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(text, ERROR_TEXT_MAX, format, values);
    va_end(values);
    return result;
}

static CheckResult check_programs(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    static const char *const names[] = {"sweepd", "sweep-worker"};
    char paths[2][PATH_TEXT_MAX];
    Error error = {0};
    (void)doctor;
    for (size_t i = 0; i < 2; i++)
        if (path_program(names[i], paths[i], &error) < 0 || access(paths[i], X_OK) != 0)
            return say(CHECK_FAIL, text, "%s is not found; install it beside sweepctl or name its folder in SWEEPD_BIN_DIR", names[i]);
    return say(CHECK_OK, text, "%.500s, %.500s", paths[0], paths[1]);
}

static bool found_on_path(const char *name, char out[PATH_TEXT_MAX]) {
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t length = strcspn(path, ":");
        if (length < PATH_TEXT_MAX && path_format(out, NULL, "%.*s/%s", (int)length, path, name) == 0 && access(out, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static CheckResult check_gnuplot(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char path[PATH_TEXT_MAX];
    (void)doctor;
    if (!found_on_path("gnuplot", path))
        return say(CHECK_FAIL, text, "gnuplot is not on PATH, so no figures can be drawn; install the package gnuplot-nox");
    return say(CHECK_OK, text, "%.500s", path);
}

static CheckResult check_data(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX];
    Error error = {0};
    (void)doctor;
    if (dataset_own_files("fashion-mnist", paths, &error))
        return say(CHECK_FAIL, text, "%s", error.text);
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        if (access(paths[i], R_OK) != 0)
            return say(CHECK_FAIL, text, "%.500s cannot be read; give the right to it, or copy it", paths[i]);
    return say(CHECK_OK, text, "fashion-mnist in %.*s", (int)(strrchr(paths[0], '/') - paths[0]), paths[0]);
}

/* The nearest folder that exists: a home that is not there yet is made when it is needed. */
static void existing_parent(const char *path, char out[PATH_TEXT_MAX]) {
    text_copy(out, PATH_TEXT_MAX, path);
    while (access(out, F_OK) != 0) {
        char *slash = strrchr(out, '/');
        if (!slash || slash == out) {
            text_copy(out, PATH_TEXT_MAX, "/");
            return;
        }
        *slash = '\0';
    }
}

static CheckResult check_home(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char folder[PATH_TEXT_MAX];
    existing_parent(doctor->home, folder);
    if (access(folder, W_OK | X_OK) != 0)
        return say(CHECK_FAIL, text, "%.400s cannot be written; choose another home with --home or SWEEPD_HOME", folder);
    return say(CHECK_OK, text, "%.400s%s", doctor->home, strcmp(folder, doctor->home) != 0 ? " (not there yet)" : "");
}

static CheckResult check_socket(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char path[PATH_TEXT_MAX];
    Source *source = NULL;
    Error error = {0};
    if (wire_socket_path(doctor->home, path, &error) < 0)
        return say(CHECK_FAIL, text, "%.500s; choose a home with a shorter path", error.text);
    int result = source_open_quietly(&source, doctor->home, SOURCE_DAEMON, &error);
    doctor->daemon = result == 0;
    source_free(source);
    if (result != 0 && result != CLI_NO_DAEMON)
        return say(CHECK_FAIL, text, "%.500s; see %.300s/sweepd.log", error.text, doctor->home);
    return say(CHECK_OK, text, doctor->daemon ? "a daemon answers on %.400s" : "no daemon is running (socket would be %.400s)", path);
}

static CheckResult check_disk(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char folder[PATH_TEXT_MAX], free_text[FORMAT_MAX];
    struct statvfs disk;
    existing_parent(doctor->home, folder);
    if (statvfs(folder, &disk) != 0)
        return say(CHECK_FAIL, text, "cannot tell how much space %.400s has", folder);
    double bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    format_scaled(bytes, "B", free_text);
    if (bytes < disk_wanted_bytes)
        return say(CHECK_FAIL, text, "only %s free on %.400s; make room, or choose another home", free_text, folder);
    return say(CHECK_OK, text, "%s free", free_text);
}

static CheckResult check_machine(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    Machine machine;
    char memory[FORMAT_MAX], devices[GPUS_TEXT_MAX], gpus[GPUS_TEXT_MAX + 16] = "no GPU";
    (void)doctor;
    machine_read(&machine);
    if (machine.gpus)
        snprintf(gpus, sizeof gpus, "%lld GPU%s (%s)", (long long)gpus_count(machine.gpus), gpus_count(machine.gpus) == 1 ? "" : "s",
                 gpus_text(machine.gpus, devices));
    return say(CHECK_OK, text, "%d core%s, %s, %s of memory, %s", machine.cores, machine.cores == 1 ? "" : "s", gpus,
               format_scaled(machine.memory_bytes, "B", memory), machine.cpu);
}

/* 0 when sound; else `finding` says what is wrong first. */
static int look_over(const char *home, char finding[ERROR_TEXT_MAX]) {
    Store *store = NULL;
    Buffer problems;
    Error error = {0};
    buffer_init(&problems, 1 << 20);
    int result = store_open(&store, home, STORE_READ_ONLY, &error);
    if (!result)
        result = store_check(store, &problems, &error);
    if (!result && problems.size) {
        text_copy(finding, ERROR_TEXT_MAX, problems.data);
        finding[strcspn(finding, "\n")] = '\0';
        result = 1;
    } else if (result) {
        text_copy(finding, ERROR_TEXT_MAX, error.text);
    }
    store_free(store);
    buffer_deinit(&problems);
    return result;
}

static CheckResult check_database(Doctor *doctor, char text[ERROR_TEXT_MAX]) {
    char path[PATH_TEXT_MAX], finding[ERROR_TEXT_MAX] = "";
    if (path_format(path, NULL, "%s/sweepd.db", doctor->home) < 0 || !file_exists(path))
        return say(CHECK_OK, text, "none yet");
    if (doctor->daemon)
        return say(CHECK_OK, text, "in use by the daemon; stop it to have the file checked");
    if (look_over(doctor->home, finding))
        return say(CHECK_FAIL, text, "%.300s: %.400s; restore a copy, or save what is left with the sqlite3 program's .recover", path,
                   finding);
    return say(CHECK_OK, text, "%.500s is sound", path);
}

int verb_doctor(const Cli *cli, const Arguments *arguments, Error *error) {
    static const struct {
        const char *name;
        Check check;
    } checks[] = {
        {"programs", check_programs}, {"gnuplot", check_gnuplot}, {"data", check_data},       {"home", check_home},
        {"daemon", check_socket},     {"disk", check_disk},       {"machine", check_machine}, {"database", check_database},
    };
    Doctor doctor = {0};
    int failures = 0;
    (void)arguments;
    if (cli_home(cli, doctor.home, error) < 0)
        return -1;
    printf("sweepctl %s (%s)\n", version_text(), version_commit());
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        char text[ERROR_TEXT_MAX];
        bool failed = checks[i].check(&doctor, text) == CHECK_FAIL;
        const char *color = !cli->color ? "" : failed ? "\033[31m" : "\033[32m";
        printf("%s%-4s%s  %-9s ", color, failed ? "fail" : "ok", cli->color ? "\033[0m" : "", checks[i].name);
        cli_print_wrapped(stdout, text, (size_t)cli->width, TEXT_COLUMN, TEXT_COLUMN);
        failures += failed;
    }
    if (failures)
        error_set(error, "%d check%s failed", failures, failures == 1 ? "" : "s");
    return failures ? CLI_FAILED : CLI_OK;
}
