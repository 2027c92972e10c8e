/* activation.c - names of the activations. What they compute is the backends' business. */
#include "common/name_list.h"
#include "worker/backend.h"

NAME_LIST_DEFINE(activation, activation_kind, ACTIVATION_LIST, "activation")
