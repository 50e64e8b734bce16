/* Downloads. A part grows under another name, and each try asks for what is missing from it. The server's answer decides before a byte is
 * written, and once more when it has ended, as an answer may have no bytes: 206 from where the part ends, of the file that the part is of,
 * continues it, 200 begins anew, anything else leaves it alone. */
#include "part.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define URL_CIFAR "https://www.cs.toronto.edu/~kriz/"

static const DownloadSource sources[] = {
    {"cifar10", "CIFAR-10", "cifar-10-binary.tar.gz", URL_CIFAR "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170052171, 32,
     32, 3, 10, 50000, 10000},
    {"cifar100", "CIFAR-100", "cifar-100-binary.tar.gz", URL_CIFAR "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168513733,
     32, 32, 3, 100, 50000, 10000},
    {"stl10", "STL-10", "stl10_binary.tar.gz", "https://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
     "91f7769df0f17e558f3565bffb0c7dfb", 2640397119, 96, 96, 3, 10, 5000, 8000},
    {"tiny-imagenet", "Tiny ImageNet", "tiny-imagenet-200.zip", "https://cs231n.stanford.edu/tiny-imagenet-200.zip",
     "90528d7ca1a48142e341f4ef8d21d0de", 248100043, 64, 64, 3, 200, 100000, 10000},
};

const DownloadSource *download_source_at(size_t index) {
    return index < sizeof sources / sizeof *sources ? &sources[index] : NULL;
}

const DownloadSource *download_source_find(const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (!strcmp(sources[i].name, name))
            return &sources[i];
    return NULL;
}

enum {
    CONNECT_SECONDS = 30,
    REDIRECTS_MAX = 10,
    STALL_SECONDS = 30,
    STATUS_WHOLE = 200,
    STATUS_PARTIAL = 206,
    RANGE_NOT_SATISFIABLE = 416
};

typedef enum { ANSWER_OPEN, ANSWER_TAKEN, ANSWER_STATUS, ANSWER_MISPLACED, ANSWER_CHANGED, ANSWER_LONGER, ANSWER_FAILED } Answer;

typedef struct Download {
    const DownloadOptions *options;
    const char *url;
    CURL *curl;
    Part part;
    int64_t start; /* bytes that were not asked for, as the part has them */
    Answer answer; /* what was made of it */
    Error error;   /* ANSWER_FAILED: a write that went wrong */
} Download;

/* ---- the answer ---- */

static const char *header_of(CURL *curl, const char *name) {
    struct curl_header *header;
    return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : "";
}

/* "bytes 100-199/200": where the answer begins, and how long the whole file is. */
static void range_read(CURL *curl, int64_t *start, int64_t *total) {
    long long first = -1, last = -1, all = -1;
    sscanf(header_of(curl, "Content-Range"), "bytes %lld-%lld/%lld", &first, &last, &all);
    *start = first;
    *total = all;
}

/* What tells this file from another at the same address: for If-Range, which takes no weak ETag. */
static void origin_take(const Download *download, PartOrigin *out) {
    const char *tag = header_of(download->curl, "ETag"), *time = header_of(download->curl, "Last-Modified");
    curl_off_t total = -1;
    *out = (PartOrigin){.total = -1};
    text_copy(out->url, sizeof out->url, download->url);
    if (!text_copy(out->validator, sizeof out->validator, *tag == '"' ? tag : time))
        *out->validator = '\0';
    curl_easy_getinfo(download->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    out->total = total;
}

/* A 206: more of what the part is of? A server may overlook If-Range, and say nothing of what it has now. */
static Answer rest_judge(const Download *download) {
    const PartOrigin *had = &download->part.origin;
    PartOrigin now;
    int64_t start, total;
    range_read(download->curl, &start, &total);
    origin_take(download, &now);
    if (!download->start || start != download->start)
        return ANSWER_MISPLACED;
    bool changed = *had->validator && strcmp(now.validator, had->validator) != 0;
    if (changed || total < download->start || (had->total >= 0 && total != had->total))
        return ANSWER_CHANGED;
    return ANSWER_TAKEN;
}

static bool is_http(CURL *curl) {
    char *scheme = NULL;
    curl_easy_getinfo(curl, CURLINFO_SCHEME, &scheme);
    return scheme && !strncasecmp(scheme, "http", 4);
}

/* Before the first byte, or when there was none: does the answer belong into the part? */
static bool answer_place(Download *download) {
    long status = 0;
    PartOrigin origin;
    if (download->answer != ANSWER_OPEN)
        return download->answer == ANSWER_TAKEN;
    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    bool whole = !is_http(download->curl) || status == STATUS_WHOLE;
    download->answer = whole ? ANSWER_TAKEN : status == STATUS_PARTIAL ? rest_judge(download) : ANSWER_STATUS;
    if (whole) {
        download->start = 0;
        origin_take(download, &origin);
        if (part_begin(&download->part, &origin, &download->error))
            download->answer = ANSWER_FAILED;
    } else if (download->answer == ANSWER_TAKEN) {
        int64_t begin;
        range_read(download->curl, &begin, &download->part.origin.total);
    }
    return download->answer == ANSWER_TAKEN;
}

/* ---- what curl calls ---- */

static size_t on_bytes(char *data, size_t size, size_t count, void *context) {
    Download *download = context;
    Part *part = &download->part;
    size_t left = size * count;
    if (!answer_place(download))
        return 0;
    if (part->origin.total >= 0 && (int64_t)left > part->origin.total - part->size) {
        download->answer = ANSWER_LONGER;
        return 0;
    }
    while (left) {
        ssize_t done = write(part->descriptor, data, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            download->answer = ANSWER_FAILED;
            error_set_errno(&download->error, errno, "cannot write %s", part->path);
            return 0;
        }
        data += done;
        left -= (size_t)done;
        part->size += done;
    }
    return size * count;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    Download *download = context;
    const DownloadOptions *options = download->options;
    (void)up_total;
    (void)up_now;
    if (options->on_progress && now)
        options->on_progress(options->context, download->start + now, total ? download->start + total : 0);
    return options->should_stop && options->should_stop(options->context);
}

/* ---- one transfer ---- */

static void transfer_options(Download *download, char *problem) {
    CURL *curl = download->curl;
    double stall = download->options->stall_seconds > 0 ? download->options->stall_seconds : STALL_SECONDS;
    curl_easy_setopt(curl, CURLOPT_URL, download->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sweepctl");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall < 1 ? 1L : (long)stall);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, download);
}

/* Told by headers of our own: CURLOPT_RESUME_FROM would fail a server that answers with the whole file. */
static int range_headers(const Download *download, struct curl_slist **out, Error *error) {
    char lines[2][VALIDATOR_MAX + 64] = {"", ""};
    *out = NULL;
    if (download->start)
        snprintf(lines[0], sizeof *lines, "Range: bytes=%lld-", (long long)download->start);
    if (download->start && *download->part.origin.validator)
        snprintf(lines[1], sizeof *lines, "If-Range: %s", download->part.origin.validator);
    for (int i = 0; i < 2 && *lines[i]; i++) {
        struct curl_slist *longer = curl_slist_append(*out, lines[i]);
        if (!longer)
            return error_set_memory(error, "no memory for a request");
        *out = longer;
    }
    return 0;
}

static bool stop_asked(const Download *download) {
    return download->options->should_stop && download->options->should_stop(download->options->context);
}

/* Of those that would come again if the same were asked for again. */
static const char *const answer_texts[] = {
    [ANSWER_MISPLACED] = "another part of the file than was asked for",
    [ANSWER_CHANGED] = "a part that may be of another file",
    [ANSWER_LONGER] = "more bytes than the file has",
};

static int answer_refuse(Download *download, long status, Error *error) {
    if (download->answer == ANSWER_FAILED) {
        *error = download->error;
        return -1;
    }
    if (download->answer == ANSWER_STATUS)
        error_set(error, "the server answered with status %ld", status);
    else
        error_set(error, "the server answered with status %ld and %s%s", status, answer_texts[download->answer],
                  download->start ? "; the same command begins anew" : "");
    if (download->answer != ANSWER_STATUS && download->start)
        part_disown(&download->part);
    error_prefix(error, "%s", download->url);
    return DATA_REFUSED;
}

/* All bytes that were sent are there: are they the file? */
static int ended_check(const Download *download, long status, Error *error) {
    const Part *part = &download->part;
    if (!part->size)
        return data_refuse(error, "%s: the server answered with status %ld and an empty file", download->url, status);
    if (part->origin.total < 0 || part->size == part->origin.total)
        return 0;
    return data_refuse(error, "%s: the server answered with status %ld and ended at byte %lld of %lld; the same command goes on from here",
                       download->url, status, (long long)part->size, (long long)part->origin.total);
}

static int transfer_outcome(Download *download, CURLcode code, long status, const char *problem, Error *error) {
    if (code == CURLE_OK)
        answer_place(download);
    if (download->answer > ANSWER_TAKEN)
        return answer_refuse(download, status, error);
    if (code == CURLE_OK)
        return ended_check(download, status, error);
    if (code == CURLE_ABORTED_BY_CALLBACK && stop_asked(download))
        return DATA_STOPPED;
    if (code == CURLE_HTTP_RETURNED_ERROR)
        error_set(error, "%s: the server answered with status %ld", download->url, status);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        error_set(error, "%s: the server stalled, or does not answer; the same command goes on from here", download->url);
    else
        error_set(error, "%s: %s", download->url, *problem ? problem : curl_easy_strerror(code));
    return DATA_REFUSED;
}

static int transfer(Download *download, long *status, Error *error) {
    char problem[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    download->curl = curl_easy_init();
    if (!download->curl)
        return error_set(error, "libcurl does not start");
    int result = range_headers(download, &headers, error);
    if (!result) {
        transfer_options(download, problem);
        curl_easy_setopt(download->curl, CURLOPT_HTTPHEADER, headers);
        CURLcode code = curl_easy_perform(download->curl);
        curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, status);
        result = transfer_outcome(download, code, *status, problem, error);
    }
    curl_easy_cleanup(download->curl);
    curl_slist_free_all(headers);
    return result;
}

/* The checksums that were given, against a file: 0, or 1 with the error saying which differs. */
static int sums_check(const char *path, const DownloadOptions *options, Error *error) {
    const struct {
        DigestKind kind;
        const char *name, *wanted;
    } sums[] = {{DIGEST_MD5, "MD5", options->md5}, {DIGEST_SHA256, "SHA-256", options->sha256}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        char found[SHA256_HEX_MAX];
        if (!sums[i].wanted)
            continue;
        if (digest_file(sums[i].kind, path, found, error))
            return -1;
        if (strcasecmp(found, sums[i].wanted)) {
            error_set(error, "its %s is %s, but %s is expected", sums[i].name, found, sums[i].wanted);
            return 1;
        }
    }
    return 0;
}

/* A server that refuses to send nothing: the part may have every byte already. */
static bool part_may_be_whole(const Download *download, long status) {
    const DownloadOptions *options = download->options;
    return status == RANGE_NOT_SATISFIABLE && download->start > 0 &&
           (options->md5 || options->sha256 || download->start == download->part.origin.total);
}

static int download_run(Download *download, const char *path, Error *error) {
    Part *part = &download->part;
    long status = 0;
    int result = part_open(part, path, error);
    if (result)
        return result;
    if (part->has_origin && !strcmp(part->origin.url, download->url))
        download->start = part->size;
    result = transfer(download, &status, error);
    if (result == DATA_REFUSED && part_may_be_whole(download, status))
        result = 0;
    else if (result == DATA_REFUSED && status == RANGE_NOT_SATISFIABLE)
        part_disown(part); /* asking once more would be answered so once more */
    if (result)
        return result;
    int sums = sums_check(part->path, download->options, error);
    if (sums > 0) {
        part_remove(part);
        error_prefix(error, "%s: what was fetched is not the file that is wanted, and was removed", download->url);
        return DATA_REFUSED;
    }
    return sums ? -1 : part_publish(part, path, error);
}

int download_file(const char *url, const char *path, const DownloadOptions *options, Error *error) {
    Download download = {.options = options, .url = url, .part = {.descriptor = -1}};
    Error ignored;
    if (strlen(url) >= PATH_TEXT_MAX || strpbrk(url, "\r\n"))
        return data_refuse(error, "%.80s...: no address", url);
    if (file_exists(path) && (options->md5 || options->sha256) && !sums_check(path, options, &ignored))
        return 0;
    int result = download_run(&download, path, error);
    part_close(&download.part);
    return result;
}
