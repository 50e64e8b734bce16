/* Downloads. A part grows under another name, and each try asks for what is missing from it. The server's answer decides before a byte is
 * written: 206 from where the part ends continues it, 200 begins anew, anything else leaves it alone. */
#include "dataset.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
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

enum { CONNECT_SECONDS = 30, REDIRECTS_MAX = 10, STALL_SECONDS = 30, RANGE_NOT_SATISFIABLE = 416 };

typedef struct Download {
    const DownloadOptions *options;
    CURL *curl;
    char part[PATH_TEXT_MAX];
    int descriptor;
    int64_t start; /* bytes that the part had */
    int problem;   /* errno of a failed write */
    bool decided, misplaced;
} Download;

/* ---- what curl calls ---- */

/* "bytes 100-199/200": where the answer begins. */
static int64_t range_start(CURL *curl) {
    struct curl_header *header;
    long long start = -1;
    if (curl_easy_header(curl, "Content-Range", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        sscanf(header->value, "bytes %lld-", &start);
    return start;
}

/* The first bytes of an answer: where do they belong? */
static bool answer_place(Download *download) {
    long status = 0;
    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    download->decided = true;
    if (download->start && status == 206)
        download->misplaced = range_start(download->curl) != download->start;
    else if (download->start) {
        if (ftruncate(download->descriptor, 0) || lseek(download->descriptor, 0, SEEK_SET))
            download->problem = errno;
        download->start = 0;
    }
    return !download->misplaced && !download->problem;
}

static size_t on_bytes(char *data, size_t size, size_t count, void *context) {
    Download *download = context;
    size_t left = size * count;
    if (!download->decided && !answer_place(download))
        return 0;
    while (left) {
        ssize_t done = write(download->descriptor, data, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            download->problem = errno;
            return 0;
        }
        data += done;
        left -= (size_t)done;
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

static void transfer_options(Download *download, const char *url, char *problem) {
    CURL *curl = download->curl;
    double stall = download->options->stall_seconds > 0 ? download->options->stall_seconds : STALL_SECONDS;
    curl_easy_setopt(curl, CURLOPT_URL, url);
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

/* Told by a header of our own: CURLOPT_RESUME_FROM would fail a server that answers with the whole file. */
static struct curl_slist *range_header(const Download *download) {
    char line[64];
    snprintf(line, sizeof line, "Range: bytes=%lld-", (long long)download->start);
    return download->start ? curl_slist_append(NULL, line) : NULL;
}

static bool stop_asked(const Download *download) {
    return download->options->should_stop && download->options->should_stop(download->options->context);
}

static int transfer_outcome(const Download *download, CURLcode code, const char *url, const char *problem, Error *error) {
    long status = 0;
    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK)
        return 0;
    if (download->problem)
        return error_set_errno(error, download->problem, "cannot write %s", download->part);
    if (download->misplaced)
        error_set(error, "%s: the server answered with another part of the file than was asked for", url);
    else if (code == CURLE_ABORTED_BY_CALLBACK && stop_asked(download))
        return DATA_STOPPED;
    else if (code == CURLE_HTTP_RETURNED_ERROR)
        error_set(error, "%s: the server answered with status %ld", url, status);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        error_set(error, "%s: the server stalled, or does not answer; the same command goes on from here", url);
    else
        error_set(error, "%s: %s", url, *problem ? problem : curl_easy_strerror(code));
    return DATA_REFUSED;
}

static int transfer(Download *download, const char *url, long *status, Error *error) {
    char problem[CURL_ERROR_SIZE] = "";
    download->curl = curl_easy_init();
    if (!download->curl)
        return error_set(error, "libcurl does not start");
    struct curl_slist *headers = range_header(download);
    transfer_options(download, url, problem);
    curl_easy_setopt(download->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(download->curl);
    int result = transfer_outcome(download, code, url, problem, error);
    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(download->curl);
    curl_slist_free_all(headers);
    return result;
}

/* Opened and locked: of two that fetch the same file, the second is told. */
static int part_open(Download *download, Error *error) {
    download->descriptor = open(download->part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (download->descriptor < 0)
        return error_set_errno(error, errno, "cannot write %s", download->part);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(download->descriptor, F_OFD_SETLK, &lock))
        return data_refuse(error, "%s: another program is fetching it", download->part);
    off_t end = lseek(download->descriptor, 0, SEEK_END);
    if (end < 0)
        return error_set_errno(error, errno, "cannot read %s", download->part);
    download->start = end;
    return 0;
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

/* A part that has every byte already: some servers refuse to send none. */
static bool part_may_be_whole(const Download *download, long status) {
    return status == RANGE_NOT_SATISFIABLE && download->start > 0;
}

static int download_run(Download *download, const char *url, const char *path, Error *error) {
    long status = 0;
    int result = part_open(download, error);
    if (result)
        return result;
    result = transfer(download, url, &status, error);
    bool full = result == DATA_REFUSED && part_may_be_whole(download, status);
    if (result && !full)
        return result;
    int sums = sums_check(download->part, download->options, error);
    if (sums < 0)
        return -1;
    if (sums || (full && !download->options->md5 && !download->options->sha256)) {
        unlink(download->part);
        if (sums)
            error_prefix(error, "%s: what was fetched is not the file that is wanted, and was removed", url);
        return DATA_REFUSED;
    }
    int descriptor = download->descriptor;
    download->descriptor = -1;
    return file_publish(descriptor, download->part, path, 0644, error);
}

int download_file(const char *url, const char *path, const DownloadOptions *options, Error *error) {
    Download download = {.options = options, .descriptor = -1};
    Error ignored;
    struct stat status;
    if (!stat(path, &status) && (options->md5 || options->sha256)) {
        int sums = sums_check(path, options, &ignored);
        if (!sums)
            return 0;
    }
    if (path_format(download.part, error, "%s.part", path))
        return -1;
    int result = download_run(&download, url, path, error);
    if (download.descriptor >= 0) {
        if (lseek(download.descriptor, 0, SEEK_END) == 0)
            unlink(download.part); /* nothing to go on from */
        close(download.descriptor);
    }
    return result;
}
