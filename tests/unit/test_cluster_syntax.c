/* Cluster specs that are no JSON, or none that says what it means: keys twice, numbers that are none. */
#include "tests/unit/malformed_spec.h"

static const malformed_spec table[] = {
    {.name = "no TF_CONFIG for a ps",
     .daemon = ROLE_PS,
     .error = "TF_CONFIG is not set; a ps needs it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": [\"host1:2222\"], "
              "\"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"ps\", \"index\": 0}}'"},
    {.name = "an empty object for a ps",
     .daemon = ROLE_PS,
     .tf_config = "{}",
     .error =
         "TF_CONFIG has neither cluster nor task; a ps needs it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": "
         "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"ps\", \"index\": 0}}'"},
    {.name = "unknown keys alone for a ps",
     .daemon = ROLE_PS,
     .tf_config = "{'environment': 'cloud'}",
     .error =
         "TF_CONFIG has neither cluster nor task; a ps needs it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": "
         "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"ps\", \"index\": 0}}'"},
    {.name = "an empty string for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "",
     .error =
         "TF_CONFIG is empty; unset it to train alone, or set it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": "
         "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"worker\", \"index\": 0}}'"},
    {.name = "an empty string for a ps",
     .daemon = ROLE_PS,
     .tf_config = "",
     .error = "TF_CONFIG is empty; set it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": [\"host1:2222\"], "
              "\"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"ps\", \"index\": 0}}'"},
    {.name = "blanks for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = " \t\n",
     .error =
         "TF_CONFIG is empty; unset it to train alone, or set it, e.g. TF_CONFIG='{\"cluster\": {\"ps\": "
         "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}, \"task\": {\"type\": \"worker\", \"index\": 0}}'"},
    {.name = "a word instead of JSON",
     .daemon = ROLE_WORKER,
     .tf_config = "worker",
     .error = "TF_CONFIG: line 1, column 1: a text value must be in double quotes",
     .caret = "worker\n"
              "^"},
    {.name = "a host instead of JSON",
     .daemon = ROLE_WORKER,
     .tf_config = "host1:2222",
     .error = "TF_CONFIG: line 1, column 1: a text value must be in double quotes",
     .caret = "host1:2222\n"
              "^"},
    {.name = "garbage after the value",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}} }",
     .error = "TF_CONFIG: line 1, column 89: more text after the end of the value",
     .caret = "...ask': {'type': 'worker', 'index': 0}} }\n"
              "                                         ^"},
    {.name = "single quotes",
     .daemon = ROLE_WORKER,
     .tf_config = "{`cluster`: {}}",
     .error = "TF_CONFIG: line 1, column 2: text must be in double quotes, not single ones",
     .caret = "{`cluster`: {}}\n"
              " ^"},
    {.name = "keys without quotes, eaten by a shell",
     .daemon = ROLE_WORKER,
     .tf_config = "{cluster: {worker: [host2:2222]}}",
     .error = "TF_CONFIG: line 1, column 2: expected a key in double quotes, found 'c'",
     .caret = "{cluster: {worker: [host2:2222]}}\n"
              " ^"},
    {.name = "an address without quotes",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': [host2:2222]}}",
     .error = "TF_CONFIG: line 1, column 25: a text value must be in double quotes",
     .caret = "{'cluster': {'worker': [host2:2222]}}\n"
              "                        ^"},
    {.name = "a missing closing brace",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}",
     .error = "TF_CONFIG: line 1, column 87: expected ',' or '}', but the text ends",
     .caret = "...'task': {'type': 'worker', 'index': 0}\n"
              "                                         ^"},
    {.name = "a missing closing bracket",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1', 'worker': ['b:1']}}",
     .error = "TF_CONFIG: line 1, column 36: expected ',' or ']', found ':'",
     .caret = "{'cluster': {'ps': ['a:1', 'worker': ['b:1']}}\n"
              "                                   ^"},
    {.name = "a missing comma between jobs",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'] 'worker': ['b:1']}}",
     .error = "TF_CONFIG: line 1, column 28: expected ',' or '}', found '\"'",
     .caret = "{'cluster': {'ps': ['a:1'] 'worker': ['b:1']}}\n"
              "                           ^"},
    {.name = "a missing comma between lines",
     .daemon = ROLE_WORKER,
     .tf_config = "{\n  'cluster': {\n    'ps': ['a:1']\n    'worker': ['b:1']\n  }\n}",
     .error = "TF_CONFIG: line 4, column 5: expected ',' or '}', found '\"'",
     .caret = "    'worker': ['b:1']\n"
              "    ^"},
    {.name = "a missing comma between addresses",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1' 'b:1']}}",
     .error = "TF_CONFIG: line 1, column 27: expected ',' or ']', found '\"'",
     .caret = "{'cluster': {'ps': ['a:1' 'b:1']}}\n"
              "                          ^"},
    {.name = "a missing colon",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster' {'ps': ['a:1']}}",
     .error = "TF_CONFIG: line 1, column 12: expected ':' after the key, found '{'",
     .caret = "{'cluster' {'ps': ['a:1']}}\n"
              "           ^"},
    {.name = "an equals sign",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster' = {'ps': ['a:1']}}",
     .error = "TF_CONFIG: line 1, column 12: expected ':' after the key, found '='",
     .caret = "{'cluster' = {'ps': ['a:1']}}\n"
              "           ^"},
    {.name = "two commas in a row",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1',, 'b:1']}}",
     .error = "TF_CONFIG: line 1, column 27: expected a value, found ','",
     .caret = "{'cluster': {'ps': ['a:1',, 'b:1']}}\n"
              "                          ^"},
    {.name = "a comma first",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [, 'a:1']}}",
     .error = "TF_CONFIG: line 1, column 21: expected a value, found ','",
     .caret = "{'cluster': {'ps': [, 'a:1']}}\n"
              "                    ^"},
    {.name = "two commas at the end",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1',,]}}",
     .error = "TF_CONFIG: line 1, column 27: expected a value, found ','",
     .caret = "{'cluster': {'ps': ['a:1',,]}}\n"
              "                          ^"},
    {.name = "a string never closed",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1]}}",
     .error = "TF_CONFIG: line 1, column 21: this string is never closed",
     .caret = "{'cluster': {'ps': ['a:1]}}\n"
              "                    ^"},
    {.name = "a string broken over lines",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:\n1']}}",
     .error = "TF_CONFIG: line 1, column 21: this string is not closed on its line",
     .caret = "{'cluster': {'ps': ['a:\n"
              "                    ^"},
    {.name = "a comment",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'] // the servers\n}}",
     .error = "TF_CONFIG: line 1, column 28: JSON has no comments",
     .caret = "{'cluster': {'ps': ['a:1'] // the servers\n"
              "                           ^"},
    {.name = "a comment at the start",
     .daemon = ROLE_WORKER,
     .tf_config = "# mine\n{}",
     .error = "TF_CONFIG: line 1, column 1: JSON has no comments",
     .caret = "# mine\n"
              "^"},
    {.name = "Python's None",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': None}",
     .error = "TF_CONFIG: line 1, column 13: 'None' is not JSON: JSON writes null",
     .caret = "{'cluster': None}\n"
              "            ^"},
    {.name = "a hexadecimal index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0x0}}",
     .error = "TF_CONFIG: line 1, column 85: not a decimal number",
     .caret = "..., 'task': {'type': 'worker', 'index': 0x0}}\n"
              "                                         ^"},
    {.name = "an index with a leading zero",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 00}}",
     .error = "TF_CONFIG: line 1, column 85: a number must not start with 0 and another digit",
     .caret = "..., 'task': {'type': 'worker', 'index': 00}}\n"
              "                                         ^"},
    {.name = "an index with a plus sign",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': +0}}",
     .error = "TF_CONFIG: line 1, column 85: expected a value, found '+'",
     .caret = "..., 'task': {'type': 'worker', 'index': +0}}\n"
              "                                         ^"},
    {.name = "an infinite index",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 1e999}}",
     .error = "TF_CONFIG: line 1, column 85: number too large for a double",
     .caret = "..., 'task': {'type': 'worker', 'index': 1e999}}\n"
              "                                         ^"},
    {.name = "an index that is not a number",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': NaN}}",
     .error = "TF_CONFIG: line 1, column 85: 'NaN' is not JSON: JSON has finite numbers only",
     .caret = "..., 'task': {'type': 'worker', 'index': NaN}}\n"
              "                                         ^"},
    {.name = "a byte order mark",
     .daemon = ROLE_WORKER,
     .tf_config = "\357\273\277{}",
     .error = "TF_CONFIG: line 1, column 1: the text starts with a byte order mark; save it without one",
     .caret = "?{}\n"
              "^"},
    {.name = "typographic quotes",
     .daemon = ROLE_WORKER,
     .tf_config = "{\342\200\234cluster\342\200\235: {}}",
     .error = "TF_CONFIG: line 1, column 2: text must be in plain double quotes, not typographic ones",
     .caret = "{?cluster?: {}}\n"
              " ^"},
    {.name = "a zero escaped into a host",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a\\u0000:1']}}",
     .error = "TF_CONFIG: line 1, column 23: \\u0000 is not accepted: it would cut the text short",
     .caret = "{'cluster': {'ps': ['a\\u0000:1']}}\n"
              "                      ^"},
    {.name = "half a surrogate pair",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['\\ud800:1']}}",
     .error = "TF_CONFIG: line 1, column 22: half a surrogate pair is no character",
     .caret = "{'cluster': {'ps': ['\\ud800:1']}}\n"
              "                     ^"},
    {.name = "too deep nesting",
     .daemon = ROLE_WORKER,
     .tf_config = "{'x': "
                  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]"
                  "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     .error = "TF_CONFIG: line 1, column 70: nested more than 64 deep",
     .caret = "...[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]...\n"
              "                                         ^"},
    {.name = "a trailing comma where strict",
     .daemon = ROLE_WORKER,
     .strict = true,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1'],}}",
     .error = "TF_CONFIG: line 1, column 46: a comma before the closing '}'; remove it",
     .caret = "...er': {'ps': ['a:1'], 'worker': ['b:1'],}}\n"
              "                                         ^"},
    {.name = "a trailing comma in a list where strict",
     .daemon = ROLE_WORKER,
     .strict = true,
     .tf_config = "{'cluster': {'ps': ['a:1',]}}",
     .error = "TF_CONFIG: line 1, column 26: a comma before the closing ']'; remove it",
     .caret = "{'cluster': {'ps': ['a:1',]}}\n"
              "                         ^"},
    {.name = "a cluster given twice",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'cluster': {'ps': ['a:1'], 'worker': ['b:1']}}",
     .error = "TF_CONFIG: line 1, column 49: the key \"cluster\" is given twice",
     .caret = "...: {'ps': ['a:1'], 'worker': ['b:1']}, 'cluster': {'ps': ['a:1'], 'worker': [...\n"
              "                                         ^"},
    {.name = "a job given twice",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1'], 'worker': ['c:1']}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: line 1, column 48: the key \"worker\" is given twice",
     .caret = "...': {'ps': ['a:1'], 'worker': ['b:1'], 'worker': ['c:1']}, 'task': {'type': '...\n"
              "                                         ^"},
    {.name = "an index given twice",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'0': 'b:1', '0': 'c:1'}}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: line 1, column 52: the key \"0\" is given twice",
     .caret = "...'ps': ['a:1'], 'worker': {'0': 'b:1', '0': 'c:1'}}, 'task': {'type': 'worker...\n"
              "                                         ^"},
    {.name = "a repeated key that nobody reads",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}, "
                  "'x': [{'y': 1, 'y': 2}]}",
     .error = "TF_CONFIG: line 1, column 104: the key \"y\" is given twice",
     .caret = "...'worker', 'index': 0}, 'x': [{'y': 1, 'y': 2}]}\n"
              "                                         ^"},
    {.name = "a repeated key spelled with an escape",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0, "
                  "'ind\\u0065x': 1}}",
     .error = "TF_CONFIG: line 1, column 88: the key \"index\" is given twice",
     .caret = "...task': {'type': 'worker', 'index': 0, 'ind\\u0065x': 1}}\n"
              "                                         ^"},
};

int main(void)
{
    return malformed_spec_run(table, sizeof table / sizeof *table);
}
