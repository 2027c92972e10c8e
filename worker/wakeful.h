/* wakeful.h - keeps a processor awake while someone waits for what will come soon.
 *
 * A processor that nobody has work for is halted, and to wake a virtual one takes as long as a ps takes for
 * an update: half of a small synchronous step was such waits. So while a worker waits for weights, a thread
 * of the scheduler's idle class (SCHED_IDLE) spins, on one of the processors that the worker may use: it gets
 * only what nobody else wants, and whoever has work takes the processor from it at once.
 *
 * One thread calls; the other is made and owned here. The caller takes no lock, which one that may not run
 * for long could hold. */
#ifndef PENSTOCK_WORKER_WAKEFUL_H
#define PENSTOCK_WORKER_WAKEFUL_H

typedef struct wakeful wakeful;

/* NULL if there cannot be one; the others then do nothing. */
wakeful *wakeful_create(void);

/* The thread ends when it is its turn. Nulls the pointer. */
void wakeful_destroy(wakeful **w);

/* A wait begins: something spins until it ends, but for a few milliseconds at most. */
void wakeful_begin(wakeful *w);
void wakeful_end(wakeful *w);

#endif
