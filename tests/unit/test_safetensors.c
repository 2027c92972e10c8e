/* Every rule of the safetensors reader, and a writer whose files the reader takes back unchanged. */
#include "common/safetensors.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/checksum.h"
#include "common/file.h"
#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

/* ---- Making files by hand ---- */

typedef struct {
    char *bytes; /* malloc'd at exactly its size: aligned, and a sanitizer sees a read beyond */
    size_t size;
} blob;

/* A file with this header, padded, and `data_bytes` of data whose float i is i. */
static blob make_file(const char *header, size_t data_bytes)
{
    uint64_t padded = (strlen(header) + 7) / 8 * 8;
    blob b = {.size = 8 + padded + data_bytes};
    b.bytes = malloc(b.size);
    assert_non_null(b.bytes);
    memcpy(b.bytes, &padded, 8);
    memset(b.bytes + 8, ' ', padded);
    memcpy(b.bytes + 8, header, strlen(header));
    memset(b.bytes + 8 + padded, 0, data_bytes);
    for (size_t i = 0; i < data_bytes / 4; i++)
        memcpy(b.bytes + 8 + padded + 4 * i, &(float){(float)i}, 4);
    return b;
}

static void refused(blob b, ps_status expected, const char *reason)
{
    safetensors_file file;
    ps_error error = {.text = ""};
    assert_int_equal(safetensors_parse(b.bytes, b.size, &file, &error), expected);
    assert_string_equal(error.text, reason);
    assert_int_equal(file.count, 0);
    free(b.bytes);
}

static void header_refused(const char *header, size_t data_bytes, const char *reason)
{
    refused(make_file(header, data_bytes), PS_EFORMAT, reason);
}

#define TWO_TENSORS                                                      \
    "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}," \
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"

/* ---- Reading ---- */

static void tensors_come_in_the_order_of_their_data(void **state)
{
    (void)state;
    blob b = make_file(TWO_TENSORS, 24);
    safetensors_file file;
    assert_int_equal(safetensors_parse(b.bytes, b.size, &file, NULL), PS_OK);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.entries[0].name, "a");
    assert_int_equal(file.entries[0].rank, 2);
    assert_int_equal(file.entries[0].shape[1], 2);
    assert_int_equal(file.entries[0].elements, 4);
    assert_true(file.entries[0].values[3] == 3);
    assert_string_equal(file.entries[1].name, "b");
    assert_true(file.entries[1].values[0] == 4);
    assert_ptr_equal(safetensors_find(&file, "b"), &file.entries[1]);
    assert_null(safetensors_find(&file, "c"));
    safetensors_close(&file);
    assert_int_equal(file.count, 0);
    safetensors_close(&file);
    free(b.bytes);
}

static void scalars_empty_tensors_metadata_and_unknown_keys_are_accepted(void **state)
{
    (void)state;
    blob b = make_file("{\"__metadata__\":{\"k\":\"v\"},"
                       "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"new\":1},"
                       "\"z\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[4,4]},"
                       "\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                       4);
    safetensors_file file;
    assert_int_equal(safetensors_parse(b.bytes, b.size, &file, NULL), PS_OK);
    assert_int_equal(file.count, 3);
    assert_string_equal(file.entries[0].name, "e");
    assert_string_equal(file.entries[1].name, "scalar");
    assert_int_equal(file.entries[1].elements, 1);
    assert_string_equal(file.entries[2].name, "z");
    assert_int_equal(file.entries[2].elements, 0);
    safetensors_close(&file);
    free(b.bytes);

    b = make_file("{}", 0);
    assert_int_equal(safetensors_parse(b.bytes, b.size, &file, NULL), PS_OK);
    assert_int_equal(file.count, 0);
    safetensors_close(&file);
    free(b.bytes);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    blob whole = make_file(TWO_TENSORS, 24);
    for (size_t size = 0; size < whole.size; size++) {
        char *cut = malloc(size ? size : 1);
        memcpy(cut, whole.bytes, size);
        safetensors_file file;
        assert_int_equal(safetensors_parse(cut, size, &file, NULL), PS_EFORMAT);
        free(cut);
    }
    whole.size = 7;
    refused(whole, PS_EFORMAT, "7 bytes are too few for a safetensors file");
}

static void a_bad_header_length_is_refused(void **state)
{
    (void)state;
    blob b = make_file("{}", 0);
    memcpy(b.bytes, &(uint64_t){16}, 8);
    refused(b, PS_EFORMAT, "truncated: header length 16 in a file of 16 bytes");
    b = make_file("{}", 0);
    memcpy(b.bytes, &(uint64_t){UINT64_MAX}, 8);
    refused(b, PS_EFORMAT, "header length 18446744073709551615 is above 16777216: not a safetensors file?");
    b = make_file("{}", 4);
    memcpy(b.bytes, &(uint64_t){12}, 8);
    refused(b, PS_EFORMAT, "header length 12 is not padded to a multiple of 8");
}

static void a_header_that_is_no_strict_json_object_is_refused(void **state)
{
    (void)state;
    header_refused("", 0, "header does not begin with '{'");
    header_refused("[]", 0, "header does not begin with '{'");
    header_refused(" {}", 0, "header does not begin with '{'");
    safetensors_file file;
    ps_error error;
    const char *broken[] = {"{", "{} x", "{\"a\":1,}", "{\"__metadata__\":{},\"__metadata__\":{}}"};
    for (int i = 0; i < 4; i++) {
        blob b = make_file(broken[i], 0);
        assert_int_equal(safetensors_parse(b.bytes, b.size, &file, &error), PS_EFORMAT);
        assert_non_null(strstr(error.text, "header: line 1, column "));
        free(b.bytes);
    }
}

#define TENSOR(dtype, shape, offsets) \
    "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void a_bad_description_is_refused_with_the_tensor_named(void **state)
{
    (void)state;
    header_refused("{\"t\":1}", 0, "tensor 't': its description must be an object, not a number");
    header_refused("{\"t\":{}}", 0, "tensor 't': dtype is missing; it must be a string");
    header_refused(TENSOR("\"BF16\"", "[1]", "[0,2]"), 2,
                   "tensor 't': dtype is 'BF16'; only F32 is supported");
    header_refused(TENSOR("\"F32\"", "4", "[0,4]"), 4, "tensor 't': shape must be a list, not a number");
    header_refused(TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4,
                   "tensor 't': shape has 9 dimensions, more than 8");
    header_refused(TENSOR("\"F32\"", "[1048576,1048577]", "[0,4]"), 4,
                   "tensor 't': shape makes more than 2^40 elements");
    header_refused(TENSOR("\"F32\"", "[1099511627776,1099511627776,1099511627776]", "[0,4]"), 4,
                   "tensor 't': shape makes more than 2^40 elements");
    header_refused(TENSOR("\"F32\"", "[1]", "{}"), 4,
                   "tensor 't': data_offsets must be a list, not an object");
    header_refused(TENSOR("\"F32\"", "[1]", "[0]"), 4, "tensor 't': data_offsets has 1 entries, not 2");
    header_refused(TENSOR("\"F32\"", "[1]", "[0,4,8]"), 4, "tensor 't': data_offsets has 3 entries, not 2");
}

static void numbers_must_be_whole_and_in_range(void **state)
{
    (void)state;
    const char *headers[] = {
        TENSOR("\"F32\"", "[-1]", "[0,4]"),    TENSOR("\"F32\"", "[1.5]", "[0,4]"),
        TENSOR("\"F32\"", "[\"1\"]", "[0,4]"), TENSOR("\"F32\"", "[1e300]", "[0,4]"),
        TENSOR("\"F32\"", "[1]", "[-4,0]"),    TENSOR("\"F32\"", "[1]", "[0,4.5]"),
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        blob b = make_file(headers[i], 4);
        safetensors_file file;
        ps_error error;
        assert_int_equal(safetensors_parse(b.bytes, b.size, &file, &error), PS_EFORMAT);
        assert_non_null(strstr(error.text, i < 4 ? "tensor 't': each size in shape must be a whole number"
                                                 : "tensor 't': data_offsets["));
        free(b.bytes);
    }
}

static void offsets_must_lie_in_the_data_and_match_the_shape(void **state)
{
    (void)state;
    header_refused(TENSOR("\"F32\"", "[2]", "[0,8]"), 4,
                   "tensor 't': data_offsets [0, 8] are not within the 4 bytes of data");
    header_refused(TENSOR("\"F32\"", "[2]", "[4,0]"), 8,
                   "tensor 't': data_offsets [4, 0] are not within the 8 bytes of data");
    header_refused(TENSOR("\"F32\"", "[2]", "[0,4]"), 8,
                   "tensor 't': data_offsets span 4 bytes, shape asks for 8");
}

#define PAIR(first, second)                                                \
    "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" first "}," \
    "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" second "}}"

static void holes_and_overlap_are_refused(void **state)
{
    (void)state;
    header_refused(PAIR("[0,8]", "[4,12]"), 12, "tensors 'x' and 'y' overlap at byte 4 of the data");
    header_refused(PAIR("[0,8]", "[0,8]"), 8, "tensors 'x' and 'y' overlap at byte 0 of the data");
    header_refused(PAIR("[0,8]", "[12,20]"), 20, "a hole of 4 bytes in the data before tensor 'y'");
    header_refused(PAIR("[12,20]", "[4,12]"), 20, "a hole of 4 bytes in the data before tensor 'y'");
    header_refused(PAIR("[0,8]", "[8,16]"), 20, "4 bytes of data belong to no tensor");
    header_refused("{}", 8, "8 bytes of data belong to no tensor");
}

static void metadata_must_be_strings_and_few(void **state)
{
    (void)state;
    header_refused("{\"__metadata__\":[]}", 0, "__metadata__ must be an object, not a list");
    header_refused("{\"__metadata__\":{\"step\":7}}", 0,
                   "__metadata__: 'step' must be a string, not a number");
    char header[1200] = "{\"__metadata__\":{\"k0\":\"\"";
    for (int i = 1; i < 65; i++)
        snprintf(header + strlen(header), sizeof header - strlen(header), ",\"k%d\":\"\"", i);
    strcat(header, "}}");
    refused(make_file(header, 0), PS_ELIMIT, "__metadata__ has 65 entries, more than 64");
}

static void names_and_their_number_are_bounded(void **state)
{
    (void)state;
    header_refused("{\"\":{}}", 0, "tensor name '' of 0 bytes is not within 1 ... 127");
    char header[200] = "{\"";
    memset(header + 2, 'n', 128);
    strcat(header, "\":{}}");
    header_refused(
        header, 0,
        "tensor name 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' of 128 bytes is not within 1 ... 127");

    enum { TENSORS = TENSOR_TABLE_MAX + 1, EACH = 12 };
    char *many = malloc(TENSORS * EACH + 3);
    size_t used = (size_t)sprintf(many, "{\"0\":0");
    for (int i = 1; i < TENSORS; i++)
        used += (size_t)sprintf(many + used, ",\"%d\":0", i);
    strcpy(many + used, "}");
    refused(make_file(many, 0), PS_ELIMIT, "header has 65537 tensors, more than 65536");
    free(many);
}

/* ---- Writing ---- */

static float weights[6] = {0, -1.5F, 2, 3, 4, 5};
static float bias[3] = {7, 8, 9};

static safetensors_entry sample_entry(int i)
{
    return i == 0
               ? (safetensors_entry){.name = "dense/\"k\\\n\xc3\xa9",
                                     .rank = 2,
                                     .shape = {2, 3},
                                     .elements = 6,
                                     .values = weights}
               : (safetensors_entry){.name = "bias", .rank = 1, .shape = {3}, .elements = 3, .values = bias};
}

static ps_status write_sample(const char *path, ps_error *error)
{
    const safetensors_entry entries[] = {sample_entry(0), sample_entry(1)};
    const safetensors_metadata metadata[] = {{"step", "12"}, {"who", "a \"b\""}};
    return safetensors_write(path, entries, 2, metadata, 2, error);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    assert_int_equal(write_sample("model", NULL), PS_OK);
    safetensors_file file;
    ps_error error = {.text = ""};
    assert_int_equal(safetensors_open("model", &file, &error), PS_OK);
    assert_int_equal(file.count, 2);
    for (int i = 0; i < 2; i++) {
        safetensors_entry expected = sample_entry(i);
        assert_string_equal(file.entries[i].name, expected.name);
        assert_int_equal(file.entries[i].rank, expected.rank);
        assert_memory_equal(file.entries[i].shape, expected.shape, sizeof expected.shape);
        assert_int_equal(file.entries[i].elements, expected.elements);
        assert_memory_equal(file.entries[i].values, expected.values, expected.elements * 4);
    }
    safetensors_close(&file);
    assert_int_equal(folder_count("."), 1);
}

/* The format is a promise to other readers, so the bytes themselves are compared. */
static void the_bytes_written_are_these(void **state)
{
    (void)state;
    assert_int_equal(write_sample("model", NULL), PS_OK);
    static const char header[] = "{\"__metadata__\":{\"step\":\"12\",\"who\":\"a \\\"b\\\"\"},"
                                 "\"dense/\\\"k\\\\\\u000a\xc3\xa9\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                                 "\"data_offsets\":[0,24]},"
                                 "\"bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]}}";
    blob expected = make_file(header, 36);
    memcpy(expected.bytes + expected.size - 36, weights, 24);
    memcpy(expected.bytes + expected.size - 12, bias, 12);
    char *bytes;
    size_t size;
    assert_int_equal(file_read("model", 10000, &bytes, &size, NULL), PS_OK);
    assert_int_equal(size, expected.size);
    assert_memory_equal(bytes, expected.bytes, size);
    free(bytes);
    free(expected.bytes);
}

static void checksums_are_those_of_the_values(void **state)
{
    (void)state;
    const safetensors_entry entries[] = {sample_entry(0), sample_entry(1)};
    uint32_t sums[2];
    assert_int_equal(safetensors_write_summed("model", entries, 2, NULL, 0, sums, NULL), PS_OK);
    assert_int_equal(sums[0], checksum(weights, sizeof weights));
    assert_int_equal(sums[1], checksum(bias, sizeof bias));
}

static void a_file_without_tensors_or_metadata_is_possible(void **state)
{
    (void)state;
    assert_int_equal(safetensors_write("model", NULL, 0, NULL, 0, NULL), PS_OK);
    safetensors_file file;
    assert_int_equal(safetensors_open("model", &file, NULL), PS_OK);
    assert_int_equal(file.count, 0);
    safetensors_close(&file);
}

static void write_refused(const safetensors_entry *entries, uint32_t count, const char *reason)
{
    ps_error error;
    assert_int_equal(safetensors_write("model", entries, count, NULL, 0, &error), PS_EINVAL);
    assert_non_null(strstr(error.text, "cannot write model: "));
    assert_non_null(strstr(error.text, reason));
    assert_int_equal(folder_count("."), 0);
}

static void what_could_not_be_read_is_not_written(void **state)
{
    (void)state;
    safetensors_entry twice[] = {sample_entry(1), sample_entry(1)};
    write_refused(twice, 2, "bias");
    safetensors_entry e = sample_entry(1);
    e.name[0] = '\0';
    write_refused(&e, 1, "tensor name '' of 0 bytes");
    e = sample_entry(1);
    strcpy(e.name, "\xff");
    write_refused(&e, 1, "UTF-8");
    e = sample_entry(1);
    memset(e.name, 'n', sizeof e.name);
    write_refused(&e, 1, "tensor 0 has an endless name");
    e = sample_entry(1);
    strcpy(e.name, "__metadata__");
    write_refused(&e, 1, "__metadata__");
    e = sample_entry(1);
    e.shape[0] = 2;
    write_refused(&e, 1, "tensor 'bias': data_offsets span 12 bytes, shape asks for 8");
    e = sample_entry(1);
    e.rank = TENSOR_RANK_MAX + 1;
    write_refused(&e, 1, "tensor 'bias' has rank 9 and 3 elements, beyond 8 and 2^40");
    e = sample_entry(1);
    e.elements = UINT64_MAX;
    write_refused(&e, 1, "tensor 'bias' has rank 1 and 18446744073709551615 elements, beyond 8 and 2^40");
    write_refused(&e, TENSOR_TABLE_MAX + 1, "65537 tensors are more than 65536");
}

static void a_full_disk_leaves_the_old_file_and_no_temporary(void **state)
{
    (void)state;
    assert_int_equal(safetensors_write("model", NULL, 0, NULL, 0, NULL), PS_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ps_error error;
    ps_status status = write_sample("model", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, PS_EIO);
    assert_string_equal(error.text, "cannot write model: File too large");
    assert_int_equal(folder_count("."), 1);
    safetensors_file file;
    assert_int_equal(safetensors_open("model", &file, NULL), PS_OK);
    assert_int_equal(file.count, 0);
    safetensors_close(&file);
}

static void opening_names_the_path(void **state)
{
    (void)state;
    safetensors_file file;
    ps_error error;
    assert_int_equal(safetensors_open("absent", &file, &error), PS_ENOENT);
    assert_string_equal(error.text, "cannot open absent: No such file or directory");
    folder_put("short", "1234567", 7);
    assert_int_equal(safetensors_open("short", &file, &error), PS_EFORMAT);
    assert_string_equal(error.text, "short: 7 bytes are too few for a safetensors file");
    folder_put("empty", "", 0);
    assert_int_equal(safetensors_open("empty", &file, &error), PS_EFORMAT);
    assert_string_equal(error.text, "empty is empty");
    assert_int_equal(safetensors_open(".", &file, &error), PS_EFORMAT);
    assert_string_equal(error.text, ". is not a regular file");
    safetensors_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_in_the_order_of_their_data),
        cmocka_unit_test(scalars_empty_tensors_metadata_and_unknown_keys_are_accepted),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_bad_header_length_is_refused),
        cmocka_unit_test(a_header_that_is_no_strict_json_object_is_refused),
        cmocka_unit_test(a_bad_description_is_refused_with_the_tensor_named),
        cmocka_unit_test(numbers_must_be_whole_and_in_range),
        cmocka_unit_test(offsets_must_lie_in_the_data_and_match_the_shape),
        cmocka_unit_test(holes_and_overlap_are_refused),
        cmocka_unit_test(metadata_must_be_strings_and_few),
        cmocka_unit_test(names_and_their_number_are_bounded),
        FOLDER_TEST(what_is_written_is_read_back),
        FOLDER_TEST(the_bytes_written_are_these),
        FOLDER_TEST(checksums_are_those_of_the_values),
        FOLDER_TEST(a_file_without_tensors_or_metadata_is_possible),
        FOLDER_TEST(what_could_not_be_read_is_not_written),
        FOLDER_TEST(a_full_disk_leaves_the_old_file_and_no_temporary),
        FOLDER_TEST(opening_names_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
