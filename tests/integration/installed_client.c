/* installed_client.c - a stranger's program: knows nothing but the installed headers and library. */
#include <stdio.h>

#include "worker/client.h"

int main(void)
{
    ps_client_options options;
    ps_client_options_init(&options);
    cluster_spec alone = {0};
    tensor t = {.name = "w", .rank = 1, .shape = {4}, .init = {.kind = INITIALIZER_CONSTANT, .a = 1}};
    ps_client *client;
    ps_error error;
    if (ps_connect(&alone, &options, &client, &error) != PS_OK || ps_declare(client, &t, &error) != PS_OK ||
        ps_join(client, 10000, &error) != PS_OK)
        goto fail;

    float w[4];
    const float g[4] = {1, 2, 3, 4};
    float *weights[] = {w};
    const float *gradients[] = {g};
    ps_update update = {.step = 1, .examples = 1, .gradients = gradients};
    ps_ticket ticket;
    ps_result result;
    if (ps_push_pull(client, &update, weights, &ticket, &error) != PS_OK ||
        ps_wait(client, ticket, PS_FOREVER, &result, &error) != PS_OK ||
        ps_finish(client, 10000, &error) != PS_OK)
        goto fail;
    ps_close(&client);
    ps_client_options_fini(&options);
    printf("%g %g %g %g\n", (double)w[0], (double)w[1], (double)w[2], (double)w[3]);
    return 0;

fail:
    fprintf(stderr, "%s\n", error.text);
    return 1;
}
