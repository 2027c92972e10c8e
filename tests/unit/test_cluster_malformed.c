/* Malformed cluster specs, each with the exact line (and for JSON the caret) that a person gets to see. */
#include "common/cluster.h"

#include <string.h>

#include "tests/unit/unit.h"

/* JSON in this table is written with ' for " so that it can be read, and with ` for '. Error lines are
 * verbatim. */
static const struct {
    const char *name;
    cluster_role daemon;
    bool strict;
    const char *cluster, *task, *tf_config;
    const char *error;
    const char *caret; /* NULL: none */
} cases[] = {
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
    {.name = "a list instead of an object",
     .daemon = ROLE_WORKER,
     .tf_config = "[]",
     .error = "TF_CONFIG must be a JSON object, not a list"},
    {.name = "a string instead of an object",
     .daemon = ROLE_WORKER,
     .tf_config = "'cluster'",
     .error = "TF_CONFIG must be a JSON object, not a string"},
    {.name = "null",
     .daemon = ROLE_WORKER,
     .tf_config = "null",
     .error = "TF_CONFIG must be a JSON object, not null"},
    {.name = "no cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster is missing; it names every task, e.g. \"cluster\": {\"ps\": "
              "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}"},
    {.name = "Cluster in upper case",
     .daemon = ROLE_WORKER,
     .tf_config = "{'Cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster is missing; it names every task, e.g. \"cluster\": {\"ps\": "
              "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}"},
    {.name = "no task for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}}",
     .error = "TF_CONFIG: task is missing; it says which task this process is: add \"task\": {\"type\": "
              "\"worker\", \"index\": 0} or give --task worker:0"},
    {.name = "no task for a ps",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}}",
     .error = "TF_CONFIG: task is missing; it says which task this process is: add \"task\": {\"type\": "
              "\"ps\", \"index\": 0} or give --task ps:0"},
    {.name = "a cluster that is a list",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': ['a:1'], 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster must be an object of jobs, e.g. \"cluster\": {\"ps\": [\"host1:2222\"], "
              "\"worker\": [\"host2:2222\"]}, not a list"},
    {.name = "a cluster that is null",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': null, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster must be an object of jobs, e.g. \"cluster\": {\"ps\": [\"host1:2222\"], "
              "\"worker\": [\"host2:2222\"]}, not null"},
    {.name = "an empty cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: this task is worker 0, but cluster.worker has no task"},
    {.name = "cluster and sparseCluster that differ",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'sparseCluster': {'ps': ['a:2']}, 'task': "
                  "{'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster and sparseCluster differ; keep one of them"},
    {.name = "a task that is a string",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': 'worker'}",
     .error = "TF_CONFIG: task must be an object, e.g. \"task\": {\"type\": \"worker\", \"index\": 0}, not a "
              "string"},
    {.name = "a task that is null",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': null}",
     .error = "TF_CONFIG: task must be an object, e.g. \"task\": {\"type\": \"ps\", \"index\": 0}, not null"},
    {.name = "a task without a type",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'index': 0}}",
     .error = "TF_CONFIG: task.type is missing; it must be a string"},
    {.name = "a type that is a number",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 1, 'index': 0}}",
     .error = "TF_CONFIG: task.type must be a string, not a number"},
    {.name = "an unknown type",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'trainer', 'index': 0}}",
     .error = "TF_CONFIG: task.type must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not "
              "\"trainer\""},
    {.name = "a type in upper case",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'Worker', 'index': 0}}",
     .error = "TF_CONFIG: task.type must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not "
              "\"Worker\""},
    {.name = "an empty type",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': '', 'index': 0}}",
     .error =
         "TF_CONFIG: task.type must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not \"\""},
    {.name = "a type that would forge a log line",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'x\\nerror', 'index': 0}}",
     .error = "TF_CONFIG: task.type must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not "
              "\"x?error\""},
    {.name = "a worker's task for a ps",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: task.type is \"worker\", but this is penstock-ps; start penstock-worker for it"},
    {.name = "an evaluator's task for a ps",
     .daemon = ROLE_PS,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error = "TF_CONFIG: task.type is \"evaluator\", but this is penstock-ps; start penstock-worker for it"},
    {.name = "a ps task for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: task.type is \"ps\", but this is penstock-worker; start penstock-ps for it"},
    {.name = "no index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker'}}",
     .error = "TF_CONFIG: task.index is missing; it must be a whole number from 0 to 1023"},
    {.name = "an index that is null",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': null}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not null"},
    {.name = "an index that is a list",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': [0]}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not a list"},
    {.name = "a negative index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': -1}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not -1"},
    {.name = "a fraction",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0.5}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not 0.5"},
    {.name = "an enormous index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': "
                  "18446744073709551616}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not 1.8446744073709552e+19"},
    {.name = "the first index too large",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 1024}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not 1024"},
    {.name = "a word as index",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 'zero'}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not \"zero\""},
    {.name = "an empty string as index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': ''}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not \"\""},
    {.name = "a negative index in a string",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': '-1'}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not \"-1\""},
    {.name = "a string index with a leading zero",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': '00'}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not \"00\""},
    {.name = "a string index too large",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': '1024'}}",
     .error = "TF_CONFIG: task.index must be a whole number from 0 to 1023, not \"1024\""},
    {.name = "an index beyond the workers",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 1}}",
     .error = "TF_CONFIG: this task is worker 1, but cluster.worker ends at index 0"},
    {.name = "an index beyond the ps",
     .daemon = ROLE_PS,
     .tf_config =
         "{'cluster': {'ps': ['a:1', 'c:1'], 'worker': ['b:1']}, 'task': {'type': 'ps', 'index': 2}}",
     .error = "TF_CONFIG: this task is ps 2, but cluster.ps ends at index 1"},
    {.name = "an index beyond the one ps of a dense cluster",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'ps', 'index': 1}}",
     .error = "TF_CONFIG: this task is ps 1, but cluster.ps ends at index 0"},
    {.name = "an index beyond a full dictionary",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'0': 'b:1', '1': 'c:1'}}, 'task': {'type': "
                  "'worker', 'index': 2}}",
     .error = "TF_CONFIG: this task is worker 2, but cluster.worker ends at index 1"},
    {.name = "an index between those of a sparse job",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'1': 'b:1', '3': 'c:1'}}, 'task': {'type': "
                  "'worker', 'index': 2}}",
     .error = "TF_CONFIG: this task is worker 2, but cluster.worker has no key \"2\""},
    {.name = "a chief with index 1",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'chief': ['b:1']}, 'task': {'type': 'chief', 'index': 1}}",
     .error = "TF_CONFIG: this task is chief 1, but cluster.chief ends at index 0"},
    {.name = "an evaluator beyond those listed",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1'], 'evaluator': ['c:1']}, 'task': {'type': "
                  "'evaluator', 'index': 1}}",
     .error = "TF_CONFIG: this task is evaluator 1, but cluster.evaluator ends at index 0"},
    {.name = "a chief that the cluster lacks",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'chief', 'index': 0}}",
     .error = "TF_CONFIG: this task is chief 0, but cluster.chief has no task"},
    {.name = "a worker that the cluster lacks",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'chief': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: this task is worker 0, but cluster.worker has no task"},
    {.name = "a ps that the cluster lacks",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'worker': ['b:1']}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: this task is ps 0, but cluster.ps has no task"},
    {.name = "a job that is a string",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': 'a:1', 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps must be a list of addresses or an object from index to address, not a "
              "string"},
    {.name = "a job that is null",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': null, 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error =
         "TF_CONFIG: cluster.ps must be a list of addresses or an object from index to address, not null"},
    {.name = "an empty ps list",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps is empty; name its tasks or remove the key"},
    {.name = "an empty worker list",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': []}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker is empty; name its tasks or remove the key"},
    {.name = "an empty worker list for a further ps",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': []}, 'task': {'type': 'ps', 'index': 1}}",
     .error = "TF_CONFIG: cluster.worker is empty; name its tasks or remove the key"},
    {.name = "an empty chief",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1'], 'chief': []}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.chief is empty; name its tasks or remove the key"},
    {.name = "an empty evaluator in a sparse cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'1': 'b:1'}, 'evaluator': {}}, 'task': {'type': "
                  "'worker', 'index': 1}}",
     .error = "TF_CONFIG: cluster.evaluator is empty; name its tasks or remove the key"},
    {.name = "no ps for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; worker 0 needs at least one"},
    {.name = "no ps for a chief",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'chief': ['b:1']}, 'task': {'type': 'chief', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; chief 0 needs at least one"},
    {.name = "no ps for an evaluator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': ['b:1']}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no ps; evaluator 0 needs at least one"},
    {.name = "no ps in a sparse cluster",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': {}, 'worker': {'1': 'b:1'}}, 'task': {'type': 'worker', 'index': 1}}",
     .error = "TF_CONFIG: the cluster has no ps; worker 1 needs at least one"},
    {.name = "ps with a gap for a worker",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': {'0': 'a:1', '2': 'c:1'}, 'worker': ['b:1']}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps has gaps below index 2; worker 0 needs every ps"},
    {.name = "nobody who would train",
     .daemon = ROLE_PS,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'evaluator': ['b:1']}, 'task': {'type': 'ps', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no worker and no chief, so nobody would train"},
    {.name = "nobody who trains for an evaluator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1']}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error = "TF_CONFIG: the cluster has no worker and no chief, so nobody would train"},
    {.name = "two chiefs",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'chief': ['b:1', 'c:1']}, 'task': {'type': 'chief', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief has 2 tasks; a cluster has at most one chief"},
    {.name = "two masters",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'master': ['b:1', 'c:1']}, 'task': {'type': 'master', 'index': 0}}",
     .error = "TF_CONFIG: cluster.master has 2 tasks; a cluster has at most one chief"},
    {.name = "a chief and a master",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'chief': ['b:1'], 'master': ['c:1']}, 'task': {'type': "
                  "'chief', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief and cluster.master are the same job; keep one of them"},
    {.name = "a chief under another index",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['c:1'], 'chief': {'1': 'b:1'}}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.chief has index 1; the one chief has index 0"},
    {.name = "a key that is a word",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'first': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error =
         "TF_CONFIG: cluster.worker[\"first\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a key with a leading zero",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'00': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"00\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a negative key",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'-1': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"-1\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a key too large",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1'], 'worker': {'1024': 'b:1'}}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"1024\"]: the key must be an index from 0 to 1023 in plain digits"},
    {.name = "a bare chief of the Kubeflow operator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'worker': {}, 'ps': []}, 'task': {'type': 'chief', 'index': 0}}",
     .error =
         "TF_CONFIG: worker and ps are empty: with enableDynamicWorker the Kubeflow operator tells chief and "
         "evaluator nothing (a known bug); turn that off, or run without them (worker 0 is chief then)"},
    {.name = "a bare evaluator of the Kubeflow operator",
     .daemon = ROLE_WORKER,
     .tf_config = "{'sparseCluster': {'worker': {}, 'ps': []}, 'task': {'type': 'evaluator', 'index': 0}}",
     .error =
         "TF_CONFIG: worker and ps are empty: with enableDynamicWorker the Kubeflow operator tells chief and "
         "evaluator nothing (a known bug); turn that off, or run without them (worker 0 is chief then)"},
    {.name = "the view of another worker",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'sparseCluster': {'worker': {'2': 'b:1'}, 'ps': ['a:1']}, 'task': {'type': 'worker', 'index': 1}}",
     .error = "TF_CONFIG: this task is worker 1, but sparseCluster.worker has no key \"1\""},
    {.name = "an address that is a number",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [2222], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0] must be a string, not a number; write \"host:port\""},
    {.name = "an address that is null",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a:1', null], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[1] must be a string, not null; write \"host:port\""},
    {.name = "an address that is an object",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'0': {'host': 'b'}}}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.worker[\"0\"] must be a string, not an object; write \"host:port\""},
    {.name = "an empty address",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [''], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: the address is empty; write host:port"},
    {.name = "a host without a port",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['host1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1\" has no port; write host:port"},
    {.name = "a host with an empty port",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:\": the port must be a whole number from 1 to "
              "65535, not \"\""},
    {.name = "a port without a host",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': [':2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \":2222\" has no host; write host:port"},
    {.name = "port 0",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:0'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:0\": the port must be a whole number from 1 to "
              "65535, not \"0\""},
    {.name = "port 65536",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:65536'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:65536\": the port must be a whole number from 1 to "
              "65535, not \"65536\""},
    {.name = "a negative port",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:-1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:-1\": the port must be a whole number from 1 to "
              "65535, not \"-1\""},
    {.name = "a port with a leading zero",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:02222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:02222\": the port must be a whole number from 1 to "
              "65535, not \"02222\""},
    {.name = "a port with a path",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:2222/x'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:2222/x\": the port must be a whole number from 1 to "
              "65535, not \"2222/x\""},
    {.name = "a port by name",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host1:http'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:http\": the port must be a whole number from 1 to "
              "65535, not \"http\""},
    {.name = "a scheme",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['grpc://host1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error =
         "TF_CONFIG: cluster.ps[0]: address \"grpc://host1:2222\" has a scheme; write host:port without it"},
    {.name = "a blank in a host",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['host 1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host 1:2222\": ' ' is not allowed in a host; use letters, "
              "digits, '-', '_' and '.'"},
    {.name = "a blank before a host",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': [' host1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \" host1:2222\": ' ' is not allowed in a host; use letters, "
              "digits, '-', '_' and '.'"},
    {.name = "a template not filled in",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['${PS_HOST}:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"${PS_HOST}:2222\": '$' is not allowed in a host; use "
              "letters, digits, '-', '_' and '.'"},
    {.name = "a letter outside ASCII",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['h\303\266st:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"h\303\266st:2222\": the host has a letter outside ASCII; "
              "write its xn-- form"},
    {.name = "a host with two dots in a row",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a..b:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"a..b:2222\": nothing stands between two dots of the host"},
    {.name = "a host that starts with a dot",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['.a:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \".a:2222\": nothing stands between two dots of the host"},
    {.name = "a host that ends with a hyphen",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['a-.b:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"a-.b:2222\": a part of the host starts or ends with '-'"},
    {.name = "a part of a host with 64 letters",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:2222'], "
         "'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address "
              "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:2222\": 64 characters "
              "between dots; at most 63 are allowed"},
    {.name = "a host with 254 letters",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': "
                  "['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb:2222'], 'worker': "
                  "['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address "
              "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": a host of 254 characters; at most 253 are allowed"},
    {.name = "an address with 301 letters",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': "
         "['"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:"
         "2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address "
              "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "aaaaaaaa\"... has 301 characters; at most 300 are allowed"},
    {.name = "an IPv4 address with a large number",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['10.0.0.256:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"10.0.0.256:2222\": the host is not an IPv4 address (four "
              "numbers up to 255)"},
    {.name = "an IPv4 address with three numbers",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['10.0.1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"10.0.1:2222\": the host is not an IPv4 address (four "
              "numbers up to 255)"},
    {.name = "a number as host",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"1:2222\": the host is not an IPv4 address (four numbers "
              "up to 255)"},
    {.name = "IPv6 without brackets",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['::1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"::1:2222\" has more than one ':'; write IPv6 in brackets, "
              "[::1]:2222"},
    {.name = "IPv6 without brackets and port",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['fe80::1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"fe80::1\" has more than one ':'; write IPv6 in brackets, "
              "[::1]:2222"},
    {.name = "IPv6 without a port",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['[::1]'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"[::1]\" has no port; write [host]:port"},
    {.name = "IPv6 never closed",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['[::1:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"[::1:2222\": ']' is missing"},
    {.name = "a name in brackets",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['[host1]:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"[host1]:2222\": no IPv6 address stands in the brackets"},
    {.name = "an IPv6 zone with a bad character",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['[fe80::1%a b]:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error =
         "TF_CONFIG: cluster.ps[0]: address \"[fe80::1%a b]:2222\": no IPv6 address stands in the brackets"},
    {.name = "an empty IPv6 zone",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['[fe80::1%]:2222'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error =
         "TF_CONFIG: cluster.ps[0]: address \"[fe80::1%]:2222\": no IPv6 address stands in the brackets"},
    {.name = "two addresses in one string",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['host1:2222,host2:2222'], 'worker': ['b:1']}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: cluster.ps[0]: address \"host1:2222,host2:2222\" has a comma; write each address "
              "as a string of its own"},
    {.name = "the same address in one job",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1', 'c:1', 'a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', "
                  "'index': 0}}",
     .error = "TF_CONFIG: ps 0 and ps 2 have the same address, \"a:1\""},
    {.name = "the same address in two jobs",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['a:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: ps 0 and worker 0 have the same address, \"a:1\""},
    {.name = "the same host in other letters",
     .daemon = ROLE_WORKER,
     .tf_config =
         "{'cluster': {'ps': ['Host:1'], 'worker': ['hOST:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: ps 0 and worker 0 have the same address, \"Host:1\""},
    {.name = "the same IPv6 address spelled twice",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['[::1]:1'], 'worker': ['[0:0:0:0:0:0:0:1]:1']}, 'task': {'type': "
                  "'worker', 'index': 0}}",
     .error = "TF_CONFIG: ps 0 and worker 0 have the same address, \"[::1]:1\""},
    {.name = "the same address in a dictionary",
     .daemon = ROLE_WORKER,
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': {'5': 'c:1', '3': 'c:1'}}, 'task': {'type': "
                  "'worker', 'index': 3}}",
     .error = "TF_CONFIG: worker 3 and worker 5 have the same address, \"c:1\""},
    {.name = "an empty --cluster",
     .daemon = ROLE_WORKER,
     .cluster = "",
     .error = "--cluster is empty; give JSON text or the path of a file"},
    {.name = "a --cluster file that is not there",
     .daemon = ROLE_WORKER,
     .cluster = "/nonexistent/cluster.json",
     .error = "--cluster: cannot open /nonexistent/cluster.json: No such file or directory"},
    {.name = "a --cluster without a task",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .error = "--cluster: task is missing; it says which task this process is: add \"task\": {\"type\": "
              "\"worker\", \"index\": 0} or give --task worker:0"},
    {.name = "a --cluster without jobs",
     .daemon = ROLE_WORKER,
     .cluster = "{'workers': ['b:1']}",
     .task = "worker:0",
     .error = "--cluster: cluster is missing; it names every task, e.g. \"cluster\": {\"ps\": "
              "[\"host1:2222\"], \"worker\": [\"host2:2222\"]}"},
    {.name = "a syntax error in --cluster",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': [}",
     .task = "worker:0",
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "--cluster: line 1, column 9: expected a value, found '}'",
     .caret = "{'ps': [}\n"
              "        ^"},
    {.name = "--cluster without a task in TF_CONFIG either",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .tf_config = "{}",
     .error = "TF_CONFIG: task is missing; it says which task this process is: add \"task\": {\"type\": "
              "\"worker\", \"index\": 0} or give --task worker:0"},
    {.name = "--task alone",
     .daemon = ROLE_WORKER,
     .task = "worker:0",
     .error = "--task without TF_CONFIG or --cluster: cluster is missing; it names every task, e.g. "
              "\"cluster\": {\"ps\": [\"host1:2222\"], \"worker\": [\"host2:2222\"]}"},
    {.name = "--task without an index",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "worker",
     .error = "--task must be TYPE:INDEX, e.g. worker:0, not \"worker\""},
    {.name = "--task with an empty index",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "worker:",
     .error = "--task: the index must be a whole number from 0 to 1023, not \"\""},
    {.name = "--task with an index of words",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "worker:first",
     .error = "--task: the index must be a whole number from 0 to 1023, not \"first\""},
    {.name = "--task with an unknown type",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "trainer:0",
     .error = "--task: the type must be \"ps\", \"worker\", \"chief\", \"master\" or \"evaluator\", not "
              "\"trainer\""},
    {.name = "--task with a long type",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "workerworkerworkerworker:0",
     .error = "--task must be TYPE:INDEX, e.g. worker:0, not \"workerworkerworkerworker:0\""},
    {.name = "--task of the other daemon",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "ps:0",
     .error = "--task: the type is \"ps\", but this is penstock-worker; start penstock-ps for it"},
    {.name = "--task with JSON without an index",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "{'type': 'worker'}",
     .error = "--task: index is missing; it must be a whole number from 0 to 1023"},
    {.name = "--task with broken JSON",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a:1'], 'worker': ['b:1']}",
     .task = "{'type': 'worker'",
     .error = "--task: line 1, column 18: expected ',' or '}', but the text ends",
     .caret = "{'type': 'worker'\n"
              "                 ^"},
    {.name = "--task beyond the cluster of TF_CONFIG",
     .daemon = ROLE_WORKER,
     .task = "worker:7",
     .tf_config = "{'cluster': {'ps': ['a:1'], 'worker': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}",
     .error = "TF_CONFIG: this task is worker 7, but cluster.worker ends at index 0"},
    {.name = "a bad address in --cluster",
     .daemon = ROLE_WORKER,
     .cluster = "{'ps': ['a'], 'worker': ['b:1']}",
     .task = "worker:0",
     .error = "--cluster: ps[0]: address \"a\" has no port; write host:port"},
};

/* The text with its quotes put right, in `buffer`; NULL stays NULL. */
static const char *unquoted(const char *text, char *buffer, size_t bytes)
{
    if (!text)
        return NULL;
    assert_true(strlen(text) < bytes);
    size_t i = 0;
    for (; text[i]; i++)
        buffer[i] = (char)(text[i] == '\'' ? '"' : text[i] == '`' ? '\'' : text[i]);
    buffer[i] = '\0';
    return buffer;
}

static void every_malformed_spec_gets_its_own_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cluster[1024], task[1024], tf_config[1024], expected_caret[512];
        const cluster_source source = {
            .strict = cases[i].strict,
            .daemon = cases[i].daemon,
            .cluster = unquoted(cases[i].cluster, cluster, sizeof cluster),
            .task = unquoted(cases[i].task, task, sizeof task),
            .tf_config = unquoted(cases[i].tf_config, tf_config, sizeof tf_config),
        };
        cluster_spec spec;
        cluster_warning warning;
        ps_error error = {0};
        char caret[512] = "not touched";
        const ps_status status = cluster_parse(&source, &spec, &warning, caret, sizeof caret, &error);
        if (status != PS_ECONFIG || error.status != PS_ECONFIG)
            fail_msg("%s: %s: %s", cases[i].name, ps_status_name(status), error.text);
        if (strcmp(error.text, cases[i].error) != 0)
            fail_msg("%s:\n  expected %s\n  but got  %s", cases[i].name, cases[i].error, error.text);
        const char *wanted =
            unquoted(cases[i].caret ? cases[i].caret : "", expected_caret, sizeof expected_caret);
        if (strcmp(caret, wanted) != 0)
            fail_msg("%s:\nexpected\n%s\nbut got\n%s", cases[i].name, wanted, caret);
        for (size_t role = 0; role < CLUSTER_ROLES; role++)
            assert_null(spec.jobs[role].tasks);
    }
}

static void the_error_and_the_caret_may_be_unwanted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cluster[1024], task[1024], tf_config[1024];
        const cluster_source source = {
            .strict = cases[i].strict,
            .daemon = cases[i].daemon,
            .cluster = unquoted(cases[i].cluster, cluster, sizeof cluster),
            .task = unquoted(cases[i].task, task, sizeof task),
            .tf_config = unquoted(cases[i].tf_config, tf_config, sizeof tf_config),
        };
        cluster_spec spec;
        cluster_warning warning;
        assert_int_equal(cluster_parse(&source, &spec, &warning, NULL, 0, NULL), PS_ECONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_spec_gets_its_own_line),
        cmocka_unit_test(the_error_and_the_caret_may_be_unwanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
