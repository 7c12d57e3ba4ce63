/* pixel_kernels.h - the inner loops of pixel operations, in one variant for each level of vector
 * instructions (base/cpu_level.h).
 *
 * All variants give the same bytes as pixel_math.h does. `n` counts pixels of packed 8-bit RGB
 * unless it is said otherwise; any number and any alignment will do, and nothing outside of the
 * buffers is read or written. [any] */
#ifndef WISPI_IMAGE_PIXEL_KERNELS_H
#define WISPI_IMAGE_PIXEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu_level.h"
#include "image/number_tables.h"
#include "wisp/pixel_math.h"

/* As from wisp_gauss_weights. */
typedef struct wispi_gauss {
    int32_t radius;
    int16_t weights[WISP_GAUSS_WEIGHTS];
} wispi_gauss;

typedef struct wispi_pixel_kernels {
    /* values[i] = table[values[i]] for n bytes. */
    void (*map)(uint8_t *values, size_t n, const uint8_t table[256]);
    uint64_t (*luma_sum)(const uint8_t *rgb, size_t n);
    void (*make_gray)(uint8_t *rgb, size_t n);
    /* Blends with each pixel's own luma. */
    void (*saturate)(uint8_t *rgb, size_t n, float factor);
    /* `step` as from wisp_hue_step. */
    void (*turn_hue)(uint8_t *rgb, size_t n, int32_t step);
    void (*to_f32)(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out);
    void (*to_bf16)(const wispi_number_tables *m, const uint8_t *rgb, size_t n, uint16_t *out);
    /* Pillow's box passes, three along rows and three along columns, in place. `scratch` has the
     * bytes of wispi_box_blur_bytes and the alignment of wispi_alloc. */
    void (*box_blur)(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height, void *scratch);
    /* The sampled Gaussian, in place, likewise with wispi_gauss_blur_bytes. */
    void (*gauss_blur)(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                       void *scratch);
} wispi_pixel_kernels;

/* For any level. */
size_t wispi_gauss_blur_bytes(int32_t radius, int32_t width, int32_t height);
size_t wispi_box_blur_bytes(wisp_box_blur box, int32_t width, int32_t height);

/* NULL where the level is not built. */
const wispi_pixel_kernels *wispi_pixel_kernels_of(int32_t level);

/* Those of wispi_cpu_level(), or of the best level below it that is built. */
const wispi_pixel_kernels *wispi_pixel_kernels_here(void);

/* --- of the variants' files --- */

extern const wispi_pixel_kernels wispi_pixels_plain, wispi_pixels_neon, wispi_pixels_avx2,
    wispi_pixels_avx512;

void wispi_turn_hue_plain(uint8_t *rgb, size_t n, int32_t step);
void wispi_turn_hue_neon(uint8_t *rgb, size_t n, int32_t step);
void wispi_turn_hue_avx2(uint8_t *rgb, size_t n, int32_t step);
void wispi_turn_hue_avx512(uint8_t *rgb, size_t n, int32_t step);

void wispi_to_f32_plain(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out);
void wispi_to_f32_avx2(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out);
void wispi_to_f32_avx512(const wispi_number_tables *m, const uint8_t *rgb, size_t n, float *out);
void wispi_to_bf16_plain(const wispi_number_tables *m, const uint8_t *rgb, size_t n, uint16_t *out);
void wispi_to_bf16_avx2(const wispi_number_tables *m, const uint8_t *rgb, size_t n, uint16_t *out);
void wispi_to_bf16_avx512(const wispi_number_tables *m, const uint8_t *rgb, size_t n,
                          uint16_t *out);

void wispi_box_blur_plain(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                          void *scratch);
void wispi_box_blur_neon(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                         void *scratch);
void wispi_box_blur_avx2(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                         void *scratch);
void wispi_box_blur_avx512(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch);

void wispi_gauss_blur_plain(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                            void *scratch);
void wispi_gauss_blur_neon(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch);
void wispi_gauss_blur_avx2(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                           void *scratch);
void wispi_gauss_blur_avx512(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                             void *scratch);

#endif
