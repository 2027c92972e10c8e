/* backend_cuda_blas.cu - loads cuBLAS by dlopen: first of the version that this program was built with. */
#include "worker/backend_cuda_blas.cuh"

#include <dlfcn.h>
#include <pthread.h>

#define TEXT_OF(name)       #name
#define SYMBOL_OF(function) TEXT_OF(function) /* what a header's macro makes of it: cublasCreate_v2 */

namespace
{

/* Where the loader looks, and then where the toolkit's own installer puts it. */
#define PLACES(version)                                         \
    {version, "libcublas.so." #version},                        \
    {                                                           \
        version, "/usr/local/cuda/lib64/libcublas.so." #version \
    }

const struct {
    int version;
    const char *file;
} places[] = {PLACES(13), PLACES(12)};

pthread_once_t once = PTHREAD_ONCE_INIT;
cuda_blas loaded;
ps_error failure;

/* cuBLAS needs cuBLASLt, so whoever has loaded the one finds functions of both. */
bool find(void *library)
{
    bool complete = true;
#define CUBLAS_FIND(member, function, result, parameters)                             \
    *reinterpret_cast<void **>(&loaded.member) = dlsym(library, SYMBOL_OF(function)); \
    complete = complete && loaded.member;
    CUBLAS_LIST(CUBLAS_FIND)
#undef CUBLAS_FIND
    return complete;
}

bool try_version(bool own)
{
    for (const auto &place : places) {
        if ((place.version == CUDART_VERSION / 1000) != own)
            continue;
        void *library = dlopen(place.file, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            continue;
        if (find(library)) {
            loaded.file = place.file;
            return true;
        }
        dlclose(library);
    }
    return false;
}

void load()
{
    failure.status = PS_OK;
    if (!try_version(true) && !try_version(false))
        ps_fail(
            &failure, PS_ENOENT,
            "cuBLAS is not to be found: neither libcublas.so.13 nor libcublas.so.12 lies where the loader "
            "looks (LD_LIBRARY_PATH), or in /usr/local/cuda/lib64");
}

} // namespace

ps_status cuda_blas_open(const cuda_blas **table, ps_error *error)
{
    pthread_once(&once, load);
    *table = &loaded;
    return failure.status == PS_OK ? PS_OK : ps_fail(error, failure.status, "%s", failure.text);
}
