/* limits.c - see limits.h. */
#include "ps/limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/allow_list.h"
#include "common/http.h"
#include "common/job.h"
#include "common/tensor.h"
#include "common/transport.h"
#include "common/wire.h"
#include "ps/shard.h"

enum { KIB = 1 << 10, MIB = 1 << 20, MS = 1000 };

static void print(FILE *out)
{
    const uint64_t each = transport_inbox_bytes(JOB_SLICE_BYTES_DEFAULT);
    fputs("Limits (who goes beyond is counted in /metrics and /status, by reason):\n", out);
    fprintf(out, "  strangers' connections    %d; %d s for a handshake\n", VISITORS_MOST,
            TRANSPORT_HANDSHAKE_MS / MS);
    fprintf(out, "  connections of HTTP       %d, each of %d KiB and %d s\n", HTTP_CONNECTIONS_MAX,
            HTTP_MEMORY_BYTES / KIB, HTTP_CONNECTION_MS / MS);
    fprintf(out, "  keys in `allow'           %d\n", ALLOW_LIST_KEYS_MAX);
    fprintf(out, "  a job                     %d workers, %d ps, %d tensors\n", JOB_WORKERS_MAX,
            JOB_SERVERS_MAX, TENSOR_TABLE_MAX);
    fputs("  a shard                   --memory-limit\n", out);
    fprintf(out, "  bytes that wait here      %d MiB a connection, and what comes in %d ms: %d\n",
            (int)(each / MIB), TRANSPORT_LOOK_MS, TRANSPORT_INBOX_MAX + 2);
    fprintf(out, "                            messages of %d MiB, or of a slice if longer. In all\n",
            WIRE_GATHERED_MAX / MIB);
    fprintf(out, "                            %d times that, and once for each member, but no\n",
            TRANSPORT_PEERS_FIRST);
    fputs("                            more than --memory-limit. Beyond it who\n"
          "                            has the most is cut off\n",
          out);
    fprintf(out, "  bytes on their way        %d MiB a connection, and one answer; %d MiB wait\n",
            TRANSPORT_OUTBOX_BYTES / MIB, SHARD_WINDOW_BYTES / MIB);
    fprintf(out, "  a message                 %d slices, of %d MiB each\n", WIRE_SLICES_MAX,
            (int)(WIRE_FRAME_MAX / MIB));
    fprintf(out, "  its header                %d MiB, unpacked %d MiB\n", WIRE_HEADER_MAX / MIB,
            WIRE_UNPACKED_MAX / MIB);
    fprintf(out, "  messages queued, a peer   %d, and %d to it\n", TRANSPORT_INBOX_MAX, TRANSPORT_QUEUE_MAX);
    fprintf(out, "  requests open, a member   %d, and one more for each slice\n", SHARD_REQUESTS_MAX);
    fprintf(out, "  weights on their way      %d MiB to a member, or one answer\n", SHARD_WINDOW_BYTES / MIB);
}

char *limits_help(int key, const char *text, void *input)
{
    char *help = NULL;
    size_t bytes = 0;
    (void)input;
    if (key != ARGP_KEY_HELP_EXTRA)
        return (char *)(uintptr_t)text;
    FILE *out = open_memstream(&help, &bytes);
    if (!out)
        return NULL;
    print(out);
    return fclose(out) == 0 ? help : NULL;
}
