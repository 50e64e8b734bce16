/* Data sets on this machine: what can be fetched, what is packed. */
#include "data.h"
#include "format.h"
#include "table.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#define FETCHED ".fetched"

enum { SHOWN_CLASSES = 20, JSON_MAX = 1 << 26 };

static int data_folder(const Cli *cli, char out[PATH_TEXT_MAX], Error *error) {
    char home[PATH_TEXT_MAX];
    return cli_home(cli, home, error) ? -1 : path_format(out, error, "%s/data", home);
}

int data_folder_make(const char *path, Error *error) {
    char folder[PATH_TEXT_MAX];
    text_copy(folder, sizeof folder, path);
    *strrchr(folder, '/') = '\0';
    return directory_make(folder, 0755, error);
}

int data_pack_path(const Cli *cli, const char *text, char out[PATH_TEXT_MAX], Error *error) {
    char folder[PATH_TEXT_MAX];
    size_t size = strlen(text), ending = strlen(".pack");
    if (strchr(text, '/'))
        return path_format(out, error, "%s", text);
    bool has_ending = size > ending && !strcmp(text + size - ending, ".pack");
    return data_folder(cli, folder, error) ? -1 : path_format(out, error, "%s/%s%s", folder, text, has_ending ? "" : ".pack");
}

int data_download_path(const Cli *cli, const char *name, char out[PATH_TEXT_MAX], Error *error) {
    char folder[PATH_TEXT_MAX];
    const DownloadSource *known = download_source_find(name);
    if (data_folder(cli, folder, error))
        return -1;
    return path_format(out, error, "%s/downloads/%s%s", folder, known ? known->file : name, known ? "" : FETCHED);
}

/* The packs of the home; globfree. */
static int packs_find(const Cli *cli, glob_t *out, Error *error) {
    char folder[PATH_TEXT_MAX], pattern[PATH_TEXT_MAX];
    *out = (glob_t){0};
    if (data_folder(cli, folder, error) || path_format(pattern, error, "%s/*.pack", folder))
        return -1;
    int result = glob(pattern, 0, NULL, out);
    return result && result != GLOB_NOMATCH ? error_set(error, "cannot read %s", folder) : 0;
}

void data_info_json(const DataInfo *info, const char *path, Buffer *out) {
    buffer_append_text(out, "{\"name\":");
    buffer_append_json(out, info->name);
    buffer_append_text(out, ",\"file\":");
    buffer_append_json(out, path);
    buffer_printf(out, ",\"digest\":\"%s\",\"channels\":%lld,\"height\":%lld,\"width\":%lld,\"classes\":%lld,\"examples\":%lld,",
                  info->digest, (long long)info->channels, (long long)info->height, (long long)info->width, (long long)info->classes,
                  (long long)info->train_count);
    buffer_printf(out, "\"test_examples\":%lld,\"mean\":[", (long long)info->test_count);
    for (int64_t i = 0; i < 2 * info->channels; i++) {
        int64_t c = i % info->channels;
        buffer_append_text(out, i == info->channels ? "],\"deviation\":[" : i ? "," : "");
        buffer_append_double(out, (double)(i < info->channels ? info->mean[c] : info->deviation[c]));
    }
    buffer_append_text(out, "]");
}

/* What was fetched under a name that the program does not know. */
typedef struct Fetched {
    const char *name; /* not ended */
    int name_size;
    bool is_whole;
    int64_t bytes;
} Fetched;

static Fetched fetched_at(const glob_t *found, size_t index) {
    struct stat status;
    const char *path = found->gl_pathv[index], *name = strrchr(path, '/') + 1;
    size_t size = strlen(name), part = strlen(".part");
    bool is_whole = size < part || strcmp(name + size - part, ".part") != 0;
    size -= (is_whole ? 0 : part) + strlen(FETCHED);
    return (Fetched){name, (int)size, is_whole, stat(path, &status) ? 0 : status.st_size};
}

/* Also in part; globfree. */
static int fetched_find(const Cli *cli, glob_t *out, Error *error) {
    char folder[PATH_TEXT_MAX], pattern[PATH_TEXT_MAX];
    *out = (glob_t){0};
    for (int i = 0; i < 2; i++) {
        if (data_folder(cli, folder, error) || path_format(pattern, error, "%s/downloads/*" FETCHED "%s", folder, i ? ".part" : ""))
            return -1;
        int result = glob(pattern, i ? GLOB_APPEND : 0, NULL, out);
        if (result && result != GLOB_NOMATCH)
            return error_set(error, "cannot read %s", folder);
    }
    return 0;
}

/* ---- list ---- */

static void fetched_json(const glob_t *fetched, Buffer *out) {
    for (size_t i = 0; i < fetched->gl_pathc; i++) {
        Fetched one = fetched_at(fetched, i);
        char name[PATH_TEXT_MAX];
        snprintf(name, sizeof name, "%.*s", one.name_size, one.name);
        buffer_append_text(out, i ? ",{\"name\":" : "{\"name\":");
        buffer_append_json(out, name);
        buffer_append_text(out, ",\"file\":");
        buffer_append_json(out, fetched->gl_pathv[i]);
        buffer_printf(out, ",\"bytes\":%lld,\"whole\":%s}", (long long)one.bytes, one.is_whole ? "true" : "false");
    }
}

static void list_json(const glob_t *packs, const glob_t *fetched, Buffer *out) {
    const char *comma = "";
    buffer_append_text(out, "{\"schema_version\":1,\"known\":[");
    for (size_t i = 0; download_source_at(i); i++) {
        const DownloadSource *source = download_source_at(i);
        buffer_printf(out, "%s{\"name\":\"%s\",\"url\":\"%s\",\"md5\":\"%s\",\"bytes\":%lld}", i ? "," : "", source->name, source->url,
                      source->md5, (long long)source->bytes);
    }
    buffer_append_text(out, "],\"fetched\":[");
    fetched_json(fetched, out);
    buffer_append_text(out, "],\"packs\":[");
    for (size_t i = 0; i < packs->gl_pathc; i++) {
        DataInfo info;
        Error ignored;
        if (dataset_header_read(packs->gl_pathv[i], &info, &ignored))
            continue;
        buffer_append_text(out, comma);
        data_info_json(&info, packs->gl_pathv[i], out);
        buffer_append_text(out, "}");
        comma = ",";
    }
    buffer_append_text(out, "]}\n");
}

static int list_packs(const Cli *cli, const glob_t *packs, Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Pack", TABLE_LEFT, 0);
    table_column(table, "Shape", TABLE_LEFT, 1);
    table_column(table, "Classes", TABLE_RIGHT, 1);
    table_column(table, "Training", TABLE_RIGHT, 0);
    table_column(table, "Test", TABLE_RIGHT, 0);
    table_column(table, "File", TABLE_LEFT | TABLE_CUT, 2);
    for (size_t i = 0; i < packs->gl_pathc; i++) {
        DataInfo info;
        Error problem = {0};
        if (dataset_header_read(packs->gl_pathv[i], &info, &problem)) {
            cli_note("%s", problem.text);
            continue;
        }
        table_cell(table, "%s", info.name);
        table_cell(table, "%lld x %lld x %lld", (long long)info.width, (long long)info.height, (long long)info.channels);
        table_cell(table, "%s", format_count(info.classes, text));
        table_cell(table, "%s", format_count(info.train_count, text));
        table_cell(table, "%s", format_count(info.test_count, text));
        table_cell(table, "%s", packs->gl_pathv[i]);
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static int list_sources(const Cli *cli, const glob_t *fetched, Error *error) {
    Table *table;
    char text[FORMAT_MAX], path[PATH_TEXT_MAX], part[PATH_TEXT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "To fetch", TABLE_LEFT, 0);
    table_column(table, "Size", TABLE_RIGHT, 0);
    table_column(table, "State", TABLE_LEFT, 0);
    table_column(table, "From", TABLE_LEFT | TABLE_CUT, 1);
    for (size_t i = 0; download_source_at(i); i++) {
        const DownloadSource *source = download_source_at(i);
        if (data_download_path(cli, source->name, path, error) || path_format(part, error, "%s.part", path)) {
            table_free(table);
            return -1;
        }
        table_cell(table, "%s", source->name);
        table_cell(table, "%s", format_scaled((double)source->bytes, "B", text));
        table_cell(table, "%s", file_exists(path) ? "fetched" : file_exists(part) ? "in part" : "");
        table_cell(table, "%s", source->url);
    }
    for (size_t i = 0; i < fetched->gl_pathc; i++) {
        Fetched one = fetched_at(fetched, i);
        table_cell(table, "%.*s", one.name_size, one.name);
        table_cell(table, "%s", format_scaled((double)one.bytes, "B", text));
        table_cell(table, "%s", one.is_whole ? "fetched" : "in part");
        table_cell(table, "%s", "");
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static int data_list(const Cli *cli, bool json, Error *error) {
    glob_t packs, fetched = {0};
    Buffer out;
    int result = packs_find(cli, &packs, error);
    if (!result)
        result = fetched_find(cli, &fetched, error);
    buffer_init(&out, JSON_MAX);
    if (!result && json) {
        list_json(&packs, &fetched, &out);
        result = cli_print(&out, error);
    } else if (!result) {
        result = packs.gl_pathc ? list_packs(cli, &packs, error) : 0;
        printf(packs.gl_pathc ? "\n" : "No packs yet.\n\n");
        if (!result)
            result = list_sources(cli, &fetched, error);
    }
    buffer_deinit(&out);
    globfree(&fetched);
    globfree(&packs);
    return result;
}

/* ---- show, verify ---- */

static void show_json(const DatasetMap *data, const char *path, Buffer *out) {
    const DataInfo *info = dataset_info(data);
    buffer_append_text(out, "{\"schema_version\":1,\"pack\":");
    data_info_json(info, path, out);
    buffer_append_text(out, ",\"class_names\":[");
    for (int64_t i = 0; i < info->classes && *dataset_class_name(data, 0); i++) {
        buffer_append_text(out, i ? "," : "");
        buffer_append_json(out, dataset_class_name(data, i));
    }
    buffer_append_text(out, "]}}\n");
}

static void show_text(const Cli *cli, const DatasetMap *data, const char *path) {
    const DataInfo *info = dataset_info(data);
    printf("%s\n", info->name);
    cli_say_row(cli, "file", "%s", path);
    cli_say_row(cli, "digest", "%s", info->digest);
    cli_say_row(cli, "images", "%lld x %lld, %lld channel%s", (long long)info->width, (long long)info->height, (long long)info->channels,
                info->channels == 1 ? "" : "s");
    cli_say_row(cli, "examples", "%lld to train on, %lld to test on", (long long)info->train_count, (long long)info->test_count);
    for (int64_t c = 0; c < info->channels; c++)
        cli_say_row(cli, c ? "" : "scale", "mean %.4f, deviation %.4f", (double)info->mean[c], (double)info->deviation[c]);
    Buffer names;
    buffer_init(&names, 1 << 16);
    for (int64_t i = 0; i < info->classes && i < SHOWN_CLASSES && *dataset_class_name(data, 0); i++)
        buffer_printf(&names, "%s%s", i ? ", " : ": ", dataset_class_name(data, i));
    cli_say_row(cli, "classes", "%lld%s%s", (long long)info->classes, names.data ? names.data : "",
                names.data && info->classes > SHOWN_CLASSES ? ", ..." : "");
    buffer_deinit(&names);
}

static int data_show(const Cli *cli, const Arguments *arguments, Error *error) {
    char path[PATH_TEXT_MAX];
    DatasetMap *data;
    Buffer out;
    if (arguments->more_count != 1)
        return cli_usage(error, "data show needs a NAME or a FILE");
    if (data_pack_path(cli, arguments->more[0], path, error))
        return -1;
    int result = dataset_map(&data, path, false, error);
    if (result)
        return result == DATA_REFUSED ? CLI_FAILED : result;
    buffer_init(&out, JSON_MAX);
    if (arguments_flag(arguments, "json")) {
        show_json(data, path, &out);
        result = cli_print(&out, error);
    } else {
        show_text(cli, data, path);
    }
    buffer_deinit(&out);
    dataset_free(data);
    return result;
}

/* 0, or DATA_REFUSED or -1 with the error. json: NULL for a line of text when it is good; the error is the caller's to tell. */
static int verify_one(const char *path, Buffer *json, Error *error) {
    DatasetMap *data;
    char plain[PATH_TEXT_MAX];
    int result = dataset_map(&data, path, true, error);
    text_copy_plain(plain, sizeof plain, path);
    if (!json && !result)
        printf("ok    %s: %s, digest %s\n", plain, dataset_info(data)->name, dataset_info(data)->digest);
    if (json) {
        buffer_append_text(json, json->size ? ",{\"file\":" : "{\"file\":");
        buffer_append_json(json, path);
        buffer_append_text(json, result ? ",\"ok\":false,\"problem\":" : ",\"ok\":true,\"digest\":");
        buffer_append_json(json, result ? error->text : dataset_info(data)->digest);
        buffer_append_text(json, "}");
    }
    if (!result)
        dataset_free(data);
    return result;
}

static int verify_all(const Cli *cli, Buffer *json, Error *error) {
    glob_t packs = {0};
    int failed = 0, result = packs_find(cli, &packs, error);
    for (size_t i = 0; i < packs.gl_pathc && !result; i++) {
        Error problem = {0};
        if (!verify_one(packs.gl_pathv[i], json, &problem))
            continue;
        cli_note("%s", problem.text);
        failed++;
    }
    if (!result && failed)
        error_set(error, "%d of %zu packs cannot be used", failed, packs.gl_pathc);
    globfree(&packs);
    return result ? result : failed ? CLI_FAILED : CLI_OK;
}

static int verify_named(const Cli *cli, const char *name, Buffer *json, Error *error) {
    char path[PATH_TEXT_MAX];
    if (data_pack_path(cli, name, path, error))
        return -1;
    int result = verify_one(path, json, error);
    return result == DATA_REFUSED ? CLI_FAILED : result;
}

/* The JSON has the packs that are bad, too, so it comes whatever the result. */
static int data_verify(const Cli *cli, const Arguments *arguments, Error *error) {
    Buffer packs, out;
    bool json = arguments_flag(arguments, "json");
    if (arguments->more_count > 1)
        return cli_usage(error, "data verify takes one NAME or FILE, or none for all packs of the home");
    buffer_init(&packs, JSON_MAX);
    buffer_init(&out, JSON_MAX);
    int result = arguments->more_count ? verify_named(cli, arguments->more[0], json ? &packs : NULL, error)
                                       : verify_all(cli, json ? &packs : NULL, error);
    if (json) {
        buffer_printf(&out, "{\"schema_version\":1,\"packs\":[%s]}\n", packs.data ? packs.data : "");
        int printed = cli_print(&out, result ? NULL : error);
        result = result ? result : printed;
    }
    buffer_deinit(&packs);
    buffer_deinit(&out);
    return result;
}

int verb_data(const Cli *cli, const Arguments *arguments, Error *error) {
    const char *action = arguments->positional;
    if (!strcmp(action, "fetch"))
        return data_fetch(cli, arguments, error);
    if (!strcmp(action, "pack"))
        return data_pack(cli, arguments, error);
    if (!strcmp(action, "show"))
        return data_show(cli, arguments, error);
    if (!strcmp(action, "verify"))
        return data_verify(cli, arguments, error);
    if (arguments->more_count)
        return cli_usage(error, "data list takes no further argument");
    return data_list(cli, arguments_flag(arguments, "json"), error);
}
