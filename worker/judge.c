/* judge.c - see judge.h. */
#include "worker/judge.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/gradient.h"

ps_status judge_init(judge *j, const tensor_table *table, double clip_norm)
{
    *j = (judge){.table = table, .clip_norm = clip_norm};
    j->squares = calloc(table->count, sizeof *j->squares);
    return j->squares ? PS_OK : PS_ENOMEM;
}

void judge_fini(judge *j)
{
    free(j->squares);
    *j = (judge){0};
}

void judge_begin(judge *j)
{
    j->left = j->table->count;
    j->nonfinite = false;
}

void judge_squares(judge *j, uint32_t t, double squares)
{
    assert(j->left > 0);
    j->left--;
    j->squares[t] = squares;
    j->nonfinite = j->nonfinite || !isfinite(squares);
}

void judge_tensor(judge *j, uint32_t t, const float *values)
{
    const uint64_t count = tensor_elements(&j->table->tensors[t]);
    if (j->nonfinite) /* nothing changes the judgement any more */
        judge_squares(j, t, 0);
    else if (j->clip_norm > 0)
        judge_squares(j, t, gradient_norm_squared(values, count));
    else
        judge_squares(j, t, gradient_is_finite(values, count) ? 0 : NAN);
}

/* The squares are added in the order of the table, whatever that was in which they came. */
judgement judge_end(const judge *j)
{
    assert(j->left == 0);
    judgement whole = {.nonfinite = j->nonfinite, .clip_factor = 1.0f};
    if (j->nonfinite || j->clip_norm <= 0)
        return whole;
    double squares = 0;
    for (uint32_t t = 0; t < j->table->count; t++)
        squares += j->squares[t];
    if (squares > j->clip_norm * j->clip_norm)
        whole.clip_factor = (float)(j->clip_norm / sqrt(squares));
    return whole;
}
