/* number_text.h - numbers as options and JSON have them. */
#ifndef PENSTOCK_DEPLOY_NUMBER_TEXT_H
#define PENSTOCK_DEPLOY_NUMBER_TEXT_H

#include <stdio.h>

enum { NUMBER_TEXT_BYTES = 32 };

/* The shortest text that reads as this number, whole ones without an exponent: options that count take digits
 * alone. "null", as in JSON, if it is not finite. */
void number_text(double number, char text[NUMBER_TEXT_BYTES]);

/* Writes that text. */
void number_text_print(FILE *out, double number);

#endif
