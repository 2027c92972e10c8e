/* optimizer_path.c - see optimizer_path.h. The sources themselves, under other names. */
#define JOIN_NAMES(name, path)    name##_##path
#define JOIN_EXPANDED(name, path) JOIN_NAMES(name, path)
#define RENAMED(name)             JOIN_EXPANDED(name, OPTIMIZER_PATH)

#define optimizer_slots         RENAMED(optimizer_slots)
#define optimizer_init_slot     RENAMED(optimizer_init_slot)
#define optimizer_bytes_touched RENAMED(optimizer_bytes_touched)
#define optimizer_apply         RENAMED(optimizer_apply)
#define kernels_sgd             RENAMED(kernels_sgd)
#define kernels_momentum        RENAMED(kernels_momentum)
#define kernels_nesterov        RENAMED(kernels_nesterov)
#define kernels_adagrad         RENAMED(kernels_adagrad)
#define kernels_rmsprop         RENAMED(kernels_rmsprop)
#define kernels_adam            RENAMED(kernels_adam)
#define kernels_ftrl_root       RENAMED(kernels_ftrl_root)
#define kernels_ftrl_power      RENAMED(kernels_ftrl_power)
#define kernels_reduce          RENAMED(kernels_reduce)
#define kernel_guard            RENAMED(kernel_guard)
#define kernel_clip             RENAMED(kernel_clip)
#define kernel_decay            RENAMED(kernel_decay)
#define kernel_stream           RENAMED(kernel_stream)
#define kernel_fence            RENAMED(kernel_fence)

#include "ps/optimizer.c"
#include "ps/optimizer_kernels.c"
