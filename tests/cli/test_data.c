/* `sweepctl data` on IDX files and on a file:// address. */
#include "cli.h"
#include "harness.h"

#include "sweepd/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 4, TRAIN = 6, TEST = 4, HEADER_MAX = 16 };

static const char *inside(const char *name) {
    static char path[PATH_TEXT_MAX];
    Error error;
    assert_int_equal(path_format(path, &error, "%s/%s", harness_folder(), name), 0);
    return path;
}

static void write_idx(const char *name, int count, bool images) {
    uint8_t bytes[HEADER_MAX + TRAIN * SIDE * SIDE] = {0, 0, 8, images ? 3 : 1, 0, 0, 0, (uint8_t)count, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    size_t header = images ? 16 : 8, size = (size_t)(images ? count * SIDE * SIDE : count);
    Error error;
    for (size_t i = 0; i < size; i++)
        bytes[header + i] = (uint8_t)(images ? 3 * i : i % 3);
    assert_int_equal(file_write_atomic(inside(name), bytes, header + size, 0644, &error), 0);
}

static int setup(void **state) {
    Error error;
    (void)state;
    if (directory_make(inside("idx"), 0755, &error))
        return -1;
    write_idx("idx/train-images-idx3-ubyte", TRAIN, true);
    write_idx("idx/train-labels-idx1-ubyte", TRAIN, false);
    write_idx("idx/t10k-images-idx3-ubyte", TEST, true);
    write_idx("idx/t10k-labels-idx1-ubyte", TEST, false);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    harness_clean();
    return 0;
}

/* A home that cannot be written to, or is none yet, can be looked into. */
static void test_looking_makes_nothing(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "data", "list");
    assert_says(&said.out, "No packs yet.");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "list", "--json");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "verify");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "show", "small");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "pack", "cifar10", "small");
    assert_says(&said.err, "'sweepctl data fetch cifar10' brings it");
    said_clear(&said);
    assert_false(file_exists(harness_home()));
}

static void test_pack_and_show(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "data", "list");
    assert_says(&said.out, "No packs yet.");
    assert_says(&said.out, "tiny-imagenet");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "small", "--size", "2");
    assert_says(&said.out, "IDX, 6 training and 4 test images of 2 x 2 x 1, 3 classes");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "list", "--json");
    json_t *root = said_json(&said), *pack = json_array_get(json_object_get(root, "packs"), 0);
    assert_int_equal(json_array_size(json_object_get(root, "packs")), 1);
    assert_int_equal(json_array_size(json_object_get(root, "known")), 4);
    assert_string_equal(json_string_value(json_object_get(pack, "name")), "small");
    assert_int_equal(json_integer_value(json_object_get(pack, "examples")), TRAIN);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "show", "small", "--json");
    root = said_json(&said);
    pack = json_object_get(root, "pack");
    assert_int_equal(json_integer_value(json_object_get(pack, "width")), 2);
    assert_int_equal(json_array_size(json_object_get(pack, "mean")), 1);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "show", "small");
    assert_says(&said.out, "6 to train on, 4 to test on");
    said_clear(&said);
}

/* What of the source is left, what a pack replaces, and a name that nothing looks for. */
static void test_pack_tells(void **state) {
    (void)state;
    Said said;
    Error error;
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "told", "--size", "2");
    assert_null(strstr(said.err.data ? said.err.data : "", "not taken"));
    said_clear(&said);
    assert_int_equal(file_write_atomic(inside("idx/notes.txt"), "x", 1, 0644, &error), 0);
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "told", "--size", "2");
    assert_says(&said.err, "1 file of the source was not taken: 1 .txt");
    assert_null(strstr(said.err.data, "another pack"));
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "told", "--size", "3", "--json");
    assert_says(&said.err, "told.pack was another pack before, of digest ");
    json_t *root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "not_taken"), ".txt")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "pack"), "width")), 3);
    json_decref(root);
    said_clear(&said);
    assert_int_equal(unlink(inside("idx/notes.txt")), 0);
    sweepctl_expect(&said, CLI_FAILED, "data", "pack", inside("idx"), "fashion-mnist");
    assert_says(&said.err, "fashion-mnist is a data set that sweepd packs by itself");
    said_clear(&said);
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/told.pack", harness_home());
    assert_int_equal(unlink(path), 0);
}

/* A class of which no test image is there, and one that is there to test on alone. */
static void test_pack_tells_of_halves(void **state) {
    (void)state;
    static const uint8_t train[] = {0, 0, 8, 1, 0, 0, 0, TRAIN, 0, 1, 1, 3, 0, 1}, test[] = {0, 0, 8, 1, 0, 0, 0, TEST, 0, 1, 2, 1};
    Said said;
    Error error;
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/halves.pack", harness_home());
    assert_int_equal(file_write_atomic(inside("idx/train-labels-idx1-ubyte"), train, sizeof train, 0644, &error), 0);
    assert_int_equal(file_write_atomic(inside("idx/t10k-labels-idx1-ubyte"), test, sizeof test, 0644, &error), 0);
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "halves");
    assert_says(&said.err, "1 class has training images but no test image, the first 3\n");
    assert_says(&said.err, "1 class has test images but no training image, the first 2\n");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "halves", "--json");
    json_t *root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(root, "empty_classes")), 0);
    assert_int_equal(json_integer_value(json_object_get(root, "untested_classes")), 1);
    assert_int_equal(json_integer_value(json_object_get(root, "untrained_classes")), 1);
    json_decref(root);
    said_clear(&said);
    assert_int_equal(unlink(path), 0);
    write_idx("idx/train-labels-idx1-ubyte", TRAIN, false);
    write_idx("idx/t10k-labels-idx1-ubyte", TEST, false);
}

/* A sweep takes shapes from the pack by its name. */
static void test_sweep_of_a_pack(void **state) {
    (void)state;
    static const char text[] =
        "version: 1\nname: packed\ndata: {name: %s}\nmodel: {kind: bmlp}\n"
        "grid: {depth: 1, width: 8, examples: [3, 6]}\n"
        "train: {epochs: 1, batch: 2, optimizer: {name: lion, lr: 0.001}, augment: {flip: true, crop: {padding: 1}}}\n";
    Said said;
    char file[1024];
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "square", "--size", "3");
    said_clear(&said);
    snprintf(file, sizeof file, text, "square");
    sweepctl_expect(&said, CLI_OK, "plan", harness_file("packed.yaml", file), "--json");
    json_t *root = said_json(&said), *model = json_array_get(json_object_get(root, "models"), 0);
    /* 9 inputs, width 8, expansion 4, 3 classes */
    assert_int_equal(json_integer_value(json_object_get(model, "params")), 80 + 16 + 8 * 32 + 32 + 32 * 8 + 8 + 27);
    assert_int_equal(json_integer_value(json_object_get(root, "runs")), 2);
    json_decref(root);
    said_clear(&said);
    snprintf(file, sizeof file, text, "nowhere");
    sweepctl_expect(&said, CLI_USAGE, "validate", harness_file("packed.yaml", file));
    assert_says(&said.err, "or a pack that 'sweepctl data pack' made in this home");
    said_clear(&said);
    snprintf(file, sizeof file, text, "square, validation: 6");
    sweepctl_expect(&said, CLI_USAGE, "validate", harness_file("packed.yaml", file));
    assert_says(&said.err, "square has 6 examples");
    said_clear(&said);
}

static void overwrite(const char *path, long offset, const char *bytes, size_t size) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* What decides a result is covered by the digest. Nothing that a header says is taken for a line. */
static void test_headers(void **state) {
    (void)state;
    static const struct {
        long offset;
        const char *bytes;
        size_t size;
        const char *says;
    } damages[] = {
        {296, "\0\0\0", 3, "broken.pack: byte 160: the bytes do not have the header's digest"},
        {256, "\1\0\0\0\0\0\0\0\x10", 9, "broken.pack: byte 160: the bytes do not have the header's digest"},
        {98, "\n", 1, "broken.pack: byte 98: the name is not of letters"},
        {161, "\"\xff", 2, "broken.pack: byte 161: the digest is not of 64 hexadecimal digits"},
        {8, "\2", 1, "broken.pack: byte 8: packed in version 2 of the format, where 3 is read: make it again by 'sweepctl data pack'"},
    };
    Said said;
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/broken.pack", harness_home());
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), path);
        said_clear(&said);
        overwrite(path, damages[i].offset, damages[i].bytes, damages[i].size);
        sweepctl_expect(&said, CLI_FAILED, "data", "verify", "broken");
        assert_says(&said.err, damages[i].says);
        assert_ptr_equal(strchr(said.err.data, '\n'), said.err.data + said.err.size - 1);
        said_clear(&said);
        if (damages[i].offset >= 256)
            continue;
        sweepctl_expect(&said, CLI_FAILED, "data", "show", "broken", "--json");
        assert_says(&said.err, damages[i].says);
        assert_int_equal(said.out.size, 0);
        said_clear(&said);
        sweepctl_expect(&said, CLI_OK, "data", "list");
        assert_says(&said.err, damages[i].says);
        said_clear(&said);
    }
    unlink(path);
}

/* Grey images in colour: three channels that are one. */
static void test_pack_in_colour(void **state) {
    (void)state;
    Said said;
    Error error;
    DatasetMap *data;
    char path[PATH_TEXT_MAX];
    float x[3 * SIDE * SIDE];
    uint16_t label;
    snprintf(path, sizeof path, "%s/data/coloured.pack", harness_home());
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "coloured", "--colour");
    assert_says(&said.out, "IDX, 6 training and 4 test images of 4 x 4 x 3, 3 classes");
    said_clear(&said);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    batch_gather(data, DATA_TRAIN, &(uint32_t){1}, 1, x, &label);
    for (int i = 0; i < SIDE * SIDE; i++)
        assert_true(x[i] == x[SIDE * SIDE + i] && x[i] == x[2 * SIDE * SIDE + i] && (i == 0 || x[i] != x[i - 1]));
    dataset_free(data);
    unlink(path);
    sweepctl_expect(&said, CLI_USAGE, "data", "pack", inside("idx"), "coloured", "--colour", "--grey");
    assert_says(&said.err, "--grey or --colour, not both");
    said_clear(&said);
}

static void test_verify(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), "sound");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "verify", "sound");
    assert_says(&said.out, "ok    ");
    said_clear(&said);
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/broken.pack", harness_home());
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("idx"), path);
    said_clear(&said);
    overwrite(path, 4096, "M", 1);
    sweepctl_expect(&said, CLI_FAILED, "data", "verify", "broken");
    assert_says(&said.err, "the bytes do not have the header's digest");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "show", "broken"); /* its header is right, and the help says what that means */
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "--help");
    assert_says(&said.out, "looks at header, labels and class names, not at the images");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "verify");
    assert_says(&said.out, "sound.pack");
    assert_says(&said.err, "packs cannot be used");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "verify", "--json");
    json_t *root = json_loads(said.out.data, 0, NULL), *packs = json_object_get(root, "packs"), *pack;
    size_t i, good = 0, bad = 0;
    json_array_foreach(packs, i, pack) {
        bool ok = json_is_true(json_object_get(pack, "ok"));
        good += ok && strlen(json_string_value(json_object_get(pack, "digest"))) == 64;
        bad += !ok && strstr(json_string_value(json_object_get(pack, "problem")), "do not have the header's digest");
    }
    assert_true(good >= 1 && bad == 1 && good + bad == json_array_size(packs));
    json_decref(root);
    said_clear(&said);
    unlink(path);
}

static void test_fetch(void **state) {
    (void)state;
    Said said;
    char url[PATH_TEXT_MAX], md5[SHA256_HEX_MAX];
    Error error;
    const char *file = harness_file("set.bin", "some bytes");
    snprintf(url, sizeof url, "file://%s", file);
    assert_int_equal(digest_file(DIGEST_MD5, file, md5, &error), 0);
    sweepctl_expect(&said, CLI_OK, "data", "fetch", "set", "--url", url, "--md5", md5);
    assert_says(&said.out, "data/downloads/set.fetched\n");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "fetch", "set", "--url", url, "--md5", md5, "--json");
    assert_says(&said.out, "{\"schema_version\":1,\"file\":\"");
    assert_says(&said.out, "data/downloads/set.fetched\"}\n");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "fetch", "cifar10", "--url", url);
    assert_says(&said.err, "its MD5 is");
    assert_says(&said.err, "c32a1d4ab5d03f1284b67883e8d87530 is expected");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "pack", "cifar10", "cifar10");
    assert_says(&said.err, "'sweepctl data fetch cifar10' brings it");
    said_clear(&said);
}

/* Found before a byte is fetched: what has another checksum is removed. */
static void test_fetch_checksums(void **state) {
    (void)state;
    static const char zeros[] = "00000000000000000000000000000000";
    static const char *const wrong[][3] = {
        {"--md5", "zzz", "--md5 zzz: 32 hexadecimal digits are wanted"},
        {"--md5", "0000000000000000000000000000000g", "32 hexadecimal digits are wanted"},
        {"--sha256", zeros, "64 hexadecimal digits are wanted"},
    };
    Said said;
    char url[PATH_TEXT_MAX];
    snprintf(url, sizeof url, "file://%s", harness_file("set.bin", "some bytes"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sweepctl_expect(&said, CLI_USAGE, "data", "fetch", "sums", "--url", url, wrong[i][0], wrong[i][1]);
        assert_says(&said.err, wrong[i][2]);
        said_clear(&said);
    }
    sweepctl_expect(&said, CLI_FAILED, "data", "fetch", "sums", "--url", url, "--md5", zeros);
    assert_says(&said.err, "its MD5 is");
    said_clear(&said);
}

/* Two tars with one name, each a CIFAR-10 of `first` and so on in its bytes. */
static void write_tar(const char *folder, int first) {
    static const char *const names[] = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"};
    uint8_t record[3073];
    char path[PATH_TEXT_MAX], command[2 * PATH_TEXT_MAX];
    Error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memset(record, first + (int)i, sizeof record);
        record[0] = (uint8_t)(i % 3);
        assert_int_equal(path_format(path, &error, "%s/%s/in", harness_folder(), folder), 0);
        assert_int_equal(directory_make(path, 0755, &error), 0);
        assert_int_equal(path_format(path, &error, "%s/%s/in/%s.bin", harness_folder(), folder, names[i]), 0);
        assert_int_equal(file_write_atomic(path, record, sizeof record, 0644, &error), 0);
    }
    snprintf(command, sizeof command, "tar -C '%s/%s' -cf '%s/%s/fold.tar' in", harness_folder(), folder, harness_folder(), folder);
    assert_int_equal(system(command), 0);
}

/* What was fetched is found again by its name, also where the addresses end alike. */
static void test_fetch_by_name(void **state) {
    (void)state;
    static const char *const names[] = {"mine", "yours"};
    Said said;
    char url[PATH_TEXT_MAX];
    for (int i = 0; i < 2; i++) {
        write_tar(names[i], 10 + 100 * i);
        snprintf(url, sizeof url, "file://%s/%s/fold.tar", harness_folder(), names[i]);
        sweepctl_expect(&said, CLI_OK, "data", "fetch", names[i], "--url", url);
        said_clear(&said);
    }
    for (int i = 0; i < 2; i++) {
        sweepctl_expect(&said, CLI_OK, "data", "pack", names[i], names[i]);
        assert_says(&said.out, "CIFAR-10, 5 training and 1 test images");
        said_clear(&said);
        sweepctl_expect(&said, CLI_OK, "data", "show", names[i], "--json");
        json_t *root = said_json(&said), *mean = json_object_get(json_object_get(root, "pack"), "mean");
        double first = 255 * json_real_value(json_array_get(mean, 0));
        assert_true(first > 11.99 + 100 * i && first < 12.01 + 100 * i);
        json_decref(root);
        said_clear(&said);
    }
    sweepctl_expect(&said, CLI_OK, "data", "list", "--json");
    json_t *root = said_json(&said), *fetched = json_object_get(root, "fetched");
    assert_int_equal(json_array_size(fetched), 3); /* and "set" */
    assert_string_equal(json_string_value(json_object_get(json_array_get(fetched, 0), "name")), "mine");
    assert_true(json_is_true(json_object_get(json_array_get(fetched, 0), "whole")));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "data", "list");
    assert_says(&said.out, "yours");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "data", "pack", "theirs", "theirs");
    assert_says(&said.err, "theirs is not there, and nothing was fetched under that name");
    said_clear(&said);
}

/* The source, or whatever else has the name, is not given for a pack. */
static void test_pack_replaces_packs_alone(void **state) {
    (void)state;
    static const char old[4096] = "SWEEPDPK\1";
    char tar[PATH_TEXT_MAX], out[PATH_TEXT_MAX];
    struct stat before, after;
    Error error;
    Said said;
    write_tar("replaced", 10);
    text_copy(tar, sizeof tar, inside("replaced/fold.tar"));
    sweepctl_expect(&said, CLI_OK, "data", "pack", tar, inside("replaced/good.pack"));
    said_clear(&said);
    assert_int_equal(symlink("good.pack", inside("replaced/link.pack")), 0);
    assert_int_equal(symlink("nowhere", inside("replaced/dangling.pack")), 0);
    assert_int_equal(mkfifo(inside("replaced/fifo.pack"), 0600), 0);
    const struct {
        const char *source, *out, *message;
    } wrong[] = {
        {"fold.tar", "fold.tar", "fold.tar is the source itself; choose another OUT"},
        {"in", "in", "in is the source itself; choose another OUT"},
        {"in", "in/test_batch.bin", "lies in the source"},
        {"in", "in/new.pack", "lies in the source"},
        {"in", "in/../in/new.pack", "lies in the source"},
        {"fold.tar", "in/test_batch.bin", "is there and is no packed data set; choose another OUT"},
        {"fold.tar", "in", "is there and is no packed data set; choose another OUT"},
        {"fold.tar", "link.pack", "is a symbolic link; choose another OUT"},
        {"fold.tar", "dangling.pack", "is a symbolic link; choose another OUT"},
        {"fold.tar", "fifo.pack", "is there and is no packed data set; choose another OUT"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char source[PATH_TEXT_MAX];
        snprintf(source, sizeof source, "%s/replaced/%s", harness_folder(), wrong[i].source);
        snprintf(out, sizeof out, "%s/replaced/%s", harness_folder(), wrong[i].out);
        bool is_there = !lstat(out, &before);
        sweepctl_expect(&said, CLI_FAILED, "data", "pack", source, out, "--name", "other");
        assert_says(&said.err, wrong[i].message);
        said_clear(&said);
        assert_int_equal(!lstat(out, &after), is_there);
        assert_true(!is_there || before.st_ino == after.st_ino);
    }
    text_copy(out, sizeof out, inside("replaced/old.pack"));
    assert_int_equal(file_write_atomic(out, old, sizeof old, 0644, &error), 0);
    sweepctl_expect(&said, CLI_OK, "data", "pack", tar, out);
    said_clear(&said);
    text_copy(out, sizeof out, inside("replaced/in.pack"));
    sweepctl_expect(&said, CLI_OK, "data", "pack", inside("replaced/in"), out);
    said_clear(&said);
}

static void expect_usage(const char *message, const char *first, const char *second, const char *third) {
    Said said;
    sweepctl(&said, "data", first, second, third, NULL);
    assert_int_equal(said.code, CLI_USAGE);
    assert_says(&said.err, message);
    said_clear(&said);
}

static void test_mistakes(void **state) {
    (void)state;
    expect_usage("is one of list|fetch|pack|verify|show", "dance", NULL, NULL);
    expect_usage("no data set is known as 'mnist'; known are cifar10", "fetch", "mnist", NULL);
    expect_usage("is no name for a data set", "fetch", "a/b", "--url=http://127.0.0.1/file");
    expect_usage("data fetch needs one NAME", "fetch", NULL, NULL);
    expect_usage("data pack needs SOURCE and OUT", "pack", "x", NULL);
    expect_usage("is no name for a data set", "pack", "x", "a/.pack");
    expect_usage("takes no further argument", "list", "x", NULL);
    expect_usage("needs a NAME or a FILE", "show", NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looking_makes_nothing),
        cmocka_unit_test(test_pack_and_show),
        cmocka_unit_test(test_pack_tells),
        cmocka_unit_test(test_sweep_of_a_pack),
        cmocka_unit_test(test_pack_in_colour),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_fetch_checksums),
        cmocka_unit_test(test_fetch_by_name),
        cmocka_unit_test(test_pack_replaces_packs_alone),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_pack_tells_of_halves),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
