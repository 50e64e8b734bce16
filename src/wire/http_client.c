/* The client: one libcurl handle, whose connection stays open between calls. */

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "sweepd/wire.h"

enum { CONNECT_MILLISECONDS = 5000 };

struct HttpClient {
    CURL *curl;
    struct curl_slist *headers;
    char *base;  /* "http://localhost" or the URL */
    char *place; /* for messages */
    char problem[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    Buffer *out = context;
    buffer_append(out, data, size * count);
    return out->failed ? 0 : size * count;
}

static int client_headers(HttpClient *client, const char *token, Error *error) {
    char authorization[512];
    const char *lines[] = {"Content-Type: application/json", "Accept: application/json", "Expect:", NULL};
    if (token != NULL) {
        int written = snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
        if (written < 0 || (size_t)written >= sizeof authorization || strpbrk(token, "\r\n") != NULL)
            return error_set(error, "the token is too long or has a line break");
        lines[3] = authorization;
    }
    for (size_t i = 0; i < 4 && lines[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(client->headers, lines[i]);
        if (longer == NULL)
            return error_set_memory(error, "out of memory");
        client->headers = longer;
    }
    return 0;
}

static void client_options(HttpClient *client, const char *socket_path) {
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MILLISECONDS);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    if (socket_path != NULL)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
}

int http_client_new(HttpClient **out, const char *socket_path, const char *url, const char *token, Error *error) {
    HttpClient *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set_memory(error, "out of memory");
    client->curl = curl_easy_init();
    client->base = text_duplicate(url != NULL ? url : "http://localhost", error);
    client->place = text_duplicate(url != NULL ? url : socket_path, error);
    if (client->curl == NULL || client->base == NULL || client->place == NULL || client_headers(client, token, error) != 0) {
        if (client->curl == NULL)
            error_set(error, "libcurl does not start");
        http_client_free(client);
        return -1;
    }
    size_t length = strlen(client->base);
    if (length > 0 && client->base[length - 1] == '/')
        client->base[length - 1] = '\0';
    client_options(client, url != NULL ? NULL : socket_path);
    *out = client;
    return 0;
}

void http_client_free(HttpClient *client) {
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    free(client->base);
    free(client->place);
    free(client);
}

/* Uses the daemon's own words when the answer has them. */
static int status_error(const Buffer *body, int status, Error *error) {
    json_t *root = json_loadb(body->data != NULL ? body->data : "", body->size, 0, NULL);
    const char *message = json_string_value(json_object_get(json_object_get(root, "error"), "message"));
    if (message != NULL)
        error_set(error, "%s", message);
    else
        error_set(error, "the daemon answered with HTTP status %d", status);
    json_decref(root);
    return WIRE_STATUS;
}

static int transfer_error(const HttpClient *client, CURLcode code, double timeout_seconds, Error *error) {
    const char *text = client->problem[0] != '\0' ? client->problem : curl_easy_strerror(code);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        error_set(error, "no daemon answers at %s", client->place);
        return WIRE_NO_DAEMON;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        error_set(error, "the daemon at %s closed the connection: %s", client->place, text);
        return WIRE_NO_DAEMON;
    case CURLE_OPERATION_TIMEDOUT:
        error_set(error, "no answer from %s within %g s", client->place, timeout_seconds);
        return WIRE_TIMEOUT;
    default:
        return error_set(error, "%s: %s", client->place, text);
    }
}

int http_client_call(HttpClient *client, const char *path, const char *body, size_t body_size, double timeout_seconds, Buffer *out,
                     int *status, Error *error) {
    Buffer url;
    buffer_init(&url, PATH_TEXT_MAX * 2);
    buffer_printf(&url, "%s%s", client->base, path);
    int result = buffer_check(&url, error, "the address");
    if (result != 0)
        goto out;
    buffer_clear(out);
    *status = 0;
    client->problem[0] = '\0';
    curl_easy_setopt(client->curl, CURLOPT_URL, url.data);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)(timeout_seconds * 1000));
    if (body == NULL) {
        curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    } else {
        curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_size);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(client->curl);
    long answered = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answered);
    *status = (int)answered;
    if (code == CURLE_OK)
        result = answered >= 200 && answered < 300 ? 0 : status_error(out, *status, error);
    else if (out->failed)
        result = buffer_check(out, error, "the daemon's answer");
    else
        result = transfer_error(client, code, timeout_seconds, error);
out:
    buffer_deinit(&url);
    return result;
}
