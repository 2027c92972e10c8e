/* backend_cuda_absent.c - the functions of backend_cuda.h in a build without CUDA: there is no device. */
#include "worker/backend_cuda.h"

static ps_status refuse(ps_error *error)
{
    return ps_fail(error, PS_ENOENT, "this program was built without CUDA (cmake -DPENSTOCK_CUDA=ON)");
}

ps_status backend_cuda_count(uint32_t *count, ps_error *error)
{
    *count = 0;
    return refuse(error);
}

ps_status backend_cuda_describe(uint32_t index, cuda_device *found, ps_error *error)
{
    (void)index;
    (void)found;
    return refuse(error);
}

ps_status backend_cuda_libraries(char *text, size_t bytes, ps_error *error)
{
    (void)text;
    (void)bytes;
    return refuse(error);
}

ps_status backend_cuda_create(uint32_t index, precision_kind precision, backend **out, ps_error *error)
{
    (void)index;
    (void)precision;
    *out = NULL;
    return refuse(error);
}
