/* status.h - the one idiom for errors.
 *
 * Functions return a ps_status: 0 is success, negatives fail. A function that judges input from
 * outside (option, file, environment, socket) also takes a `ps_error *` as its last argument and
 * leaves there one line for a person: what is wrong, where, and what to do. The pointer may be NULL.
 * Library code never prints and never exits; only `main` and the log do. */
#ifndef PENSTOCK_COMMON_STATUS_H
#define PENSTOCK_COMMON_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/*      name          value  text */
#define PS_STATUS_LIST(X)                                             \
    X(PS_OK, 0, "success")                                            \
    X(PS_EINVAL, -1, "invalid argument or option")                    \
    X(PS_ECONFIG, -2, "invalid cluster or job configuration")         \
    X(PS_EFORMAT, -3, "malformed or damaged data")                    \
    X(PS_ELIMIT, -4, "a limit is exceeded")                           \
    X(PS_ENOMEM, -5, "out of memory")                                 \
    X(PS_EIO, -6, "input/output error")                               \
    X(PS_ENOENT, -7, "not found")                                     \
    X(PS_EPROTOCOL, -8, "message violates the protocol")              \
    X(PS_EMISMATCH, -9, "peer disagrees about the job")               \
    X(PS_ESTATE, -10, "not possible in this state")                   \
    X(PS_ETIMEDOUT, -11, "timed out")                                 \
    X(PS_EPEER, -12, "peer lost or refused")                          \
    X(PS_ENONFINITE, -13, "gradient holds NaN or Inf")                \
    X(PS_EINTERRUPTED, -14, "interrupted by a signal")                \
    X(PS_EINTERNAL, -15, "internal error")                            \
    X(PS_EREJOIN, -16, "the ps has restarted or gone back")           \
    X(PS_EROLLBACK, -17, "training has gone back to an earlier step") \
    X(PS_ELOG, -18, "the log of updates cannot be written")           \
    X(PS_EDEVICE, -19, "the compute device is lost")

typedef enum {
#define PS_STATUS_ENUM(name, value, text) name = value,
    PS_STATUS_LIST(PS_STATUS_ENUM)
#undef PS_STATUS_ENUM
} ps_status;

/* One line for a person, without a newline. */
typedef struct {
    ps_status status;
    char text[512];
} ps_error;

/* "PS_EINVAL"; "PS_?" for a value outside the list. */
const char *ps_status_name(ps_status status);
/* "invalid argument or option" */
const char *ps_status_text(ps_status status);

/* Fills `error` (which may be NULL) with the formatted line, cut at its size, control characters
 * replaced by '?' so that hostile input cannot forge log lines. Returns `status`, so that a failing
 * function ends in `return ps_fail(error, PS_EINVAL, "...", ...);`. */
ps_status ps_fail(ps_error *error, ps_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Process exit codes, as documented in the README. 128 and above: worth a retry. */
enum {
    PS_EXIT_DONE = 0,
    PS_EXIT_FAILURE = 1,
    PS_EXIT_USAGE = 2,
    PS_EXIT_DATA = 3,
    PS_EXIT_PEER_LOST = 138,
    PS_EXIT_TERMINATED = 143,
};

/* The exit code that tells a launcher what kind of failure `status` is. */
int ps_status_exit_code(ps_status status);

#ifdef __cplusplus
}
#endif
#endif
