/* hue_lanes.h - the tables of the hue shift in vector lanes; for hue_*.c only.
 *
 * The steps of wisp_turn_hue, whose doubles are slow, come to whole numbers and a few single
 * precision operations whose errors cannot matter:
 *
 * - Saturation is the whole part of 255 * range / high. What is no whole number is 1/255 or more
 *   away from one, and of a whole number not less comes out: so a little is added before cutting.
 * - Hue is the whole part of 85 * (base * range + difference) / (2 * range), base being 0, 2 or 4
 *   by the largest channel. What is no whole number is 1/510 or more away from one. A whole number
 *   may have become a little less by rounding in the original; that depends on the number alone,
 *   and those where it did are marked in wispi_hue_falls_short.
 * - Back, with the fraction of the sector m / 85 and s, v in 0..255, the lowest channel is
 *   v (255 - s) / 255 and the one between v (21675 - s M) / 21675, M being m or 85 - m, both
 * rounded. 21675 is odd: no tie, and the nearest is 1/43350 away. v s M is exact in single
 * precision.
 *
 * The test goes through all colours and all of (h, s, v). */
#ifndef WISPI_IMAGE_HUE_LANES_H
#define WISPI_IMAGE_HUE_LANES_H

#include <stdint.h>

/* Less than half of the distance of hue from whole numbers, more than any error. */
#define WISPI_HUE_MARGIN 0.0009f

/* Bit 31 - h % 32 of word h / 32. */
static const uint32_t wispi_hue_falls_short[8] = {0x7fffffffu, 0x00000000u, 0x00000088u,
                                                  0x88800000u, 0x55555444u, 0x4444c4c4u,
                                                  0x44444000u, 0x00000000u};

/* Channels by sector: which byte of (highest, between, lowest, 0) is red, green, blue. Hue 255
 * begins the seventh sector, which is the first again. */
static const uint32_t wispi_hue_channels[8] = {0x80020100u, 0x80020001u, 0x80010002u, 0x80000102u,
                                               0x80000201u, 0x80010200u, 0x80020100u, 0x80020100u};

/* M is the distance of 2 h from this, by sector. */
static const int32_t wispi_hue_full[8] = {85, 85, 255, 255, 425, 425, 595, 595};

/* 2 h / 85, the sector, is the upper half of h times this. */
enum { WISPI_HUE_SECTORS = 1543 };

#endif
