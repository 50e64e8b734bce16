/* What an external program is started with: its arguments, with what their placeholders stand for, and its environment. */
#include "external.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { SETTINGS_MAX = 12, ENVIRONMENT_TEXT_MAX = PATH_TEXT_MAX + 32 };

/* ---- its arguments ---- */

typedef struct Place {
    const External *external;
    const char *directory;
} Place;

static bool place_value(void *context, const char *name, Buffer *out) {
    const Place *place = context;
    const External *external = place->external;
    char gpus[GPUS_TEXT_MAX];
    if (!strcmp(name, "spec"))
        buffer_printf(out, "%s/spec.json", place->directory);
    else if (!strcmp(name, "run_dir"))
        buffer_append_text(out, place->directory);
    else if (!strcmp(name, "data"))
        buffer_append_text(out, external->data_path);
    else if (!strcmp(name, "threads"))
        buffer_printf(out, "%lld", (long long)external->base.environment.threads);
    else if (!strcmp(name, "gpus"))
        buffer_append_text(out, gpus_text(external->gpus, gpus));
    else if (!strcmp(name, "steps"))
        buffer_printf(out, "%lld", (long long)external->base.steps);
    else
        return run_append_setting(&external->base.run, name, out);
    return true;
}

static int arguments_fill(Place *place, json_t *list, char **out, Error *error) {
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item) {
        char reason[256];
        Buffer text;
        buffer_init(&text, 16 * PATH_TEXT_MAX);
        int result = command_expand(json_string_value(item), place_value, place, &text, reason, sizeof reason);
        if (result)
            error_set(error, "trainer.command[%zu]: %s", index, reason);
        else if (buffer_check(&text, error, "an argument") < 0 || !(out[index] = text_duplicate(text.data ? text.data : "", error)))
            result = -1;
        buffer_deinit(&text);
        if (result)
            return result < 0 ? -1 : TRAIN_REFUSED;
    }
    return 0;
}

static int arguments_make(Place *place, char ***out, Error *error) {
    const char *command = place->external->base.run.program.command;
    json_t *list = json_loads(command, 0, NULL);
    *out = calloc(PROGRAM_ARGUMENTS_MAX + 1, sizeof **out);
    int result = !*out ? error_set_memory(error, "no memory for a command") : 0;
    if (!result && (json_array_size(list) < 1 || json_array_size(list) > PROGRAM_ARGUMENTS_MAX))
        result = train_refuse(error, "trainer.command: found no list of arguments");
    if (!result)
        result = arguments_fill(place, list, *out, error);
    json_decref(list);
    return result;
}

/* ---- its environment ---- */

typedef struct Settings {
    char texts[SETTINGS_MAX][ENVIRONMENT_TEXT_MAX];
    size_t count;
} Settings;

static void setting_add(Settings *settings, const char *name, const char *value) {
    snprintf(settings->texts[settings->count++], ENVIRONMENT_TEXT_MAX, "%s=%s", name, value);
}

static bool is_replaced(const Settings *settings, const char *variable) {
    for (size_t i = 0; i < settings->count; i++) {
        size_t size = strcspn(settings->texts[i], "=") + 1;
        if (!strncmp(settings->texts[i], variable, size))
            return true;
    }
    return false;
}

/* The numbers are those of nvidia-smi, by place on the bus; left to itself, CUDA counts from the fastest. A run that was given none sees
 * none: the others of the machine may have them. */
static void settings_add_gpus(GpuSet gpus, Settings *out) {
    char numbers[GPUS_TEXT_MAX], visible[GPUS_VISIBLE_MAX];
    setting_add(out, "SWEEPD_GPUS", gpus_text(gpus, numbers));
    setting_add(out, "CUDA_VISIBLE_DEVICES", gpus_visible(gpus, visible));
    if (gpus && !getenv("CUDA_DEVICE_ORDER"))
        setting_add(out, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
}

static void settings_make(const External *external, const char *directory, Settings *out) {
    static const char *const threads[] = {"SWEEPD_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};
    char text[PATH_TEXT_MAX + 16];
    snprintf(text, sizeof text, "%s/spec.json", directory);
    setting_add(out, "SWEEPD_SPEC", text);
    setting_add(out, "SWEEPD_RUN_DIR", directory);
    setting_add(out, "SWEEPD_DATA", external->data_path);
    snprintf(text, sizeof text, "%lld", (long long)external->resumed);
    setting_add(out, "SWEEPD_STEP", text);
    snprintf(text, sizeof text, "%lld", (long long)external->base.environment.threads);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        setting_add(out, threads[i], text);
    settings_add_gpus(external->gpus, out);
}

/* This process's own, but for the settings. */
static char **environment_make(Settings *settings) {
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **list = calloc(count + SETTINGS_MAX + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        if (!is_replaced(settings, environ[i]))
            list[kept++] = environ[i];
    for (size_t i = 0; list && i < settings->count; i++)
        list[kept++] = settings->texts[i];
    return list;
}

int external_call_init(ExternalCall *out, const External *external, const char *directory, Error *error) {
    Place place = {external, directory};
    *out = (ExternalCall){0};
    int result = arguments_make(&place, &out->arguments, error);
    if (result)
        return result;
    Settings *settings = out->settings = calloc(1, sizeof *settings);
    if (settings) {
        settings_make(external, directory, settings);
        out->environment = environment_make(settings);
    }
    return out->environment ? 0 : error_set_memory(error, "no memory for an environment");
}

void external_call_deinit(ExternalCall *call) {
    for (size_t i = 0; call->arguments && call->arguments[i]; i++)
        free(call->arguments[i]);
    free(call->arguments);
    free(call->environment);
    free(call->settings);
}
