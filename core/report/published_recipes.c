/* published_recipes.c - figures made by tests/golden/make_published_views.py, which draws with
 * torchvision; 20,000 plans each. */
#include "report/published_recipes.h"

const wispi_published_recipe wispi_published_recipes[WISPI_N_RECIPES] = {
    {"CNN baseline",
     {0.464341, 0.0950437, 0.25621, 1.73517, 1.93367, 1.39492, 1.1344, 0.633965, 0.122217, 0.428495,
      0.20265, 0, 155648}},
    {"CNN SSLight",
     {0.54745, 0.174988, 0.348442, 2.04574, 2.00258, 1.0671, 0.997592, 0.752592, 0.0298542,
      0.541826, 0, 0.150725, 198656}},
    {"ViT baseline",
     {0.52045, 0.150319, 0.324126, 1.94484, 3.05824, 1.76469, 1.28234, 0.719185, 0.0471, 0.50723,
      0.0356, 0, 192512}},
    {"ViT SSLight",
     {0.548058, 0.175435, 0.348949, 2.04801, 2.0077, 1.06866, 0.998493, 0.753526, 0.0295875,
      0.542491, 0, 0.148415, 264192}},
};
