/* shell_quote.h - a word as a shell must be given it, to get exactly that word. */
#ifndef PENSTOCK_DEPLOY_SHELL_QUOTE_H
#define PENSTOCK_DEPLOY_SHELL_QUOTE_H

#include <stdio.h>

/* As it is if no shell finds anything in it, else in single quotes: for POSIX shells, and those of others
 * that have the same single quotes. */
void shell_quote(FILE *out, const char *word);

#endif
