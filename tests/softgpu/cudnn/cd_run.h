/* Running a graph: tensors as floats, one behind another in the order of their dimensions. */
#ifndef WISP_SOFT_CD_RUN_H
#define WISP_SOFT_CD_RUN_H

#include "cd_engine.h"

/* What a launch carries. */
typedef struct {
    cd_plan plan;
    void *pointers[CD_TENSORS];
    double by_value[CD_TENSORS];
    void *workspace;
} cd_launch;

void cd_run(void *launch);

/* Before an element is stored, as it is read back; loads and stores by stride. */
float cd_rounded(int type, float value);
void cd_load(const cd_tensor *tensor, const void *memory, float *out);
void cd_store(const cd_tensor *tensor, const float *values, void *memory);

typedef struct {
    const cd_graph *graph;
    const cd_node *node;
    int engine;
    int adds;      /* the product is added to what out[0] holds */
    unsigned turn; /* of this run, for engines that never do the same twice */
    const float *in[CD_INPUTS];
    float *out[CD_OUTPUTS];
} cd_step;

/* out[0] holds what was there before, for beta. */
void cd_run_convolution(const cd_step *step);
void cd_run_pointwise(const cd_step *step);
void cd_run_matmul(const cd_step *step);
void cd_run_reduction(const cd_step *step);
void cd_run_reshape(const cd_step *step);
void cd_run_statistics(const cd_step *step);
void cd_run_attention(const cd_step *step);

#endif
