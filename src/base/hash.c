#include "sweepd/base.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct Sha256 {
    EVP_MD_CTX *context;
};

int sha256_new(Sha256 **out, Error *error) {
    Sha256 *hash = calloc(1, sizeof *hash);
    if (!hash)
        return error_set(error, "out of memory");
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

static void hex_write(const unsigned char *bytes, char hex[SHA256_HEX_MAX]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[64] = '\0';
}

void sha256_finish(Sha256 *hash, char hex[SHA256_HEX_MAX]) {
    unsigned char bytes[EVP_MAX_MD_SIZE] = {0};
    EVP_DigestFinal_ex(hash->context, bytes, NULL);
    hex_write(bytes, hex);
}

int sha256_hex(const void *data, size_t size, char hex[SHA256_HEX_MAX], Error *error) {
    /* Fetching the algorithm costs more than hashing a run's text; it is made once. */
    static EVP_MD *algorithm;
    if (!algorithm)
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    if (!algorithm || EVP_Digest(data, size, bytes, NULL, algorithm, NULL) != 1)
        return error_set(error, "SHA-256 is not available");
    hex_write(bytes, hex);
    return 0;
}
