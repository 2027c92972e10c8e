/* number_text.c - see number_text.h. */
#include "deploy/number_text.h"

#include <math.h>
#include <stdlib.h>

#include "common/json.h"

enum { DIGITS_MAX = 17 /* with which every double reads as itself */ };

void number_text(double number, char text[NUMBER_TEXT_BYTES])
{
    snprintf(text, NUMBER_TEXT_BYTES, "null");
    if (!isfinite(number))
        return;
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        snprintf(text, NUMBER_TEXT_BYTES, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (floor(number) == number && fabs(number) <= (double)JSON_INTEGER_MAX)
        snprintf(text, NUMBER_TEXT_BYTES, "%.0f", number);
}

void number_text_print(FILE *out, double number)
{
    char text[NUMBER_TEXT_BYTES];
    number_text(number, text);
    fputs(text, out);
}
