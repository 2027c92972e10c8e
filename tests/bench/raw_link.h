/* raw_link.h - one end of the ZeroMQ connection of a floor, and the plain way to send and receive on it. */
#ifndef PENSTOCK_BENCH_RAW_LINK_H
#define PENSTOCK_BENCH_RAW_LINK_H

#include <semaphore.h>
#include <zmq.h>

#include "tests/bench/raw_zmq.h"

/* What both processes need to find each other. */
typedef struct {
    raw_setup setup;
    int listen_fd; /* of TCP */
    char endpoint[128];
    struct {
        char public_key[41], secret_key[41]; /* as ZeroMQ writes them, "" without CURVE */
    } server_key, client_key;
} raw_plan;

typedef struct {
    const raw_setup *setup;
    void *context, *socket;
    sem_t sendable; /* buffers that ZeroMQ does not hold */
} raw_link;

/* Ends the process with a message if ZeroMQ cannot be had. */
void raw_link_open(raw_link *link, const raw_plan *plan, bool server, int socket_type);

/* The actors' bodies: small requests, and everything else. */
void raw_request_serve(const raw_plan *plan);
void raw_request_ask(const raw_plan *plan, int channel);
void raw_bulk_serve(const raw_plan *plan);
void raw_bulk_run(const raw_plan *plan, int channel);

#endif
