/* plan.c - `penstock plan`: options and constants in, a recommendation out. */
#include <stdio.h>
#include <stdlib.h>

#include "common/status.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/plan/cost_constants.h"
#include "deploy/plan/plan_options.h"
#include "deploy/plan/plan_report.h"
#include "deploy/plan/plan_search.h"

static ps_status make_plan(const plan_options *options, ps_error *error)
{
    cost_constants constants = COST_CONSTANTS_DEFAULT;
    cost_measurement m = {0};
    if (options->constants_file) {
        ps_status status = cost_measurement_read(options->constants_file, &m, error);
        if (status != PS_OK)
            return status;
        constants = m.constants;
        cost_measurement_fini(&m);
    }
    plan_request request = options->request;
    request.job.pull = plan_codec_cost(options->pull_codec, &constants);
    plan_result result;
    ps_status status = plan_search(&request, &constants, &result, error);
    if (status != PS_OK)
        return status;
    if (options->json)
        plan_report_json(stdout, &result);
    else
        plan_report_text(stdout, &request, &result);
    return PS_OK;
}

static ps_status check_model(const plan_options *options, ps_error *error)
{
    cost_measurement m = {0};
    double *predicted = NULL;
    ps_status status = cost_measurement_read(options->check_file, &m, error);
    if (status == PS_OK && m.point_count == 0)
        status = ps_fail(error, PS_EFORMAT, "%s: there are no plan_points to check", options->check_file);
    if (status != PS_OK)
        goto done;
    predicted = calloc(m.point_count, sizeof *predicted);
    if (!predicted) {
        status = ps_fail(error, PS_ENOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < m.point_count; i++) {
        cost_input in = m.points[i].input;
        cost_prediction p;
        in.pipelined = options->request.job.pipelined;
        cost_predict(&in, &m.constants, &p);
        predicted[i] = p.step_s;
    }
    if (options->json)
        plan_check_json(stdout, &m, predicted);
    else
        plan_check_text(stdout, &m, predicted);
done:
    free(predicted);
    cost_measurement_fini(&m);
    return status;
}

int plan_main(int argc, char **argv)
{
    plan_options options;
    plan_options_parse(argc, argv, &options);
    ps_error error;
    ps_status status = options.check_file ? check_model(&options, &error) : make_plan(&options, &error);
    return command_end(argv[0], status, &error);
}
