#include "fixture.h"

#include "sweepd/safetensors.h"

static const float first[] = {1, -2, 3, 0.5f, 1e-30f, -0.0f}, second[] = {7, 8};

static void write_sample(const char *path) {
    const SafetensorsEntry entries[] = {{"blocks.0.\"odd\" name", 2, {2, 3}, first}, {"b", 1, {2, 1}, second}};
    const char *const pairs[] = {"format", "pt", "step", "12"};
    Error error = {0};
    if (safetensors_write(path, entries, 2, pairs, 2, &error))
        fail_msg("%s", error.text);
}

static void test_round_trip(void **state) {
    (void)state;
    const char *path = scratch_path("round.safetensors");
    write_sample(path);
    Safetensors *file;
    Error error = {0};
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    assert_int_equal(safetensors_count(file), 2);
    const SafetensorsEntry *entry = safetensors_find(file, "blocks.0.\"odd\" name");
    assert_non_null(entry);
    assert_ptr_equal(entry, safetensors_entry(file, 0));
    assert_int_equal(entry->dimensions, 2);
    assert_true(entry->shape[0] == 2 && entry->shape[1] == 3);
    assert_memory_equal(entry->data, first, sizeof first);
    entry = safetensors_find(file, "b");
    assert_int_equal(entry->dimensions, 1);
    assert_true(entry->shape[0] == 2 && entry->shape[1] == 1);
    assert_memory_equal(entry->data, second, sizeof second);
    assert_null(safetensors_find(file, "c"));
    assert_string_equal(safetensors_metadata(file, "step"), "12");
    assert_null(safetensors_metadata(file, "none"));
    safetensors_free(file);
}

/* The format as its specification has it: length, header, data; tensors in any order in the header, no metadata. `spaces` end the header,
 * so that the data lie at every distance from a multiple of a float's size. */
static void check_foreign_file(size_t spaces) {
    static const char header[] = "{\"w\":{\"shape\":[1,2],\"data_offsets\":[4,12],\"dtype\":\"F32\"},"
                                 "\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    static const float data[] = {5, 6, 7};
    const size_t size = sizeof header - 1 + spaces;
    uint8_t bytes[256] = {(uint8_t)size};
    memset(bytes + 8, ' ', size);
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + size, data, sizeof data);
    const char *path = scratch_path("foreign.safetensors");
    scratch_write(path, bytes, 8 + size + sizeof data);
    Safetensors *file;
    Error error = {0};
    if (safetensors_open(&file, path, &error))
        fail_msg("%s", error.text);
    assert_string_equal(safetensors_entry(file, 0)->name, "v");
    assert_true(safetensors_find(file, "w")->data[0] == 6 && safetensors_find(file, "w")->data[1] == 7);
    assert_null(safetensors_metadata(file, "step"));
    safetensors_free(file);
}

static void test_foreign_file(void **state) {
    (void)state;
    for (size_t spaces = 0; spaces < 4; spaces++)
        check_foreign_file(spaces);
}

typedef struct Wrong {
    const char *header;
    size_t data_size;
    const char *part;
} Wrong;

#define TENSOR(name, type, shape, offsets) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const Wrong wrong[] = {
    {"{\"a\":", 0, "byte 13: the header is not JSON"},
    {"[1]", 0, "byte 8: the header is not a JSON object"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[0,4]") "}", 4, "duplicate"},
    {"{\"a\":3}", 0, "byte 9: tensor \"a\": needs dtype, shape and two data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "byte 9: tensor \"a\": needs dtype"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "BF16", "[1]", "[4,6]") "}", 6, "byte 62: tensor \"b\": its dtype is not F32"},
    {"{" TENSOR("a", "F32", "[1,1,1]", "[0,4]") "}", 4, "neither 1 nor 2 dimensions"},
    {"{" TENSOR("a", "F32", "[]", "[0,4]") "}", 4, "neither 1 nor 2 dimensions"},
    {"{" TENSOR("a", "F32", "[0]", "[0,0]") "}", 0, "its shape is not of whole numbers from 1"},
    {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, "its shape is not"},
    {"{" TENSOR("a", "F32", "[1.5]", "[0,4]") "}", 4, "its shape is not"},
    {"{" TENSOR("a", "F32", "[4611686018427387904,4]", "[0,4]") "}", 4, "its shape is not"},
    {"{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 8, "its data_offsets do not hold its shape"},
    {"{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 4, "its data_offsets are outside of the file"},
    {"{" TENSOR("a", "F32", "[1]", "[-4,0]") "}", 4, "its data_offsets are outside"},
    {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, "its data_offsets are outside"},
    {"{" TENSOR("a", "F32", "[1]", "[\"0\",4]") "}", 4, "its data_offsets are outside"},
    {"{" TENSOR("a", "F32", "[1]", "[2,6]") "}", 8, "do not start at a multiple of 4"},
    {"{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("b", "F32", "[2]", "[4,12]") "}", 12, "byte 62: tensor \"b\": it overlaps another"},
    {"{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, "tensor \"a\": bytes before it are no tensor's"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 8, "byte 66: bytes that are no tensor's"},
    {"{\"__metadata__\":{\"step\":12}}", 0, "tensor \"__metadata__\": not an object of texts"},
    {"{\"__metadata__\":[]}", 0, "not an object of texts"},
};

static void assert_refused(const char *path, const char *part) {
    Safetensors *file;
    Error error = {0};
    assert_int_equal(safetensors_open(&file, path, &error), DATA_REFUSED);
    assert_null(file);
    if (!strstr(error.text, path) || !strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_wrong_files(void **state) {
    (void)state;
    const char *path = scratch_path("wrong.safetensors");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t bytes[512] = {(uint8_t)strlen(wrong[i].header)};
        memcpy(bytes + 8, wrong[i].header, strlen(wrong[i].header));
        scratch_write(path, bytes, 8 + strlen(wrong[i].header) + wrong[i].data_size);
        assert_refused(path, wrong[i].part);
    }
    static const uint8_t huge[9] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{'};
    scratch_write(path, huge, sizeof huge);
    assert_refused(path, "byte 0: a header of 18446744073709551615 bytes");
    scratch_write(path, huge, 3);
    assert_refused(path, "byte 3: the file ends inside its first number");
    assert_refused(scratch_path("missing"), "No such file");
    assert_refused(scratch_root, "not a regular file");
}

static void assert_begins(const char *bytes, size_t size, bool as_such) {
    const char *path = scratch_path("begins");
    scratch_write(path, bytes, size);
    assert_int_equal(safetensors_is_there(path), as_such);
}

static void test_is_there(void **state) {
    (void)state;
    const char *path = scratch_path("there.safetensors");
    write_sample(path);
    assert_true(safetensors_is_there(path));
    assert_int_equal(symlink(path, scratch_path("link.safetensors")), 0);
    assert_false(safetensors_is_there(scratch_path("link.safetensors")));
    assert_false(safetensors_is_there(scratch_path("missing")));
    assert_false(safetensors_is_there(scratch_root));
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    assert_false(safetensors_is_there(scratch_path("fifo")));
    assert_begins("\2\0\0\0\0\0\0\0{}", 10, true);
    assert_begins("\3\0\0\0\0\0\0\0{}", 10, false); /* longer than the file */
    assert_begins("\2\0\0\0\0\0\0\x80{}", 10, false);
    assert_begins("\2\0\0\0\0\0\0\0[]", 10, false);
    assert_begins("\1\0\0\0\0\0\0\0", 8, false);
    assert_begins("a text, and no weights", 22, false);
}

/* Whatever the bytes are, the answer is a file whose every value can be read, or a refusal that says where. */
static void assert_safe(const char *path) {
    Safetensors *file;
    Error error = {0};
    int result = safetensors_open(&file, path, &error);
    if (result) {
        assert_int_equal(result, DATA_REFUSED);
        assert_non_null(strstr(error.text, ": byte "));
        return;
    }
    volatile float sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const SafetensorsEntry *entry = safetensors_entry(file, i);
        for (int64_t j = 0; j < entry->shape[0] * entry->shape[1]; j++)
            sum = sum + entry->data[j];
    }
    safetensors_free(file);
}

static void test_mutations(void **state) {
    (void)state;
    const char *path = scratch_path("mutated.safetensors");
    write_sample(path);
    size_t size;
    uint8_t *whole = scratch_read(path, &size), *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t keep = 0; keep < size; keep++) {
        scratch_write(path, whole, keep);
        assert_refused(path, "byte ");
    }
    Rng rng;
    rng_init(&rng, 1, 0);
    static const char likely[] = "0123456789[]{},:\"-eE.F \\";
    for (int round = 0; round < 4000; round++) {
        memcpy(bytes, whole, size);
        for (uint64_t changes = 1 + rng_below(&rng, 3); changes; changes--) {
            size_t at = rng_below(&rng, 4) ? 8 + rng_below(&rng, size - 8) : rng_below(&rng, 8);
            bytes[at] = rng_below(&rng, 2) ? (uint8_t)likely[rng_below(&rng, sizeof likely - 1)] : (uint8_t)rng_next(&rng);
        }
        scratch_write(path, bytes, size);
        assert_safe(path);
    }
    free(bytes);
    free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_foreign_file), cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_is_there),   cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
