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

/* What they are. The publications name PS_l / PS_g and define none of these means. */
#define WISPI_PUBLISHED_NOTE                                                                       \
    "Published recipes (SSLight, ICLR 2023): DINO, SwAV and MoCo-v2 for convolutional networks "   \
    "(CNN), DINO for ViT-Tiny (ViT). Crop ranges and sizes are as published; the means were "      \
    "drawn "                                                                                       \
    "with torchvision's RandomResizedCrop for images of 500 by 375 px, and defined as above."

#endif
