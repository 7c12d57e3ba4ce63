#include "train/stored_run.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

wisp_status wispi_stored_run_find(const char *named, wispi_stored_run *run, wisp_error *err)
{
    struct stat info;
    char folder[WISPI_STORED_PATH], above[WISPI_STORED_PATH];
    if (stat(named, &info) != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "%.500s: there is no such run folder or checkpoint",
                         named);
    if (strlen(named) > WISPI_STORED_PATH - 200)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", named);
    run->is_folder = S_ISDIR(info.st_mode);
    if (run->is_folder) {
        snprintf(run->weights, sizeof run->weights, "%.1000s/checkpoints/last.safetensors", named);
        snprintf(run->config, sizeof run->config, "%.1000s/config.toml", named);
        return WISP_OK;
    }
    snprintf(run->weights, sizeof run->weights, "%s", named);
    WISP_TRY(wispi_path_folder(folder, sizeof folder, named));
    WISP_TRY(wispi_path_folder(above, sizeof above, folder));
    snprintf(run->config, sizeof run->config, "%.1000s/config.toml", above);
    return WISP_OK;
}
