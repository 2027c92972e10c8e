/* Cluster specs with addresses that are none, or stand there twice. */
#include "tests/unit/malformed_spec.h"

static const malformed_spec table[] = {
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
};

int main(void)
{
    return malformed_spec_run(table, sizeof table / sizeof *table);
}
