/* `sweepctl data fetch` and `pack`: the two that take their time, and can be interrupted. */
#include "data.h"
#include "format.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double draw_seconds = 0.2;

enum { SKIPS_SHOWN = 20, MD5_DIGITS = 32 };

void meter_init(Meter *meter, const char *verb, const char *unit) {
    *meter = (Meter){.verb = verb, .unit = unit, .shown = isatty(STDERR_FILENO) == 1};
}

void meter_update(void *context, int64_t done, int64_t total) {
    Meter *meter = context;
    char text[FORMAT_MAX], all[FORMAT_MAX], rate[FORMAT_MAX], left[FORMAT_MAX];
    double now = clock_monotonic();
    if (meter->start == 0) {
        meter->start = now;
        meter->first = done;
    }
    if (!meter->shown || (now - meter->drawn < draw_seconds && done < total))
        return;
    meter->drawn = now;
    double seconds = now - meter->start, speed = seconds > 0 ? (double)(done - meter->first) / seconds : 0;
    fprintf(stderr, "\r\033[K%s %s", meter->verb, format_scaled((double)done, meter->unit, text));
    if (total)
        fprintf(stderr, " of %s", format_scaled((double)total, meter->unit, all));
    if (speed > 0)
        fprintf(stderr, ", %s/s", format_scaled(speed, meter->unit, rate));
    if (speed > 0 && total > done)
        fprintf(stderr, ", %s left", format_left((double)(total - done) / speed, left));
    fflush(stderr);
}

void meter_end(Meter *meter) {
    if (meter->shown && meter->drawn > 0)
        fputs("\r\033[K", stderr);
}

static bool stop_asked(void *context) {
    (void)context;
    return interrupt_seen();
}

/* ---- fetch ---- */

static int name_usage(Error *error, const char *name) {
    return cli_usage(error, "'%.80s' is no name for a data set: at most 63 letters, digits, '-', '_' and '.', the first a letter or digit",
                     name);
}

/* The option's value, else *out stays. What is no checksum must not cost a download that is then removed. */
static int fetch_checksum(const Arguments *arguments, const char *option, size_t digits, const char **out, Error *error) {
    const char *given = arguments_text(arguments, option, NULL);
    if (!given)
        return 0;
    *out = given;
    if (strlen(given) == digits && strspn(given, "0123456789abcdefABCDEF") == digits)
        return 0;
    return cli_usage(error, "--%s %.80s: %zu hexadecimal digits are wanted", option, given, digits);
}

/* The known set of that name, or one that the options describe. */
static int fetch_source(const Arguments *arguments, DownloadSource *out, const char **sha256, Error *error) {
    const char *name = arguments->more[0], *url = arguments_text(arguments, "url", NULL);
    const DownloadSource *known = download_source_find(name);
    *out = known ? *known : (DownloadSource){.name = name, .title = name};
    if (!known && !url) {
        Buffer names;
        buffer_init(&names, ERROR_TEXT_MAX);
        for (size_t i = 0; download_source_at(i); i++)
            buffer_printf(&names, "%s%s", i ? ", " : "", download_source_at(i)->name);
        cli_usage(error, "no data set is known as '%s'; known are %s; others need --url", name, names.data ? names.data : "");
        buffer_deinit(&names);
        return CLI_USAGE;
    }
    if (url)
        out->url = url;
    if (!known && !dataset_name_is_plain(name, strlen(name)))
        return name_usage(error, name);
    int result = fetch_checksum(arguments, "md5", MD5_DIGITS, &out->md5, error);
    return result ? result : fetch_checksum(arguments, "sha256", SHA256_HEX_MAX - 1, sha256, error);
}

static int fetched_print(const char *path, bool json, Error *error) {
    Buffer out;
    buffer_init(&out, 2 * PATH_TEXT_MAX);
    buffer_append_text(&out, json ? "{\"schema_version\":1,\"file\":" : path);
    if (json)
        buffer_append_json(&out, path);
    buffer_append_text(&out, json ? "}\n" : "\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

int data_fetch(const Cli *cli, const Arguments *arguments, Error *error) {
    char path[PATH_TEXT_MAX];
    const char *sha256 = NULL;
    DownloadSource source;
    Meter meter;
    if (arguments->more_count != 1)
        return cli_usage(error, "data fetch needs one NAME; 'sweepctl data list' shows them");
    int result = fetch_source(arguments, &source, &sha256, error);
    if (result)
        return result;
    if (data_download_path(cli, source.name, path, error) || data_folder_make(path, error))
        return -1;
    meter_init(&meter, "fetched", "B");
    interrupt_catch();
    DownloadOptions options = {
        .md5 = source.md5, .sha256 = sha256, .on_progress = meter_update, .should_stop = stop_asked, .context = &meter};
    if (!options.md5 && !options.sha256)
        cli_note("no checksum is known for %s; --md5 or --sha256 states one", source.name);
    result = download_file(source.url, path, &options, error);
    meter_end(&meter);
    if (result == DATA_STOPPED) {
        cli_note("stopped; the same command goes on from %s.part", path);
        return CLI_INTERRUPTED;
    }
    if (!result)
        result = fetched_print(path, arguments_flag(arguments, "json"), error);
    return result == DATA_REFUSED ? CLI_FAILED : result;
}

/* ---- pack ---- */

/* What stands there, else what was fetched under the name. */
static int pack_source(const Cli *cli, const char *text, char out[PATH_TEXT_MAX], Error *error) {
    const DownloadSource *known = download_source_find(text);
    bool is_name = known || dataset_name_is_plain(text, strlen(text));
    if (file_exists(text) || !is_name)
        return path_format(out, error, "%s", text);
    if (data_download_path(cli, text, out, error))
        return -1;
    if (file_exists(out))
        return 0;
    if (!known) {
        error_set(error, "%s is not there, and nothing was fetched under that name", text);
        return CLI_FAILED;
    }
    error_set(error, "%s is not there; 'sweepctl data fetch %s' brings it", out, known->name);
    return CLI_FAILED;
}

/* "dir/x.pack" is x. */
static int pack_name(const Arguments *arguments, char out[64], Error *error) {
    const char *given = arguments_text(arguments, "name", NULL), *base = strrchr(arguments->more[1], '/');
    const char *name = given ? given : base ? base + 1 : arguments->more[1];
    size_t size = strlen(name), ending = strlen(".pack");
    if (!given && size > ending && !strcmp(name + size - ending, ".pack"))
        size -= ending;
    if (!dataset_name_is_plain(name, size))
        return name_usage(error, name);
    memcpy(out, name, size);
    out[size] = '\0';
    return 0;
}

static const char *class_read(const char *at, int64_t *out) {
    char *end;
    *out = *at >= '0' && *at <= '9' ? (int64_t)strtoull(at, &end, 10) : -1;
    return *out >= 0 && *out < DATA_CLASSES_MAX ? end : NULL;
}

/* "0-4,7". */
static int pack_classes(const char *text, bool classes[DATA_CLASSES_MAX], Error *error) {
    for (const char *at = text; at; at++) {
        int64_t first, last;
        at = class_read(at, &first);
        last = first;
        if (at && *at == '-')
            at = class_read(at + 1, &last);
        if (!at || last < first || (*at && *at != ','))
            break;
        for (int64_t i = first; i <= last; i++)
            classes[i] = true;
        if (!*at)
            return 0;
    }
    return cli_usage(error, "--classes %.80s: a list of classes from 0 to %d is wanted, as in 0-4,7", text, DATA_CLASSES_MAX - 1);
}

static void left_append(const PackReport *report, Buffer *out) {
    for (size_t i = 0; i < report->left_count; i++)
        buffer_printf(out, "%s%lld %s", i ? ", " : "", (long long)report->left[i].count, report->left[i].ending);
}

static void classes_print(const PackClasses *classes, const char *one, const char *more, const char *what) {
    if (classes->count)
        cli_note("%lld %s %s, the first %s", (long long)classes->count, classes->count == 1 ? one : more, what, classes->first);
}

static void left_print(const PackReport *report) {
    long long files = 0;
    Buffer text;
    for (size_t i = 0; i < report->left_count; i++)
        files += report->left[i].count;
    buffer_init(&text, ERROR_TEXT_MAX);
    left_append(report, &text);
    if (files)
        cli_note("%lld file%s of the source %s not taken: %s", files, files == 1 ? "" : "s", files == 1 ? "was" : "were", text.data);
    classes_print(&report->empty, "class folder is", "class folders are", "without an image that can be packed");
    classes_print(&report->untested, "class has", "classes have", "training images but no test image");
    classes_print(&report->untrained, "class has", "classes have", "test images but no training image");
    buffer_deinit(&text);
}

static int report_json(const PackReport *report, const char *path, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 26);
    buffer_append_text(&out, "{\"schema_version\":1,\"pack\":");
    data_info_json(&report->info, path, &out);
    buffer_append_text(&out, "},\"left_out\":[");
    for (size_t i = 0; i < report->skip_count; i++) {
        buffer_append_text(&out, i ? ",{\"name\":" : "{\"name\":");
        buffer_append_json(&out, report->skips[i].name);
        buffer_append_text(&out, ",\"reason\":");
        buffer_append_json(&out, report->skips[i].reason);
        buffer_append_text(&out, "}");
    }
    buffer_append_text(&out, "],\"not_taken\":{");
    for (size_t i = 0; i < report->left_count; i++) {
        buffer_append_text(&out, i ? "," : "");
        buffer_append_json(&out, report->left[i].ending);
        buffer_printf(&out, ":%lld", (long long)report->left[i].count);
    }
    buffer_printf(&out, "},\"empty_classes\":%lld,\"untested_classes\":%lld,\"untrained_classes\":%lld}\n", (long long)report->empty.count,
                  (long long)report->untested.count, (long long)report->untrained.count);
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

static void report_print(const PackReport *report, const char *path) {
    const DataInfo *info = &report->info;
    left_print(report);
    for (size_t i = 0; i < report->skip_count && i < SKIPS_SHOWN; i++)
        cli_note("left out %s: %s", report->skips[i].name, report->skips[i].reason);
    if (report->skip_count > SKIPS_SHOWN)
        cli_note("and %zu more; %zu files were left out in all", report->skip_count - SKIPS_SHOWN, report->skip_count);
    printf("%s: %s, %lld training and %lld test images of %lld x %lld x %lld, %lld classes\n", path, report->format,
           (long long)info->train_count, (long long)info->test_count, (long long)info->width, (long long)info->height,
           (long long)info->channels, (long long)info->classes);
}

static int pack_channels(const Arguments *arguments, int64_t *out, Error *error) {
    bool grey = arguments_flag(arguments, "grey"), colour = arguments_flag(arguments, "colour");
    *out = grey ? 1 : colour ? 3 : 0;
    return grey && colour ? cli_usage(error, "data pack takes --grey or --colour, not both") : 0;
}

/* What the program makes by itself it looks for under the digest that it knows, and not under a pack's name. */
static int pack_check_own(const char *text, Error *error) {
    size_t size = strlen(text), ending = strlen(".pack");
    char name[PATH_TEXT_MAX];
    if (size > ending && !strcmp(text + size - ending, ".pack"))
        size -= ending;
    snprintf(name, sizeof name, "%.*s", (int)size, text);
    if (!dataset_name_is_own(name))
        return 0;
    error_set(error, "%s is a data set that sweepd packs by itself: a pack of that name would not be looked for; choose another OUT", name);
    return CLI_FAILED;
}

static bool lies_below(const char *path, const char *folder) {
    char parent[PATH_TEXT_MAX], real_parent[PATH_MAX], real_folder[PATH_MAX];
    text_copy(parent, sizeof parent, path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return false;
    slash[slash == parent] = '\0';
    if (!realpath(parent, real_parent) || !realpath(folder, real_folder))
        return false;
    size_t size = strlen(real_folder);
    return !strncmp(real_parent, real_folder, size) && (size == 1 || !real_parent[size] || real_parent[size] == '/');
}

/* A pack takes the place of another pack alone. */
static int pack_check_place(const char *source, const char *path, Error *error) {
    struct stat there, from;
    bool is_there = !lstat(path, &there);
    if (is_there && !stat(source, &from) && there.st_dev == from.st_dev && there.st_ino == from.st_ino)
        error_set(error, "%s is the source itself; choose another OUT", path);
    else if (lies_below(path, source))
        error_set(error, "%s lies in the source, %s; choose another OUT", path, source);
    else if (is_there && S_ISLNK(there.st_mode))
        error_set(error, "%s is a symbolic link; choose another OUT", path);
    else if (is_there && !dataset_is_pack(path))
        error_set(error, "%s is there and is no packed data set; choose another OUT", path);
    else
        return 0;
    return CLI_FAILED;
}

/* Where it goes, and the digest of a pack that is there already; "": none. */
static int pack_target(const Cli *cli, const char *text, const char *source, char path[PATH_TEXT_MAX], char digest[SHA256_HEX_MAX],
                       Error *error) {
    DataInfo info;
    Error ignored = {0};
    int result = pack_check_own(text, error);
    if (!result)
        result = data_pack_path(cli, text, path, error);
    if (!result && !strchr(text, '/'))
        result = data_folder_make(path, error);
    if (!result)
        result = pack_check_place(source, path, error);
    if (result)
        return result;
    *digest = '\0';
    if (file_exists(path) && !dataset_header_read(path, &info, &ignored))
        text_copy(digest, SHA256_HEX_MAX, info.digest);
    return 0;
}

static int report_tell(const Arguments *arguments, const PackReport *report, const char *path, const char *replaced, Error *error) {
    if (*replaced && strcmp(replaced, report->info.digest) != 0)
        cli_note("%s was another pack before, of digest %s; now it is %s", path, replaced, report->info.digest);
    if (arguments_flag(arguments, "json"))
        return report_json(report, path, error);
    report_print(report, path);
    return 0;
}

int data_pack(const Cli *cli, const Arguments *arguments, Error *error) {
    char source[PATH_TEXT_MAX], path[PATH_TEXT_MAX], name[64], replaced[SHA256_HEX_MAX];
    PackReport report;
    Meter meter;
    if (arguments->more_count != 2)
        return cli_usage(error, "data pack needs SOURCE and OUT; see 'sweepctl data --help'");
    static bool classes[DATA_CLASSES_MAX];
    const char *list = arguments_text(arguments, "classes", NULL);
    int64_t channels = 0;
    int result = pack_name(arguments, name, error);
    if (!result)
        result = pack_channels(arguments, &channels, error);
    if (!result && list)
        result = pack_classes(list, classes, error);
    if (!result)
        result = pack_source(cli, arguments->more[0], source, error);
    if (!result)
        result = pack_target(cli, arguments->more[1], source, path, replaced, error);
    if (result)
        return result;
    meter_init(&meter, "packed", "");
    interrupt_catch();
    int64_t size = (int64_t)arguments_number(arguments, "size", 0);
    PackOptions options = {.name = name,
                           .height = size,
                           .width = size,
                           .channels = channels,
                           .threads = (int)arguments_number(arguments, "threads", 0),
                           .classes = list ? classes : NULL,
                           .on_progress = meter_update,
                           .should_stop = stop_asked,
                           .context = &meter};
    result = dataset_pack(&report, source, path, &options, error);
    meter_end(&meter);
    if (!result)
        result = report_tell(arguments, &report, path, replaced, error);
    pack_report_deinit(&report);
    if (result == DATA_STOPPED)
        cli_note("stopped; nothing was written");
    return result == DATA_STOPPED ? CLI_INTERRUPTED : result == DATA_REFUSED ? CLI_FAILED : result;
}
