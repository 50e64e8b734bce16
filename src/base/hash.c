#include "sweepd/base.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA256_BYTES = 32 };

struct Sha256 {
    EVP_MD_CTX *context;
};

int sha256_new(Sha256 **out, Error *error) {
    Sha256 *hash = calloc(1, sizeof *hash);
    if (!hash)
        return error_set_memory(error, "out of memory");
    hash->context = EVP_MD_CTX_new();
    if (!hash->context || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1) {
        sha256_free(hash);
        return error_set(error, "SHA-256 is not available");
    }
    *out = hash;
    return 0;
}

void sha256_free(Sha256 *hash) {
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void sha256_update(Sha256 *hash, const void *data, size_t size) {
    EVP_DigestUpdate(hash->context, data, size);
}

static void hex_write(const unsigned char *bytes, unsigned count, char hex[SHA256_HEX_MAX]) {
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * count] = '\0';
}

void sha256_finish(Sha256 *hash, char hex[SHA256_HEX_MAX]) {
    unsigned char bytes[EVP_MAX_MD_SIZE] = {0};
    EVP_DigestFinal_ex(hash->context, bytes, NULL);
    hex_write(bytes, SHA256_BYTES, hex);
}

int sha256_hex(const void *data, size_t size, char hex[SHA256_HEX_MAX], Error *error) {
    /* Fetching the algorithm costs more than hashing a run's text; it is made once. */
    static EVP_MD *algorithm;
    if (!algorithm)
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    if (!algorithm || EVP_Digest(data, size, bytes, NULL, algorithm, NULL) != 1)
        return error_set(error, "SHA-256 is not available");
    hex_write(bytes, SHA256_BYTES, hex);
    return 0;
}

static int digest_stream(EVP_MD_CTX *context, FILE *file, const char *path, Error *error) {
    char chunk[1 << 16];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        EVP_DigestUpdate(context, chunk, size);
    return ferror(file) ? error_set_errno(error, errno, "cannot read %s", path) : 0;
}

int digest_file(DigestKind kind, const char *path, char hex[SHA256_HEX_MAX], Error *error) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int result = -1;
    FILE *file = fopen(path, "rbe");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!file)
        error_set_errno(error, errno, "cannot open %s", path);
    else if (!context || EVP_DigestInit_ex(context, kind == DIGEST_MD5 ? EVP_md5() : EVP_sha256(), NULL) != 1)
        error_set(error, "%s is not available", kind == DIGEST_MD5 ? "MD5" : "SHA-256");
    else
        result = digest_stream(context, file, path, error);
    if (result == 0) {
        EVP_DigestFinal_ex(context, bytes, &size);
        hex_write(bytes, size, hex);
    }
    EVP_MD_CTX_free(context);
    if (file)
        fclose(file);
    return result;
}
