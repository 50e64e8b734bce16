/* A worker that knows nothing of the daemon but an address and a token. */
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char sweep[] = "version: 1\n"
                            "name: far\n"
                            "data: {inputs: 784, classes: 10, examples: 100000}\n"
                            "model: {kind: bmlp}\n"
                            "trainer: {kind: simulated, law: {E: 0.1, A: 20, alpha: 0.4, B: 30, beta: 0.5}}\n"
                            "grid: {depth: [1], width: [8, 16], examples: [500, 1000], seed: [0, 1, 2]}\n"
                            "train: {epochs: 3, batch: 100, optimizer: {name: lion, lr: 1e-3}}\n";

/* One that is free now. */
static int choose_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    close(descriptor);
    return ntohs(address.sin_port);
}

static void write_token(const char *name, const char *token, char path[PATH_TEXT_MAX]) {
    site_write(name, token);
    site_path(path, name);
    assert_int_equal(chmod(path, 0600), 0);
}

static void test_worker_by_address(void **state) {
    (void)state;
    char listen[64], url[80], token[PATH_TEXT_MAX], wrong[PATH_TEXT_MAX], file[PATH_TEXT_MAX], elsewhere[PATH_TEXT_MAX];
    int port = choose_port();
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    write_token("token", "the-token-of-this-daemon-0123456789\n", token);
    write_token("wrong", "another-token-that-is-as-long-01234\n", wrong);
    site_write("far.yaml", sweep);
    site_path(file, "far.yaml");
    site_path(elsewhere, "elsewhere");
    site_start("sweepd", "--home", site_home(), "--workers", "0", "--listen", listen, "--token-file", token, NULL);
    site_await_daemon();
    site_expect(0, "sweepctl", "submit", file, NULL);

    assert_int_equal(chmod(wrong, 0644), 0);
    Output refused = site_run("sweep-worker", "serve", "--home", elsewhere, "--url", url, "--token-file", wrong, NULL);
    assert_int_equal(refused.code, 1);
    assert_non_null(strstr(refused.err, "its token is wrong"));
    assert_non_null(strstr(refused.err, "others on this machine may read the token; 'chmod 600 "));
    output_free(&refused);
    assert_int_equal(site_count("far", "pending"), 12);

    site_expect(0, "sweep-worker", "serve", "--home", elsewhere, "--url", url, "--token-file", token, NULL);
    assert_int_equal(site_count("far", "done"), 12);
    Output logs = site_run("sweepctl", "logs", "1", NULL);
    assert_int_equal(logs.code, 1);
    assert_non_null(strstr(logs.err, "/workers.log"));
    output_free(&logs);
    size_t index;
    json_t *run, *runs = site_runs("far");
    json_array_foreach(runs, index, run) assert_int_equal(json_integer_value(json_object_get(run, "attempts")), 1);
    json_decref(runs);
    assert_false(file_exists(elsewhere)); /* a run that is over so soon needs no disk of the worker's */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_worker_by_address, site_set_up, site_tear_down)};
    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
