/* The v2 inference protocol's JSON: worker/v2_request and worker/v2_answer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"
#include "worker/inference.h"
#include "worker/v2_answer.h"
#include "worker/v2_request.h"

static const v2_model model = {.name = "m", .inputs = 3, .classes = 4, .rows_max = 5};

#define IMAGES "\"name\":\"images\","

static v2_request parse(const char *text)
{
    v2_request q;
    ps_error error = {PS_OK, ""};
    if (v2_request_parse(&model, text, strlen(text), &q, &error) != PS_OK)
        fail_msg("%s: %s", text, error.text);
    return q;
}

static void assert_features(const char *text, uint32_t rows, const float *values)
{
    v2_request q = parse(text);
    assert_int_equal(q.rows, rows);
    assert_memory_equal(q.features, values, rows * model.inputs * sizeof *values);
    v2_request_fini(&q);
    assert_null(q.features);
}

static void data_may_be_flat_or_nested_and_stand_anywhere(void **state)
{
    (void)state;
    static const float values[] = {0, 0.5F, 1, -2e-3F, 5, 6};
    static const char *const texts[] = {
        "{\"inputs\":[{" IMAGES "\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[0,0.5,1,-2e-3,5,6]}]}",
        "{\"inputs\":[{" IMAGES "\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[[0,0.5,1],[-2e-3,5,6]]}]}",
        "{\"inputs\":[{\"data\":[[0,0.5,1],[-2e-3,5,6]],\"shape\":[2,3],\"datatype\":\"FP32\",\"name\":"
        "\"images\"}"
        "],\"id\":\"x\"}",
        " { \"parameters\" : {\"a\":1,\"b\":\"x\",\"c\":false}, \"unknown\":[{\"data\":[]}], \"inputs\" : [ {"
        "\"datatype\":\"FP32\",\"data\":[ 0 , 0.5 , 1 , -2e-3,\n5,6 ],\"n\\u0061me\":\"images\", \"shape\": "
        "[2,3],"
        "\"parameters\":{}, \"other\":null} ] } \n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_features(texts[i], 2, values);
}

static void bytes_are_taken_as_images_have_them(void **state)
{
    (void)state;
    static const float values[] = {0, 51.0F / 255.0F, 1};
    assert_features("{\"inputs\":[{" IMAGES "\"datatype\":\"UINT8\",\"shape\":[1,3],\"data\":[0,51,255]}]}",
                    1, values);
}

static void outputs_are_all_unless_some_are_asked_for(void **state)
{
    (void)state;
#define INPUTS "\"inputs\":[{" IMAGES "\"datatype\":\"UINT8\",\"shape\":[1,3],\"data\":[0,51,255]}]"
    v2_request q = parse("{" INPUTS "}");
    assert_int_equal(q.wanted_count, 2);
    assert_true(q.wanted[0].output == V2_LOGITS && q.wanted[1].output == V2_PROBABILITIES);
    assert_null(q.id);
    v2_request_fini(&q);
    q = parse("{" INPUTS ",\"outputs\":[]}");
    assert_int_equal(q.wanted_count, 2);
    v2_request_fini(&q);
    q = parse("{\"id\":\"a\\\"b\",\"outputs\":[{\"parameters\":{\"classification\":99,\"binary_data\":false},"
              "\"name\":\"probabilities\"}]," INPUTS "}");
    assert_int_equal(q.wanted_count, 1);
    assert_true(q.wanted[0].output == V2_PROBABILITIES && q.wanted[0].top == model.classes);
    assert_memory_equal(q.id, "\"a\\\"b\"", q.id_bytes);
    v2_request_fini(&q);
}

/* '@' stands for the place that JSON's own faults have (test_json_reader.c). */
static bool is_reason(const char *text, const char *expected)
{
    static const char place[] = "the request: line 1, column ";
    if (expected[0] != '@')
        return strcmp(text, expected) == 0;
    if (strncmp(text, place, strlen(place)) != 0)
        return false;
    text += strlen(place);
    text += strspn(text, "0123456789");
    return strncmp(text, ": ", 2) == 0 && strcmp(text + 2, expected + 1) == 0;
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
#define HEAD   "{\"inputs\":[{" IMAGES
#define TYPED  HEAD "\"datatype\":\"FP32\","
#define SHAPED TYPED "\"shape\":[2,3],"
    static const struct {
        const char *text;
        ps_status status;
        const char *reason;
    } cases[] = {
        {"", PS_EFORMAT, "@the text is empty"},
        {"[]", PS_EFORMAT, "@expected an object, found '['"},
        {"{}", PS_EFORMAT, "inputs is missing"},
        {"{\"inputs\":[]}", PS_EFORMAT, "inputs is empty; the model takes 'images'"},
        {"{\"inputs\":{}}", PS_EFORMAT, "@expected a list, found '{'"},
        {"{\"inputs\":[{}]}", PS_EFORMAT, "inputs: a name is missing; the model takes 'images'"},
        {"{\"inputs\":[{\"name\":\"x\"}]}", PS_EMISMATCH,
         "inputs: there is no 'x'; the model takes 'images'"},
        {"{\"inputs\":[{\"name\":7}]}", PS_EFORMAT, "@expected a string, found '7'"},
        {HEAD "\"shape\":[1,3],\"data\":[]}]}", PS_EFORMAT, "inputs: 'images' has no datatype"},
        {HEAD "\"datatype\":\"FP64\"}]}", PS_EMISMATCH, "datatype 'FP64': 'images' takes FP32, or UINT8"},
        {TYPED "\"data\":[1,2,3]}]}", PS_EFORMAT, "inputs: 'images' has no shape"},
        {SHAPED "\"parameters\":{}}]}", PS_EFORMAT, "inputs: 'images' has no data"},
        {TYPED "\"shape\":[3]}]}", PS_EMISMATCH, "shape [3]: 'images' is [rows,3]"},
        {TYPED "\"shape\":[2,4]}]}", PS_EMISMATCH, "shape [2,4]: 'images' is [rows,3]"},
        {TYPED "\"shape\":[1,1,3]}]}", PS_EMISMATCH, "shape [1,1,3]: 'images' is [rows,3]"},
        {TYPED "\"shape\":[]}]}", PS_EMISMATCH, "shape []: 'images' is [rows,3]"},
        {TYPED "\"shape\":[1,1,1,1,1,1,1,1,1]}]}", PS_EMISMATCH,
         "shape has more than 8 dimensions; 'images' has 2"},
        {TYPED "\"shape\":[0,3]}]}", PS_EMISMATCH, "shape [0,3]: there is nothing to be said of no rows"},
        {TYPED "\"shape\":[6,3]}]}", PS_ELIMIT, "shape [6,3]: at most 5 rows are taken at once"},
        {TYPED "\"shape\":[4294967297,3]}]}", PS_ELIMIT,
         "shape [4294967297,3]: at most 5 rows are taken at once"},
        {TYPED "\"shape\":[-1,3]}]}", PS_EFORMAT, "@expected a whole number from 0 to 9007199254740992"},
        {SHAPED "\"data\":[1,2,3,4,5]}]}", PS_EMISMATCH,
         "data: a list has 5 values; by the shape there are 6"},
        {SHAPED "\"data\":[1,2,3,4,5,6,7]}]}", PS_EMISMATCH,
         "data: a list has more than the 6 values of the shape"},
        {SHAPED "\"data\":[]}]}", PS_EMISMATCH, "data: a list has 0 values; by the shape there are 6"},
        {SHAPED "\"data\":[[1,2,3]]}]}", PS_EMISMATCH, "data has 1 rows; by the shape there are 2"},
        {SHAPED "\"data\":[[1,2],[3,4,5,6]]}]}", PS_EMISMATCH,
         "data: a list has 2 values; by the shape there are 3"},
        {SHAPED "\"data\":[[1,2,3],[1,2,3],[1,2,3]]}]}", PS_EMISMATCH,
         "data has more than the 2 rows of the shape"},
        {SHAPED "\"data\":[[1,2,3],4,5,6]}]}", PS_EFORMAT, "@expected a list, found '4'"},
        {SHAPED "\"data\":[[[1,2,3]]]}]}", PS_EFORMAT, "@expected a number, found '['"},
        {SHAPED "\"data\":[1,2,3,[4,5,6]]}]}", PS_EFORMAT, "@expected a number, found '['"},
        {SHAPED "\"data\":\"AAAA\"}]}", PS_EFORMAT, "@expected a list, found '\"'"},
        {SHAPED "\"data\":[1,2,null", PS_EFORMAT, "@expected a number, found 'n'"},
        {SHAPED "\"data\":[1,2,NaN", PS_EFORMAT, "@expected a number, found 'N'"},
        {SHAPED "\"data\":[1,2,1e39", PS_EFORMAT, "@number too large for FP32"},
        {SHAPED "\"data\":[1,2,3,4,5,6]}]", PS_EFORMAT, "@expected ',' or '}', but the text ends"},
        {SHAPED "\"data\":[1,2,3,4,5,6]}]}}", PS_EFORMAT, "@more text after the end of the value"},
        {SHAPED "\"data\":[1,2,3,4,5,6],\"data\":[]}]}", PS_EFORMAT, "inputs: 'data' is given twice"},
        {SHAPED "\"shape\":[2,3]}]}", PS_EFORMAT, "inputs: 'shape' is given twice"},
        {SHAPED "\"parameters\":{\"binary_data_size\":24}}]}", PS_EMISMATCH,
         "inputs: binary_data_size: tensors are JSON here, not binary"},
        {HEAD "\"datatype\":\"UINT8\",\"shape\":[1,3],\"data\":[1,256,3]}]}", PS_EFORMAT,
         "@expected a whole number from 0 to 255"},
        {HEAD "\"datatype\":\"UINT8\",\"shape\":[1,3],\"data\":[1,0.5,3]}]}", PS_EFORMAT,
         "@expected a whole number from 0 to 255"},
        {"{" INPUTS "," INPUTS "}", PS_EFORMAT, "'inputs' is given twice"},
        {"{\"inputs\":[{" IMAGES "\"datatype\":\"UINT8\",\"shape\":[1,3],\"data\":[0,51,255]},{}]}",
         PS_EMISMATCH, "inputs: there is more than one; the model takes 'images'"},
        {"{\"id\":7," INPUTS "}", PS_EFORMAT, "@expected a string, found '7'"},
        {"{\"parameters\":{\"binary_data_output\":true}," INPUTS "}", PS_EMISMATCH,
         "parameters: binary_data_output: tensors are JSON here, not binary"},
        {"{" INPUTS ",\"outputs\":[{\"name\":\"x\"}]}", PS_EMISMATCH, "outputs: there is no 'x'"},
        {"{" INPUTS ",\"outputs\":[{}]}", PS_EFORMAT, "outputs: a name is missing"},
        {"{" INPUTS ",\"outputs\":[{\"name\":\"logits\"},{\"name\":\"logits\"}]}", PS_EFORMAT,
         "outputs: 'logits' is asked for twice"},
        {"{" INPUTS ",\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"classification\":0}}]}", PS_EFORMAT,
         "outputs: classification is 0; ask for 1 class or more"},
        {"{" INPUTS ",\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"binary_data\":true}}]}",
         PS_EMISMATCH, "outputs: binary_data: tensors are JSON here, not binary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        v2_request q;
        ps_error error = {PS_OK, ""};
        const ps_status status = v2_request_parse(&model, cases[i].text, strlen(cases[i].text), &q, &error);
        if (status != cases[i].status || !is_reason(error.text, cases[i].reason))
            fail_msg("%s:\n%s: %s", cases[i].text, ps_status_name(status), error.text);
        assert_null(q.features);
    }
}

/* The answer to one row as a tree. */
static json *answer(const char *request, const float *logits, char **text)
{
    v2_request q = parse(request);
    size_t bytes;
    ps_error error = {PS_OK, ""};
    assert_int_equal(v2_answer_inference(&model, &q, logits, text, &bytes, &error), PS_OK);
    json *root;
    const json_options options = {.source = "answer", .max_bytes = bytes};
    if (json_parse(*text, bytes, &options, &root, NULL, &error) != PS_OK)
        fail_msg("%.*s: %s", (int)bytes, *text, error.text);
    (*text)[bytes - 1] = '\0'; /* for the newline */
    v2_request_fini(&q);
    return root;
}

static void answers_say_what_was_asked_in_its_order(void **state)
{
    (void)state;
    static const float logits[] = {0, 1.5F, -1.5F, 1.5F};
    char *text;
    json *root = answer("{\"id\":\"\\u0041\"," INPUTS ",\"outputs\":[{\"name\":\"probabilities\"},{\"name\":"
                        "\"logits\",\"parameters\":{\"classification\":3}}]}",
                        logits, &text);
    double probabilities[4];
    inference_probabilities(logits, 4, probabilities);
    assert_non_null(strstr(text, "\"id\":\"\\u0041\""));
    assert_non_null(strstr(text,
                           "{\"name\":\"logits\",\"datatype\":\"BYTES\",\"shape\":[1,3],\"data\":[\"1.5:1\","
                           "\"1.5:3\",\"0:0\"]}"));
    const json *first = json_first(json_find(root, "outputs"));
    const json *value = json_first(json_find(first, "data"));
    for (int c = 0; c < 4; c++, value = json_next(value)) {
        double number = 0;
        assert_int_equal(json_as_number(value, "p", &number, NULL), PS_OK);
        assert_true((float)number == (float)probabilities[c]);
    }
    json_free(&root);
    free(text);
    root = answer("{" INPUTS "}", logits, &text);
    assert_null(json_find(root, "id"));
    assert_int_equal(json_count(json_find(root, "outputs")), 2);
    assert_non_null(strstr(text, "\"shape\":[1,4],\"data\":[0,1.5,-1.5,1.5]"));
    json_free(&root);
    free(text);
}

static void the_longest_answer_fits(void **state)
{
    (void)state;
    float logits[20];
    for (int i = 0; i < 20; i++)
        logits[i] = -1.23456789e-38F;
    char request[1000] = "{\"inputs\":[{" IMAGES "\"datatype\":\"UINT8\",\"shape\":[5,3],\"data\":[0";
    for (int i = 1; i < 15; i++)
        strcat(request, ",0");
    strcat(request, "]}]}");
    char *text;
    json *root = answer(request, logits, &text);
    json_free(&root);
    free(text);
}

static void numbers_that_json_has_not_are_no_answer(void **state)
{
    (void)state;
    static const float logits[] = {0, 1, INFINITY, 2};
    v2_request q = parse("{" INPUTS "}");
    char *text;
    size_t bytes;
    ps_error error;
    assert_int_equal(v2_answer_inference(&model, &q, logits, &text, &bytes, &error), PS_ENONFINITE);
    assert_null(text);
    assert_string_equal(error.text,
                        "row 0: the model computes what is beyond FP32; its inputs are too large");
    v2_request_fini(&q);
}

static void what_a_server_says_of_itself_is_json(void **state)
{
    (void)state;
    size_t bytes[4];
    char *texts[] = {v2_answer_server(&bytes[0]), v2_answer_model(&model, &bytes[1]),
                     v2_answer_state("ready", false, &bytes[2]), v2_answer_error("a \"b\"\n\xff", &bytes[3])};
    assert_string_equal(texts[2], "{\"ready\":false}\n");
    assert_string_equal(texts[3], "{\"error\":\"a \\\"b\\\"\\u000a?\"}\n");
    assert_non_null(
        strstr(texts[1], "\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[-1,3]}]"));
    for (int i = 0; i < 4; i++) {
        json *root;
        const json_options options = {.source = "text", .max_bytes = bytes[i]};
        assert_int_equal(json_parse(texts[i], bytes[i], &options, &root, NULL, NULL), PS_OK);
        json_free(&root);
        free(texts[i]);
    }
}

static void lack_of_memory_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    static const char text[] = "{" INPUTS "}";
    static const float logits[] = {0, 1, 2, 3};
    v2_request q;
    ps_error error;
    torture_begin(0);
    assert_int_equal(v2_request_parse(&model, text, strlen(text), &q, &error), PS_ENOMEM);
    torture_end();
    assert_string_equal(error.text, "out of memory for 1 rows");
    assert_null(q.features);
    q = parse(text);
    char *answered = NULL;
    for (long allowed = 0; !answered; allowed++) {
        size_t bytes;
        torture_begin(allowed);
        const ps_status status = v2_answer_inference(&model, &q, logits, &answered, &bytes, &error);
        torture_end();
        assert_int_equal(status, answered ? PS_OK : PS_ENOMEM);
        assert_true(allowed < 10);
    }
    free(answered);
    v2_request_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_may_be_flat_or_nested_and_stand_anywhere),
        cmocka_unit_test(bytes_are_taken_as_images_have_them),
        cmocka_unit_test(outputs_are_all_unless_some_are_asked_for),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(answers_say_what_was_asked_in_its_order),
        cmocka_unit_test(the_longest_answer_fits),
        cmocka_unit_test(numbers_that_json_has_not_are_no_answer),
        cmocka_unit_test(what_a_server_says_of_itself_is_json),
        cmocka_unit_test(lack_of_memory_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
