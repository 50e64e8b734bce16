/* Downloads from a server of this program's own, which can be told to misbehave. */
#include "fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { BODY = 300000, REQUEST_MAX = 4096, CUT = 100000 };

typedef enum {
    SERVE_WELL,
    SERVE_CUT,
    SERVE_STALL,
    SERVE_NOT_FOUND,
    SERVE_REDIRECT,
    SERVE_LOOP,
    SERVE_NO_RANGES,
    SERVE_WRONG_RANGE,
    SERVE_GIVEN /* `given`, a whole answer, to a request with a range; SERVE_CUT to one without */
} Manner;

static uint8_t body[BODY];
static char md5[SHA256_HEX_MAX], sha256[SHA256_HEX_MAX];
static _Atomic Manner manner;
static atomic_int requests, ranged, conditional;
static const char *_Atomic given;
static atomic_bool ending;
static int listener = -1;
static unsigned port;
static pthread_t thread;

/* False when the client has gone. */
static bool send_all(int client, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t sent = send(client, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void answer_empty(int client, const char *status, const char *header) {
    char head[512];
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, header);
    send_all(client, head, (size_t)size);
}

static void answer_body(int client, long start, Manner how) {
    char head[512];
    if (how == SERVE_NO_RANGES)
        start = 0;
    if (start >= BODY) {
        answer_empty(client, "416 Range Not Satisfiable", "");
        return;
    }
    long named = how == SERVE_WRONG_RANGE ? start + 1 : start;
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %ld\r\nETag: \"one\"\r\n",
                        start ? "206 Partial Content" : "200 OK", BODY - start);
    if (start)
        size += snprintf(head + size, sizeof head - (size_t)size, "Content-Range: bytes %ld-%d/%d\r\n", named, BODY - 1, BODY);
    size += snprintf(head + size, sizeof head - (size_t)size, "Connection: close\r\n\r\n");
    long end = how == SERVE_CUT || how == SERVE_STALL || how == SERVE_GIVEN ? start + CUT : BODY;
    end = end < BODY ? end : BODY;
    if (!send_all(client, head, (size_t)size) || !send_all(client, body + start, (size_t)(end - start)))
        return;
    char byte;
    if (how == SERVE_STALL) /* until the client gives up */
        while (!ending && recv(client, &byte, 1, 0) > 0)
            ;
}

static void serve(int client) {
    char request[REQUEST_MAX] = "";
    size_t size = 0;
    while (size + 1 < sizeof request && !strstr(request, "\r\n\r\n")) {
        ssize_t got = recv(client, request + size, sizeof request - 1 - size, 0);
        if (got <= 0)
            return;
        size += (size_t)got;
        request[size] = '\0';
    }
    requests++;
    const char *range = strstr(request, "Range: bytes=");
    long start = range ? strtol(range + strlen("Range: bytes="), NULL, 10) : 0;
    ranged += start > 0;
    conditional += strstr(request, "If-Range: \"one\"\r\n") != NULL;
    Manner how = manner;
    if (how == SERVE_GIVEN && start) {
        send_all(client, given, strlen(given));
        return;
    }
    if (how == SERVE_NOT_FOUND)
        answer_empty(client, "404 Not Found", "");
    else if (how == SERVE_LOOP || (how == SERVE_REDIRECT && strstr(request, "GET /file")))
        answer_empty(client, "302 Found", how == SERVE_LOOP ? "Location: /file\r\n" : "Location: /elsewhere\r\n");
    else
        answer_body(client, start, how);
}

static void *server_run(void *context) {
    (void)context;
    while (!ending) {
        struct pollfd wait = {listener, POLLIN, 0};
        if (poll(&wait, 1, 100) <= 0)
            continue;
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            serve(client);
            close(client);
        }
    }
    return NULL;
}

static int setup(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    Rng rng;
    Error error;
    if (scratch_setup(state))
        return -1;
    rng_init(&rng, 1, 2);
    for (int i = 0; i < BODY; i++)
        body[i] = (uint8_t)(rng_below(&rng, 255) + 1); /* no zeros: some answers are texts */
    scratch_write(scratch_path("whole"), body, BODY);
    if (digest_file(DIGEST_MD5, scratch_path("whole"), md5, &error) || digest_file(DIGEST_SHA256, scratch_path("whole"), sha256, &error))
        return -1;
    setenv("no_proxy", "127.0.0.1", 1);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        return -1;
    port = ntohs(address.sin_port);
    return pthread_create(&thread, NULL, server_run, NULL);
}

static int teardown(void **state) {
    ending = true;
    pthread_join(thread, NULL);
    close(listener);
    return scratch_teardown(state);
}

static const char *url(void) {
    static char text[64];
    snprintf(text, sizeof text, "http://127.0.0.1:%u/file", port);
    return text;
}

static DownloadOptions checked(void) {
    return (DownloadOptions){.md5 = md5, .sha256 = sha256, .stall_seconds = 1};
}

static int64_t part_size(void) {
    struct stat status;
    return stat(scratch_path("file.part"), &status) ? -1 : status.st_size;
}

static void assert_whole(void) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, BODY);
    assert_int_equal(file_read(scratch_path("file"), BODY, &buffer, &error), 0);
    assert_int_equal(buffer.size, BODY);
    assert_memory_equal(buffer.data, body, BODY);
    buffer_deinit(&buffer);
    assert_int_equal(part_size(), -1);
    assert_false(file_exists(scratch_path("file.part.from")));
}

static void fetch_expect(Manner how, const DownloadOptions *options, int expected, const char *part) {
    Error error = {0};
    manner = how;
    requests = ranged = conditional = 0;
    int result = download_file(url(), scratch_path("file"), options, &error);
    if (result != expected || (part && !strstr(error.text, part)))
        fail_msg("%d, not %d: %s", result, expected, error.text);
    assert_int_equal(file_exists(scratch_path("file")), expected == 0);
}

static void clean(void) {
    remove(scratch_path("file"));
    remove(scratch_path("file.part"));
    remove(scratch_path("file.part.from"));
}

static void test_whole(void **state) {
    (void)state;
    DownloadOptions options = checked();
    clean();
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_whole();
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(requests, 0); /* it is there, and right */
    scratch_write(scratch_path("file"), "other", 5);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_whole();
}

static void test_resumed(void **state) {
    (void)state;
    DownloadOptions options = checked();
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, url());
    assert_int_equal(part_size(), CUT);
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, url());
    assert_int_equal(part_size(), 2 * CUT);
    assert_int_equal(ranged, 1);
    assert_int_equal(conditional, 1);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(ranged, 1);
    assert_whole();
}

/* A server that cannot go on sends all of it; one that goes on elsewhere than asked is not believed. */
static void test_ranges(void **state) {
    (void)state;
    DownloadOptions options = checked();
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    fetch_expect(SERVE_WRONG_RANGE, &options, DATA_REFUSED, "another part of the file than was asked for; the same command begins anew");
    assert_int_equal(part_size(), CUT);
    fetch_expect(SERVE_WRONG_RANGE, &options, 0, NULL);
    assert_int_equal(ranged, 0);
    assert_whole();
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    fetch_expect(SERVE_NO_RANGES, &options, 0, NULL);
    assert_int_equal(ranged, 1);
    assert_whole();
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    scratch_write(scratch_path("file.part"), body, BODY); /* ended between the last byte and the new name */
    const DownloadOptions unchecked = {.stall_seconds = 1};
    fetch_expect(SERVE_WELL, &unchecked, 0, NULL);
    assert_int_equal(ranged, 1);
    assert_whole();
}

static void assert_part_stays(void) {
    size_t size;
    uint8_t *bytes = scratch_read(scratch_path("file.part"), &size);
    assert_true(size >= CUT);
    assert_memory_equal(bytes, body, CUT);
    free(bytes);
    assert_int_equal(size, CUT);
}

#define ETAG                   "ETag: \"one\"\r\n"
#define PARTIAL(length, range) "HTTP/1.1 206 Partial Content\r\nContent-Length: " #length "\r\nContent-Range: " range "\r\n"

/* Without a checksum, too, only a whole file gets its name. */
static void test_answers_to_a_range(void **state) {
    (void)state;
    static const struct {
        const char *answer, *error;
    } answers[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", "status 204"},
        {PARTIAL(0, "bytes 100000-299999/300000") ETAG "\r\n", "status 206 and ended at byte 100000 of 300000"},
        {"HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n" ETAG "\r\n", "status 206 and another part"},
        {PARTIAL(3, "bytes 100000-100002/*") ETAG "\r\nabc", "may be of another file"},
        {PARTIAL(3, "bytes 100000-100002/400000") ETAG "\r\nabc", "may be of another file"},
        {PARTIAL(3, "bytes 100000-100002/300000") "ETag: \"two\"\r\n\r\nabc", "may be of another file"},
        {PARTIAL(3, "bytes 100000-100002/300000") "\r\nabc", "may be of another file"}, /* the part had a validator */
        {"HTTP/1.1 302 Found\r\nContent-Length: 11\r\n\r\n<html>moved", "status 302"},
        {"HTTP/1.1 300 Multiple Choices\r\nContent-Length: 11\r\n\r\n<html>moved", "status 300"},
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 11\r\n\r\n<html>later", "status 503"},
    };
    const DownloadOptions options = {.stall_seconds = 1};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        clean();
        fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
        given = answers[i].answer;
        fetch_expect(SERVE_GIVEN, &options, DATA_REFUSED, answers[i].error);
        assert_int_equal(ranged, 1);
        assert_part_stays();
        fetch_expect(SERVE_WELL, &options, 0, NULL);
        assert_whole();
    }
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    given = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    fetch_expect(SERVE_GIVEN, &options, DATA_REFUSED, "status 200 and an empty file");
    assert_int_equal(part_size(), -1);
}

/* Some bytes of the range that was asked for, and no more: they are kept, and are not the file. */
static void test_short_range(void **state) {
    (void)state;
    static char answer[1200];
    const DownloadOptions options = {.stall_seconds = 1};
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    int head = snprintf(answer, sizeof answer, PARTIAL(9, "bytes %d-%d/%d") ETAG "\r\n", CUT, CUT + 8, BODY);
    memcpy(answer + head, body + CUT, 9);
    given = answer;
    fetch_expect(SERVE_GIVEN, &options, DATA_REFUSED, "ended at byte 100009 of 300000; the same command goes on from here");
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(ranged, 1);
    assert_whole();
}

/* More than the whole has: which of its bytes are wrong nobody can tell. */
static void test_long_range(void **state) {
    (void)state;
    static char answer[BODY + 200];
    const DownloadOptions options = {.stall_seconds = 1};
    int rest = BODY - CUT,
        head = snprintf(answer, sizeof answer, PARTIAL(% d, "bytes %d-%d/%d") ETAG "\r\n", rest + 9, CUT, BODY - 1, BODY);
    memcpy(answer + head, body + CUT, (size_t)rest);
    memcpy(answer + head + rest, body, 9);
    given = answer;
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    fetch_expect(SERVE_GIVEN, &options, DATA_REFUSED, "status 206 and more bytes than the file has; the same command begins anew");
    assert_true(part_size() <= BODY);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(ranged, 0);
    assert_whole();
}

/* A part of what another address has, or of nobody knows what, is not gone on from. */
static void test_another_address(void **state) {
    (void)state;
    char other[PATH_TEXT_MAX];
    Error error = {0};
    const DownloadOptions options = {.stall_seconds = 1};
    snprintf(other, sizeof other, "%s?other", url());
    clean();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    manner = SERVE_WELL;
    ranged = 0;
    assert_int_equal(download_file(other, scratch_path("file"), &options, &error), 0);
    assert_int_equal(ranged, 0);
    assert_whole();
    clean();
    scratch_write(scratch_path("file.part"), "a part of another file", 22);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(ranged, 0);
    assert_whole();
}

static void test_wrong_checksum(void **state) {
    (void)state;
    static const char other[] = "00000000000000000000000000000000";
    DownloadOptions options = checked();
    options.md5 = other;
    clean();
    fetch_expect(SERVE_WELL, &options, DATA_REFUSED, "its MD5 is");
    assert_int_equal(part_size(), -1);
    options = checked();
    options.sha256 = other;
    fetch_expect(SERVE_WELL, &options, DATA_REFUSED, "its SHA-256 is");
    clean();
    options = checked();
    fetch_expect(SERVE_CUT, &options, DATA_REFUSED, NULL);
    scratch_write(scratch_path("file.part"), "a part of another file", 22);
    fetch_expect(SERVE_WELL, &options, DATA_REFUSED, "is not the file that is wanted, and was removed");
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_whole();
}

static void test_answers(void **state) {
    (void)state;
    DownloadOptions options = checked();
    clean();
    fetch_expect(SERVE_NOT_FOUND, &options, DATA_REFUSED, "the server answered with status 404");
    assert_int_equal(part_size(), -1);
    scratch_write(scratch_path("file.part"), body, CUT);
    fetch_expect(SERVE_NOT_FOUND, &options, DATA_REFUSED, "status 404");
    assert_int_equal(part_size(), CUT); /* what is there stays for a server that has it */
    fetch_expect(SERVE_REDIRECT, &options, 0, NULL);
    assert_int_equal(requests, 2);
    assert_whole();
    clean();
    fetch_expect(SERVE_LOOP, &options, DATA_REFUSED, "redirects");
}

static void test_stalled(void **state) {
    (void)state;
    DownloadOptions options = checked();
    clean();
    fetch_expect(SERVE_STALL, &options, DATA_REFUSED, "the server stalled");
    assert_int_equal(part_size(), CUT);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_whole();
}

typedef struct Watch {
    int64_t done, total, stop_at;
} Watch;

static void on_progress(void *context, int64_t done, int64_t total) {
    Watch *watch = context;
    assert_true(done >= watch->done);
    watch->done = done;
    watch->total = total;
}

static bool should_stop(void *context) {
    const Watch *watch = context;
    return watch->done >= watch->stop_at;
}

/* As Ctrl-C does it: the part stays, and the next call goes on. */
static void test_stopped(void **state) {
    (void)state;
    Watch watch = {.stop_at = 1};
    DownloadOptions options = checked();
    options.stall_seconds = 30;
    options.on_progress = on_progress;
    options.should_stop = should_stop;
    options.context = &watch;
    clean();
    fetch_expect(SERVE_STALL, &options, DATA_STOPPED, NULL);
    assert_true(part_size() > 0);
    watch = (Watch){.stop_at = INT64_MAX};
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_int_equal(ranged, 1);
    assert_int_equal(watch.done, BODY);
    assert_int_equal(watch.total, BODY);
    assert_whole();
}

/* The part of another, which has no byte yet, stays the other's. */
static void test_fetched_already(void **state) {
    (void)state;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    DownloadOptions options = checked();
    clean();
    int other = open(scratch_path("file.part"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
    fetch_expect(SERVE_WELL, &options, DATA_REFUSED, "another program is fetching it");
    assert_int_equal(requests, 0);
    assert_int_equal(part_size(), 0);
    close(other);
    fetch_expect(SERVE_WELL, &options, 0, NULL);
    assert_whole();
}

static void test_nobody_there(void **state) {
    (void)state;
    Error error = {0};
    DownloadOptions options = checked();
    assert_int_equal(download_file("http://127.0.0.1:1/file", scratch_path("none"), &options, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "http://127.0.0.1:1/file: "));
    assert_false(file_exists(scratch_path("none.part")));
    assert_int_equal(download_file("gopher://127.0.0.1/", scratch_path("none"), &options, &error), DATA_REFUSED);
    assert_int_equal(download_file(url(), scratch_path("no/where"), &options, &error), -1);
    assert_non_null(download_source_find("cifar10"));
    assert_null(download_source_find("imagenet"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),           cmocka_unit_test(test_resumed),      cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_wrong_checksum),  cmocka_unit_test(test_answers),      cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_stopped),         cmocka_unit_test(test_nobody_there), cmocka_unit_test(test_answers_to_a_range),
        cmocka_unit_test(test_short_range),     cmocka_unit_test(test_long_range),   cmocka_unit_test(test_another_address),
        cmocka_unit_test(test_fetched_already),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
