/* blas.h - a product of matrices by columns, for cuBLAS and cuBLASLt alike. Under the lock of state.h. */
#ifndef PENSTOCK_CUDA_HOST_BLAS_H
#define PENSTOCK_CUDA_HOST_BLAS_H

#include <vector>

#include "state.h"

namespace cuda_host
{

struct matrix {
    const void *memory;
    cudaDataType type;
    bool transposed;
    int rows, columns, leading; /* as it lies, by columns */

    bool valid() const;
    /* Densely by columns, as the device would read it. */
    std::vector<float> read(bool tf32) const;
};

struct product {
    matrix a, b;
    int m, n, k;
    float alpha, beta;
    float *c;
    int ldc;
    bool tf32;
    const float *bias; /* (m), or NULL; added at last, and then: */
    bool relu, hides_nan;
};

void multiply(const product &p);

} // namespace cuda_host

#endif
