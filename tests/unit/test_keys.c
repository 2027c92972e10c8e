/* Keys in files (common/key_file, common/curve_keys) and the list of those let in (common/allow_list). */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/allow_list.h"
#include "common/curve_keys.h"
#include "common/transport.h"
#include "tests/unit/folder.h"

/* Of ZeroMQ's own documentation. */
#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define OTHER  "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static void put(const char *path, const char *text, mode_t mode)
{
    folder_put(path, text, strlen(text));
    assert_int_equal(chmod(path, mode), 0);
}

/* ---- files of keys ---- */

static void a_pair_is_made_written_and_read_again(void **state)
{
    (void)state;
    key_pair made, again, read;
    char public_key[KEY_TEXT + 1];
    struct stat about;
    ps_error error;
    assert_int_equal(transport_make_keys(&made, &error), PS_OK);
    assert_int_equal(transport_make_keys(&again, &error), PS_OK);
    assert_string_not_equal(made.secret_key, again.secret_key);
    assert_int_equal(key_file_write_pair("a.key", &made, "a ps", &error), PS_OK);
    assert_int_equal(stat("a.key", &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(key_file_read_pair("a.key", &read, &error), PS_OK);
    assert_memory_equal(&read, &made, sizeof made);
    assert_int_equal(key_file_write_public("a.pub", &made, "a ps", &error), PS_OK);
    assert_int_equal(key_file_read_public("a.pub", public_key, &error), PS_OK);
    assert_string_equal(public_key, made.public_key);
    assert_int_equal(key_file_read_public("a.key", public_key, &error), PS_OK);
    assert_int_equal(key_file_read_pair("a.pub", &read, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "a.pub"));
    key_pair_wipe(&made);
    assert_string_equal(made.secret_key, "");
}

static void a_file_that_is_there_is_never_overwritten(void **state)
{
    (void)state;
    const key_pair pair = {PUBLIC, SECRET};
    char key[KEY_TEXT + 1];
    ps_error error;
    put("a.key", "public " OTHER "\n", 0600);
    assert_int_equal(key_file_write_pair("a.key", &pair, "a ps", &error), PS_ESTATE);
    assert_int_equal(key_file_write_public("a.key", &pair, "a ps", &error), PS_ESTATE);
    assert_int_equal(key_file_read_public("a.key", key, &error), PS_OK);
    assert_string_equal(key, OTHER);
    assert_int_equal(key_file_write_pair("absent/a.key", &pair, "a ps", &error), PS_EIO);
}

static void a_secret_that_others_may_read_is_refused(void **state)
{
    (void)state;
    static const mode_t wide[] = {0640, 0604, 0644, 0660, 0620, 0602, 04600};
    key_pair pair;
    ps_error error;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        put("a.key", "public " PUBLIC "\nsecret " SECRET "\n", wide[i]);
        assert_int_equal(key_file_read_pair("a.key", &pair, &error), PS_ECONFIG);
        assert_non_null(strstr(error.text, "chmod 600"));
        assert_null(strstr(error.text, SECRET));
    }
    put("a.key", "public " PUBLIC "\nsecret " SECRET "\n", 0400);
    assert_int_equal(key_file_read_pair("a.key", &pair, &error), PS_OK);
    assert_int_equal(key_file_read_pair("absent", &pair, &error), PS_ENOENT);
}

static void what_is_no_key_file_is_refused_and_not_shown(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "# public " PUBLIC "\n",
        "secret " SECRET "\n",
        "public " PUBLIC "\nsecret " SECRET "\nsecret " SECRET "\n",
        "public " PUBLIC "x\nsecret " SECRET "\n",
        "public " PUBLIC "\nsecret\n",
        "public " PUBLIC "\nsecret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%c\n",
        "public " PUBLIC "\nsecret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%c\"\n",
        "public  " PUBLIC "\nsecret " SECRET "\n",
        "public " PUBLIC "\nsecret " SECRET "\nmore\n",
        "Public " PUBLIC "\nsecret " SECRET "\n",
    };
    key_pair pair;
    ps_error error;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put("a.key", texts[i], 0600);
        if (key_file_read_pair("a.key", &pair, &error) != PS_ECONFIG)
            fail_msg("%s", texts[i]);
        assert_non_null(strstr(error.text, "a.key"));
        assert_null(strstr(error.text, "D:)Q"));
        assert_string_equal(pair.secret_key, "");
    }
    folder_put("a.key", "public " PUBLIC "\n\0", sizeof "public " PUBLIC "\n\0" - 1);
    chmod("a.key", 0600);
    assert_int_equal(key_file_read_pair("a.key", &pair, &error), PS_ECONFIG);
}

static void lines_may_end_as_windows_has_them(void **state)
{
    (void)state;
    key_pair pair;
    ps_error error;
    put("a.key", "# whose\r\n\r\npublic " PUBLIC "\r\nsecret " SECRET, 0600);
    assert_int_equal(key_file_read_pair("a.key", &pair, &error), PS_OK);
    assert_string_equal(pair.public_key, PUBLIC);
    assert_string_equal(pair.secret_key, SECRET);
}

/* ---- the list ---- */

static ps_status parse(const char *text, allow_list *list, ps_error *error)
{
    return allow_list_parse(text, strlen(text), list, error);
}

static void each_key_speaks_as_what_it_is_listed(void **state)
{
    (void)state;
    allow_list list;
    ps_error error;
    assert_int_equal(
        parse("# who\nworker:3 " PUBLIC "\n\nchief " OTHER "\nevaluator " SECRET "\n", &list, &error), PS_OK);
    assert_int_equal(list.count, 3);
    const allow_entry *worker = allow_list_find(&list, PUBLIC), *chief = allow_list_find(&list, OTHER),
                      *evaluator = allow_list_find(&list, SECRET);
    assert_true(worker && chief && evaluator);
    assert_true(allow_entry_covers(worker, WIRE_WORKER, 3));
    assert_false(allow_entry_covers(worker, WIRE_WORKER, 0));
    assert_false(allow_entry_covers(worker, WIRE_EVALUATOR, 3));
    assert_false(allow_entry_covers(worker, WIRE_PS, 3));
    assert_true(allow_entry_covers(chief, WIRE_WORKER, 0));
    assert_true(allow_entry_covers(chief, WIRE_WORKER, 7));
    assert_true(allow_entry_covers(evaluator, WIRE_EVALUATOR, 1));
    assert_false(allow_entry_covers(evaluator, WIRE_WORKER, 1));
    assert_null(allow_list_find(&list, "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%ct"));
    assert_null(allow_list_find(&list, ""));
    allow_list_fini(&list);
    assert_int_equal(parse("", &list, &error), PS_OK);
    assert_null(allow_list_find(&list, PUBLIC));
    allow_list_fini(&list);
}

static void an_administrator_speaks_as_nobody_else(void **state)
{
    (void)state;
    allow_list list;
    ps_error error;
    assert_int_equal(parse("admin " PUBLIC "\nchief " OTHER "\n", &list, &error), PS_OK);
    const allow_entry *admin = allow_list_find(&list, PUBLIC), *chief = allow_list_find(&list, OTHER);
    assert_true(admin && chief);
    assert_true(allow_entry_covers(admin, WIRE_ADMINISTRATOR, 0));
    assert_false(allow_entry_covers(admin, WIRE_WORKER, 0));
    assert_false(allow_entry_covers(admin, WIRE_EVALUATOR, 0));
    assert_false(allow_entry_covers(chief, WIRE_ADMINISTRATOR, 0));
    allow_list_fini(&list);
}

static void a_wrong_line_is_named_and_nothing_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"worker", "line 1"},
        {"\n# x\nworker\n", "line 3"},
        {"worker  " PUBLIC, "no key"},
        {"worker " PUBLIC " ", "no key"},
        {"worker short", "no key"},
        {"root " PUBLIC, "'root' is none of"},
        {"admin:0 " PUBLIC, "'admin:0' is none of"},
        {" worker " PUBLIC, "no key"},
        {"worker: " PUBLIC, "'worker:' is none of"},
        {"worker:-1 " PUBLIC, "is none of"},
        {"worker:1024 " PUBLIC, "is none of"},
        {"worker:99999999999 " PUBLIC, "is none of"},
        {"chief:0 " PUBLIC, "is none of"},
        {"ps " PUBLIC, "is none of"},
        {"worker:1 " PUBLIC "\nworker:2 " PUBLIC, "listed twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        allow_list list;
        ps_error error = {PS_OK, ""};
        if (parse(cases[i].text, &list, &error) != PS_ECONFIG || !strstr(error.text, cases[i].part))
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_null(list.entries);
    }
}

static void a_list_that_anybody_may_write_is_refused(void **state)
{
    (void)state;
    allow_list list;
    ps_error error;
    put("allow", "worker " PUBLIC "\n", 0646);
    assert_int_equal(allow_list_read("allow", &list, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "chmod o-w"));
    put("allow", "worker " PUBLIC "\n", 0644);
    assert_int_equal(allow_list_read("allow", &list, &error), PS_OK);
    allow_list_fini(&list);
    assert_int_equal(allow_list_read("absent", &list, &error), PS_ENOENT);
}

/* ---- folders ---- */

static void each_task_finds_its_own_key_or_that_of_its_kind(void **state)
{
    (void)state;
    curve_keys keys;
    ps_error error;
    put("ps.pub", "public " OTHER "\n", 0644);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 2, &keys, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "./worker.key"));
    put("worker.key", "public " PUBLIC "\nsecret " SECRET "\n", 0600);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 2, &keys, &error), PS_OK);
    assert_true(keys.wanted);
    assert_string_equal(keys.own.public_key, PUBLIC);
    assert_string_equal(keys.server_key, OTHER);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 0, &keys, &error), PS_OK);
    put("chief.key", "public " SECRET "\nsecret " SECRET "\n", 0600);
    put("worker-2.key", "public " OTHER "\nsecret " SECRET "\n", 0600);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 0, &keys, &error), PS_OK);
    assert_string_equal(keys.own.public_key, SECRET);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 2, &keys, &error), PS_OK);
    assert_string_equal(keys.own.public_key, OTHER);
    assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 1, &keys, &error), PS_OK);
    assert_string_equal(keys.own.public_key, PUBLIC);
    assert_int_equal(curve_keys_read_client(".", WIRE_ADMINISTRATOR, 0, &keys, &error), PS_ECONFIG);
    put("admin.key", "public " SECRET "\nsecret " SECRET "\n", 0600);
    assert_int_equal(curve_keys_read_client(".", WIRE_ADMINISTRATOR, 0, &keys, &error), PS_OK);
    assert_string_equal(keys.own.public_key, SECRET);
    assert_int_equal(curve_keys_read_client(".", WIRE_EVALUATOR, 0, &keys, &error), PS_ECONFIG);
    assert_false(keys.wanted);
    assert_string_equal(keys.own.secret_key, "");
}

static void a_ps_needs_its_key_and_the_list(void **state)
{
    (void)state;
    curve_keys keys;
    ps_error error;
    assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_ECONFIG);
    put("ps.key", "public " PUBLIC "\nsecret " SECRET "\n", 0600);
    assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "./allow"));
    put("allow", "nonsense\n", 0644);
    assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_ECONFIG);
    assert_false(keys.wanted);
    put("allow", "worker " OTHER "\n", 0644);
    assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_OK);
    assert_string_equal(keys.allow_path, "./allow");
}

static void a_folder_that_others_may_write_to_is_refused(void **state)
{
    (void)state;
    curve_keys keys;
    ps_error error;
    put("ps.key", "public " PUBLIC "\nsecret " SECRET "\n", 0600);
    put("allow", "worker " OTHER "\n", 0644);
    put("ps.pub", "public " OTHER "\n", 0644);
    put("worker.key", "public " PUBLIC "\nsecret " SECRET "\n", 0600);
    static const mode_t wide[] = {0777, 0775, 0722};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        assert_int_equal(chmod(".", wide[i]), 0);
        assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_ECONFIG);
        assert_non_null(strstr(error.text, "others may write to this folder"));
        assert_string_equal(keys.own.secret_key, "");
        assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 2, &keys, &error), PS_ECONFIG);
        assert_false(keys.wanted);
    }
    static const mode_t narrow[] = {0700, 0755, 01777};
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        assert_int_equal(chmod(".", narrow[i]), 0);
        assert_int_equal(curve_keys_read_server(".", &keys, &error), PS_OK);
        assert_int_equal(curve_keys_read_client(".", WIRE_WORKER, 2, &keys, &error), PS_OK);
    }
    assert_int_equal(curve_keys_read_server("absent", &keys, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "absent"));
}

/* A pipe to which nobody writes would keep who opens it for ever; the list's keeper, while all wait for it.
 */
static void what_is_no_file_is_refused_at_once(void **state)
{
    (void)state;
    key_pair pair;
    allow_list list;
    ps_error error;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(key_file_read_pair("pipe", &pair, &error), PS_EFORMAT);
    assert_int_equal(allow_list_read("pipe", &list, &error), PS_EFORMAT);
    assert_int_equal(allow_list_read(".", &list, &error), PS_EFORMAT);
    assert_int_equal(allow_list_read("/dev/zero", &list, &error), PS_EFORMAT);
    put("file", "worker " PUBLIC "\n", 0644);
    assert_int_equal(symlink("file", "link"), 0); /* as Kubernetes has them */
    assert_int_equal(allow_list_read("link", &list, &error), PS_OK);
    allow_list_fini(&list);
}

/* One line without an end, and of too many keys: neither is read into memory beyond the bound. */
static void a_list_that_is_too_long_is_refused(void **state)
{
    (void)state;
    enum { KEYS = 1000000 };
    allow_list list;
    ps_error error;
    folder_put("endless", "worker ", 7);
    assert_int_equal(truncate("endless", (off_t)1 << 30), 0);
    const ps_status status = allow_list_read("endless", &list, &error);
    assert_int_equal(status, PS_ELIMIT);
    assert_non_null(strstr(error.text, "endless"));
    assert_null(list.entries);

    FILE *many = fopen("many", "w");
    assert_non_null(many);
    for (int i = 0; i < KEYS; i++)
        fprintf(many, "worker %040d\n", i);
    assert_int_equal(fclose(many), 0);
    assert_int_equal(allow_list_read("many", &list, &error), PS_ELIMIT);
    assert_non_null(strstr(error.text, "many"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_pair_is_made_written_and_read_again),
        FOLDER_TEST(a_file_that_is_there_is_never_overwritten),
        FOLDER_TEST(a_secret_that_others_may_read_is_refused),
        FOLDER_TEST(what_is_no_key_file_is_refused_and_not_shown),
        FOLDER_TEST(lines_may_end_as_windows_has_them),
        cmocka_unit_test(each_key_speaks_as_what_it_is_listed),
        cmocka_unit_test(an_administrator_speaks_as_nobody_else),
        cmocka_unit_test(a_wrong_line_is_named_and_nothing_is_taken),
        FOLDER_TEST(a_list_that_anybody_may_write_is_refused),
        FOLDER_TEST(a_list_that_is_too_long_is_refused),
        FOLDER_TEST(each_task_finds_its_own_key_or_that_of_its_kind),
        FOLDER_TEST(a_ps_needs_its_key_and_the_list),
        FOLDER_TEST(a_folder_that_others_may_write_to_is_refused),
        FOLDER_TEST(what_is_no_file_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
