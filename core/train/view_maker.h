/* view_maker.h - makes the views of a feed's plans on a device.
 *
 * It works beside the steps where the backend lets two queues of a device wait for each other:
 * pictures go to the device and views are made while the step before still runs. Elsewhere views
 * are made in the order of the steps. */
#ifndef WISPI_TRAIN_VIEW_MAKER_H
#define WISPI_TRAIN_VIEW_MAKER_H

#include "data/feed.h"
#include "tensor/device.h"

typedef struct wispi_view_maker wispi_view_maker;

typedef struct wispi_view_maker_options {
    wispi_device *device; /* of the steps */
    const wisp_view_group *groups;
    int32_t n_groups;
    int64_t batch; /* samples at most */
    int32_t dtype; /* WISP_F32 or WISP_BF16 */
    float mean[3], std[3];
} wispi_view_maker_options;

/* WISP_E_UNSUPPORTED where the device cannot make such views. */
wisp_status wispi_view_maker_create(const wispi_view_maker_options *options,
                                    wispi_view_maker **maker, wisp_error *err);
void wispi_view_maker_destroy(wispi_view_maker *maker); /* accepts NULL */

/* The views of a batch into views[g], one variable for each group, before what the steps' device is
 * asked for next. The batch stays as it is until the maker's device has waited for the ticket of
 * its uploads (tensor/transfer.h). */
wisp_status wispi_view_maker_run(wispi_view_maker *maker, const wispi_feed_batch *batch,
                                 wispi_variable *views, wisp_error *err);
wispi_device *wispi_view_maker_device(const wispi_view_maker *maker);

#endif
