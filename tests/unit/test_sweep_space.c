/* What a sweep tries: deploy/sweep_space, deploy/sweep_trials. */
#include "deploy/sweep/sweep_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/number_text.h"
#include "deploy/sweep/sweep_trials.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

static sweep_space *parse(const char *text)
{
    sweep_space *space = NULL;
    ps_error error = {PS_OK, ""};
    if (sweep_space_parse(text, strlen(text), "space.json", &space, &error) != PS_OK)
        fail_msg("%s", error.text);
    return space;
}

#define RANDOM(rest)         "{\"version\": 1, \"method\": \"random\", \"trials\": 10, " rest "}"
#define GRID(rest)           "{\"version\": 1, \"method\": \"grid\", " rest "}"
#define TRAINING(parameters) "\"training\": {" parameters "}"
#define BATCH                "\"batch-size\": {\"choice\": [50, 100]}"

static void a_space_is_read(void **state)
{
    (void)state;
    sweep_space *s =
        parse("{\"version\": 1, \"method\": \"random\", \"trials\": 7, \"seed\": 9007199254740991,"
              " \"goal\": {\"metric\": \"loss\"},"
              " \"training\": {\"learning-rate\": {\"log_uniform\": [0.001, 0.3]},"
              "  \"hidden\": {\"choice\": [\"300,100\", 500, 0.25]},"
              "  \"momentum\": {\"uniform\": [0.8, 0.9], \"step\": 0.02},"
              "  \"no-shared-memory\": {\"choice\": [true, false]}},"
              " \"run\": {\"workers\": {\"int\": [1, 5], \"step\": 2}},"
              " \"early_stopping\": {\"policy\": \"bandit\", \"slack\": 0.05, \"grace\": 2, \"interval\": 3},"
              " \"budget\": {\"seconds\": 1.5, \"failures\": 0}}");
    assert_int_equal(s->method, SWEEP_RANDOM);
    assert_int_equal(s->trials, 7);
    assert_true(s->seed == UINT64_C(9007199254740991));
    assert_int_equal(s->goal.metric, SWEEP_LOSS);
    assert_true(s->goal.minimize);
    assert_int_equal(s->stopping.policy, STOPPING_BANDIT);
    assert_true(s->stopping.slack == 0.05);
    assert_int_equal(s->stopping.grace, 2);
    assert_int_equal(s->stopping.interval, 3);
    assert_true(s->seconds == 1.5);
    assert_int_equal(s->failures, 0);
    assert_int_equal(s->parameter_count, 5);
    const sweep_parameter *p = s->parameters;
    assert_string_equal(p[0].name, "workers");
    assert_true(p[0].of_run);
    assert_int_equal(sweep_parameter_count(&p[0]), 3);
    assert_string_equal(p[1].name, "learning-rate");
    assert_int_equal(sweep_parameter_count(&p[1]), 0);
    assert_string_equal(p[2].choices[1], "500");
    assert_string_equal(p[2].choices[2], "0.25");
    assert_int_equal(sweep_parameter_count(&p[3]), 6);
    assert_true(p[4].flag);
    free(s);
}

static void what_is_not_given_has_a_default(void **state)
{
    (void)state;
    sweep_space *s = parse(GRID(TRAINING(BATCH)));
    assert_int_equal(s->trials, 0);
    assert_int_equal(s->seed, 1);
    assert_int_equal(s->goal.metric, SWEEP_ACCURACY);
    assert_false(s->goal.minimize);
    assert_int_equal(s->stopping.policy, STOPPING_NONE);
    assert_true(s->seconds == 0);
    assert_int_equal(s->failures, 5);
    free(s);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "space.json"},
        {"[]", "space.json must be an object"},
        {"{\"version\": 1,}", "space.json: line 1"},
        {"{\"method\": \"grid\"}", "space.json: version is missing"},
        {"{\"version\": 2}", "space.json: version must be"},
        {"{\"version\": \"1\"}", "space.json: version must be"},
        {GRID("\"option\": {}"), "space.json: there is no key 'option' here"},
        {"{\"version\": 1, " TRAINING(BATCH) "}", "method is missing"},
        {"{\"version\": 1, \"method\": \"guess\"}", "space.json: method is 'guess', not random or grid"},
        {"{\"version\": 1, \"method\": \"random\", " TRAINING(BATCH) "}", "random needs trials"},
        {"{\"version\": 1, \"method\": \"random\", \"trials\": 1001}", "trials must be"},
        {"{\"version\": 1, \"method\": \"random\", \"trials\": 0}", "trials must be"},
        {"{\"version\": 1, \"method\": \"random\", \"trials\": 1.5}", "trials must be"},
        {GRID("\"seed\": -1"), "seed must be"},
        {GRID("\"seed\": 9007199254740993"), "seed must be"},
        {GRID("\"goal\": \"accuracy\""), "goal must be an object"},
        {GRID("\"goal\": {\"metric\": \"speed\"}"), "goal.metric is 'speed', not accuracy or loss"},
        {GRID("\"goal\": {\"way\": \"up\"}"), "goal: there is no key 'way'"},
        {GRID("\"goal\": {\"direction\": \"up\"}"), "goal.direction is 'up', not maximize or minimize"},
        {GRID("\"trials\": 5"), "neither training nor run names an option"},
        {GRID("\"training\": []"), "space.json: training must be an object"},
        {GRID(TRAINING("\"Batch\": {\"choice\": [1]}")), "training: 'Batch' is no name"},
        {GRID(TRAINING("\"--batch-size\": {\"choice\": [1]}")), "'--batch-size' is no name"},
        {GRID(TRAINING("\"a=b\": {\"choice\": [1]}")), "'a=b' is no name"},
        {GRID(TRAINING("\"\": {\"choice\": [1]}")), "'' is no name"},
        {GRID(TRAINING("\"a123456789b123456789c123456789d123456789e123456789f123456789g123\": {}")),
         "is no name"},
        {GRID(TRAINING("\"output-dir\": {\"choice\": [\"x\"]}")),
         "'output-dir' is not for a sweep to choose"},
        {GRID(TRAINING("\"out\": {\"choice\": [\"x\"]}")), "'out' is not for a sweep to choose"},
        {GRID(TRAINING("\"help\": {\"choice\": [true]}")), "'help' is not for a sweep to choose"},
        {GRID("\"run\": {\"run-dir\": {\"choice\": [\"x\"]}}"),
         "run: 'run-dir' is not for a sweep to choose"},
        {GRID(TRAINING("\"x\": 5")), "training.x must be an object"},
        {GRID(TRAINING("\"x\": {}")), "training.x needs one of choice, int,"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 2], \"choice\": [1]}")), "training.x needs one of"},
        {GRID(TRAINING("\"x\": {\"choice\": [1], \"step\": 1}")), "training.x: there is no key 'step' here"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 2], \"when\": 1}")), "training.x: there is no key 'when' here"},
        {GRID(TRAINING("\"x\": {\"choice\": 1}")), "training.x.choice must be a list"},
        {GRID(TRAINING("\"x\": {\"choice\": []}")), "training.x.choice: 0 values"},
        {GRID(TRAINING("\"x\": {\"choice\": [1, 1.0]}")), "'1' is given twice"},
        {GRID(TRAINING("\"x\": {\"choice\": [1, \"1\"]}")), "'1' is given twice"},
        {GRID(TRAINING("\"x\": {\"choice\": [null]}")), "not null"},
        {GRID(TRAINING("\"x\": {\"choice\": [[1]]}")), "not a list"},
        {GRID(TRAINING("\"x\": {\"choice\": [true, \"yes\"]}")), "true and false choose"},
        {GRID(TRAINING("\"x\": {\"choice\": [\"a\\nb\"]}")), "control characters"},
        {GRID(TRAINING("\"x\": {\"int\": [1]}")), "a list of two numbers"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 2, 3]}")), "a list of two numbers"},
        {GRID(TRAINING("\"x\": {\"int\": [\"1\", 2]}")), "training.x.int must be a number"},
        {GRID(TRAINING("\"x\": {\"int\": [2, 1]}")), "2 is not below 1"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 1]}")), "1 is not below 1"},
        {GRID(TRAINING("\"x\": {\"int\": [1.5, 2]}")), "not both whole"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 1e300]}")), "not both whole"},
        {GRID(TRAINING("\"x\": {\"uniform\": [-1e308, 1e308], \"points\": 2}")), "too wide"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 9], \"step\": 0}")), "step is 0"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 9], \"step\": 1.5}")), "not a whole number"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 9], \"step\": 9}")), "step is 9"},
        {GRID(TRAINING("\"x\": {\"int\": [1, 9], \"step\": 2, \"points\": 3}")), "exclude each other"},
        {GRID(TRAINING("\"x\": {\"uniform\": [1, 2], \"points\": 1}")), "training.x.points must be"},
        {GRID(TRAINING("\"x\": {\"log_uniform\": [0, 1], \"points\": 3}")), "begins above 0"},
        {GRID(TRAINING("\"x\": {\"log_uniform\": [1, 2], \"step\": 1}")), "goes with int and uniform alone"},
        {GRID(TRAINING("\"x\": {\"log_uniform\": [1, 2]}")), "in a grid log_uniform needs points"},
        {GRID(TRAINING("\"x\": {\"uniform\": [1, 2]}")), "in a grid uniform needs points or step"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {}"), "early_stopping: policy is missing"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {\"policy\": \"none\"}"),
         "early_stopping.policy is 'none', not median or bandit"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {\"policy\": \"median\", \"slack\": 1}"),
         "early_stopping: there is no key 'slack'"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {\"policy\": \"bandit\"}"),
         "early_stopping.slack is missing"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {\"policy\": \"bandit\", \"slack\": -1}"),
         "early_stopping.slack is -1"},
        {GRID(TRAINING(BATCH) ", \"early_stopping\": {\"policy\": \"median\", \"grace\": 0}"),
         "early_stopping.grace must be"},
        {GRID(TRAINING(BATCH) ", \"budget\": {\"seconds\": 0}"), "budget.seconds is 0"},
        {GRID(TRAINING(BATCH) ", \"budget\": {\"minutes\": 1}"), "budget: there is no key 'minutes'"},
        {GRID(TRAINING(BATCH) ", \"budget\": {\"failures\": -1}"), "budget.failures must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sweep_space *space = (sweep_space *)-1;
        ps_error error = {PS_OK, ""};
        ps_status status =
            sweep_space_parse(cases[i].text, strlen(cases[i].text), "space.json", &space, &error);
        assert_null(space);
        assert_int_not_equal(status, PS_OK);
        if (!strstr(error.text, cases[i].why))
            fail_msg("%s: '%s' does not say '%s'", cases[i].text, error.text, cases[i].why);
    }
}

static void too_many_of_anything_are_refused(void **state)
{
    (void)state;
    char *text = malloc(1 << 16);
    assert_non_null(text);
    for (int of = 0; of < 3; of++) {
        size_t used = (size_t)sprintf(text, "{\"version\": 1, \"method\": \"grid\", \"training\": {");
        if (of == 0)
            for (int i = 0; i <= SWEEP_PARAMETERS_MAX; i++)
                used += (size_t)sprintf(text + used, "%s\"x%d\": {\"choice\": [1]}", i ? "," : "", i);
        if (of == 1) {
            used += (size_t)sprintf(text + used, "\"x\": {\"choice\": [");
            for (int i = 0; i <= SWEEP_CHOICES_MAX; i++)
                used += (size_t)sprintf(text + used, "%s%d", i ? "," : "", i);
            used += (size_t)sprintf(text + used, "]}");
        }
        if (of == 2)
            used += (size_t)sprintf(text + used, "\"x\": {\"choice\": [\"%0*d\"]}", SWEEP_VALUE_BYTES, 1);
        used += (size_t)sprintf(text + used, "}}");
        sweep_space *space;
        ps_error error;
        assert_int_equal(sweep_space_parse(text, used, "space.json", &space, &error), PS_ELIMIT);
    }
    free(text);
}

static void numbers_are_written_as_short_as_they_can_be(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {50, "50"},
                 {1000000, "1000000"},
                 {1e-5, "1e-05"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {-3, "-3"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[NUMBER_TEXT_BYTES];
        number_text(cases[i].number, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* ---- trials ---------------------------------------------------------------------------------------- */

static void make(const sweep_space *space, uint64_t seed, sweep_trials *t)
{
    ps_error error;
    if (sweep_trials_make(space, seed, t, &error) != PS_OK)
        fail_msg("%s", error.text);
}

static void a_grid_has_every_combination_once(void **state)
{
    (void)state;
    sweep_space *s = parse(GRID("\"run\": {\"workers\": {\"int\": [1, 2]}}, " TRAINING(
        "\"learning-rate\": {\"log_uniform\": [0.001, 0.1], \"points\": 3},"
        "\"momentum\": {\"uniform\": [0.8, 0.9], \"step\": 0.05}")));
    sweep_trials t;
    char text[200];
    make(s, 1, &t);
    assert_int_equal(t.count, 2 * 3 * 3);
    sweep_values_describe(s, sweep_trials_values(&t, 0), text, sizeof text);
    assert_string_equal(text, "workers 1, learning-rate 0.001, momentum 0.8");
    sweep_values_describe(s, sweep_trials_values(&t, 4), text, sizeof text);
    assert_string_equal(text, "workers 1, learning-rate 0.01, momentum 0.85");
    sweep_values_describe(s, sweep_trials_values(&t, 17), text, sizeof text);
    assert_string_equal(text, "workers 2, learning-rate 0.1, momentum 0.9");
    sweep_trials_fini(&t);
    free(s);
}

static void points_that_fall_together_are_tried_once(void **state)
{
    (void)state;
    sweep_space *s = parse(GRID(TRAINING("\"x\": {\"log_int\": [1, 4], \"points\": 9}")));
    sweep_trials t;
    make(s, 1, &t);
    assert_int_equal(t.count, 4);
    assert_string_equal(sweep_trials_values(&t, 3)[0].text, "4");
    sweep_trials_fini(&t);
    free(s);
}

static void a_grid_that_is_too_large_is_refused(void **state)
{
    (void)state;
    sweep_space *large =
        parse(GRID(TRAINING("\"x\": {\"int\": [1, 9007199254740991]}, \"y\": {\"int\": [1, 9000000000]}")));
    sweep_space *limited = parse(GRID("\"trials\": 5, " TRAINING("\"x\": {\"int\": [1, 6]}")));
    sweep_trials t;
    ps_error error;
    assert_int_equal(sweep_trials_make(large, 1, &t, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "more than 1000 trials"));
    assert_int_equal(sweep_trials_make(limited, 1, &t, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "6 trials, but no more than 5"));
    free(large);
    free(limited);
}

static void a_draw_depends_on_name_values_and_seed_alone(void **state)
{
    (void)state;
    sweep_space *one = parse(RANDOM(TRAINING("\"learning-rate\": {\"log_uniform\": [0.001, 1]}")));
    sweep_space *two = parse(
        RANDOM(TRAINING("\"x\": {\"int\": [1, 100000]}, \"learning-rate\": {\"log_uniform\": [0.001, 1]}")));
    sweep_trials a, b, c, other;
    make(one, 5, &a);
    make(one, 5, &b);
    make(two, 5, &c);
    make(one, 6, &other);
    assert_int_equal(a.count, 10);
    size_t same = 0;
    for (size_t i = 0; i < a.count; i++) {
        assert_string_equal(sweep_trials_values(&a, i)[0].text, sweep_trials_values(&b, i)[0].text);
        assert_string_equal(sweep_trials_values(&a, i)[0].text, sweep_trials_values(&c, i)[1].text);
        same += strcmp(sweep_trials_values(&a, i)[0].text, sweep_trials_values(&other, i)[0].text) == 0;
    }
    assert_int_equal(same, 0);
    /* As drawn for good: an interrupted sweep goes on with a later version. */
    assert_string_equal(sweep_trials_values(&a, 0)[0].text, "0.011543");
    assert_string_equal(sweep_trials_values(&a, 9)[0].text, "0.00231049");
    sweep_trials_fini(&a);
    sweep_trials_fini(&b);
    sweep_trials_fini(&c);
    sweep_trials_fini(&other);
    free(one);
    free(two);
}

static void draws_lie_in_their_range_and_fill_it(void **state)
{
    (void)state;
    sweep_space *s = parse("{\"version\": 1, \"method\": \"random\", \"trials\": 1000, " TRAINING(
        "\"a\": {\"uniform\": [0.12345678, 0.22345678]}, \"b\": {\"log_int\": [1, 1000]},"
        "\"k\": {\"int\": [3, 5]}, \"d\": {\"uniform\": [-1, 1], \"points\": 3},"
        "\"e\": {\"log_uniform\": [1e-6, 1]}") "}");
    sweep_trials t;
    make(s, 1, &t);
    assert_int_equal(t.count, 1000);
    size_t small = 0, c[6] = {0}, d[3] = {0}, tiny = 0;
    for (size_t i = 0; i < t.count; i++) {
        double a = strtod(sweep_trials_values(&t, i)[0].text, NULL),
               b = strtod(sweep_trials_values(&t, i)[1].text, NULL);
        double e = strtod(sweep_trials_values(&t, i)[4].text, NULL);
        assert_true(a >= 0.12345678 && a <= 0.22345678);
        assert_true(b >= 1 && b <= 1000 && floor(b) == b);
        assert_true(e >= 1e-6 && e <= 1);
        small += b < sqrt(1000);
        tiny += e < 1e-3;
        c[atoi(sweep_trials_values(&t, i)[2].text)]++;
        d[atoi(sweep_trials_values(&t, i)[3].text) + 1]++;
    }
    /* Ten standard deviations of a share of a half, or a third. */
    assert_in_range(small, 340, 660);
    assert_in_range(tiny, 340, 660);
    for (int i = 3; i <= 5; i++)
        assert_in_range(c[i], 180, 490);
    for (int i = 0; i < 3; i++)
        assert_in_range(d[i], 180, 490);
    sweep_trials_fini(&t);
    free(s);
}

static void a_small_space_is_tried_whole_and_no_more(void **state)
{
    (void)state;
    sweep_space *s = parse(RANDOM(TRAINING(BATCH ", \"x\": {\"choice\": [\"a\", \"b\", \"c\"]}")));
    sweep_trials t;
    make(s, 3, &t);
    assert_int_equal(t.count, 6);
    sweep_trials_fini(&t);
    free(s);
}

static void values_become_arguments(void **state)
{
    (void)state;
    sweep_space *s = parse(GRID(TRAINING("\"flag\": {\"choice\": [true, false]}, " BATCH)));
    char text[SWEEP_ARGUMENT_BYTES];
    assert_true(sweep_argument(&s->parameters[0], "true", text));
    assert_string_equal(text, "--flag");
    assert_false(sweep_argument(&s->parameters[0], "false", text));
    assert_true(sweep_argument(&s->parameters[1], "50", text));
    assert_string_equal(text, "--batch-size=50");
    free(s);
}

static bool parse_and_list(void)
{
    static const char text[] = RANDOM(TRAINING(BATCH));
    sweep_space *space;
    sweep_trials t = {0};
    ps_status status = sweep_space_parse(text, strlen(text), "space.json", &space, NULL);
    if (status == PS_OK)
        status = sweep_trials_make(space, 1, &t, NULL);
    assert_true(status == PS_OK || status == PS_ENOMEM);
    sweep_trials_fini(&t);
    free(space);
    return status == PS_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool done = false;
    for (long allowed = 0; !done; allowed++) {
        torture_begin(allowed);
        done = parse_and_list();
        torture_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_space_is_read),
        cmocka_unit_test(what_is_not_given_has_a_default),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(too_many_of_anything_are_refused),
        cmocka_unit_test(numbers_are_written_as_short_as_they_can_be),
        cmocka_unit_test(a_grid_has_every_combination_once),
        cmocka_unit_test(points_that_fall_together_are_tried_once),
        cmocka_unit_test(a_grid_that_is_too_large_is_refused),
        cmocka_unit_test(a_draw_depends_on_name_values_and_seed_alone),
        cmocka_unit_test(draws_lie_in_their_range_and_fill_it),
        cmocka_unit_test(a_small_space_is_tried_whole_and_no_more),
        cmocka_unit_test(values_become_arguments),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
