/* published_recipes.c - figures made by tests/golden/make_published_views.py, which draws with
 * torchvision; 20,000 plans each. */
#include "report/published_recipes.h"

const wispi_published_recipe wispi_published_recipes[WISPI_N_RECIPES] = {
    {"CNN baseline",
     {0.462344, 0.095397, 0.255458, 1.72771, 1.94086, 1.39083, 1.13508, 0.646639, 0.120417, 0.43639,
      0.1975, 0, 155648}},
    {"CNN SSLight",
     {0.54286, 0.178688, 0.359487, 2.02858, 2.04492, 1.10093, 1.01308, 0.753822, 0.0266667,
      0.529411, 0, 0.143333, 198656}},
    {"ViT baseline",
     {0.538482, 0.149725, 0.310266, 2.01223, 3.04615, 1.68922, 1.25543, 0.723295, 0.046, 0.526889,
      0.0325, 0, 192512}},
    {"ViT SSLight",
     {0.557117, 0.176303, 0.342689, 2.08186, 2.01763, 1.04949, 0.990755, 0.764674, 0.026, 0.542902,
      0, 0.145, 264192}},
};
