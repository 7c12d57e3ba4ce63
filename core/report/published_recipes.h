/* published_recipes.h - the means of SSLight's published recipes and of their baselines. */
#ifndef WISPI_REPORT_PUBLISHED_RECIPES_H
#define WISPI_REPORT_PUBLISHED_RECIPES_H

#include "report/view_numbers.h"

enum { WISPI_N_RECIPES = 4 };

typedef struct wispi_published_recipe {
    const char *name;
    double means[WISPI_N_MEANS];
} wispi_published_recipe;

extern const wispi_published_recipe wispi_published_recipes[WISPI_N_RECIPES];

/* What they are, and the images that they were drawn for. */
#define WISPI_PUBLISHED_NOTE                                                                       \
    "Published recipes: DINO, SwAV and MoCo-v2 for convolutional networks (CNN), DINO for "        \
    "ViT-Tiny (ViT), ICLR 2023; drawn for images of 500 x 375 px."

#endif
