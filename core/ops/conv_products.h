/* conv_products.h - the products that a convolution and its gradients are sums of, one by one; for
 * reference kernels. */
#ifndef WISPI_OPS_CONV_PRODUCTS_H
#define WISPI_OPS_CONV_PRODUCTS_H

#include "ops/index.h"

/* x (N,H,W,C), w (O,C/g,kh,kw), y (N,Ho,Wo,O). */
typedef struct wispi_products {
    const wisp_desc *x_desc, *w_desc, *y_desc;
    double *x, *w, *y;
    const void *more; /* the caller's */
} wispi_products;

/* What is done with one product: offsets of its y, x and w. */
typedef void wispi_product(const wispi_products *p, int64_t y, int64_t x, int64_t w);

/* All products that make up output pixel (n,i,j). */
static inline void wispi_window_products(const wisp_conv2d_attrs *a, const wispi_products *p,
                                         int64_t n, int64_t i, int64_t j, wispi_product *term)
{
    const int64_t *x = p->x_desc->shape, *w = p->w_desc->shape;
    for (int64_t o = 0; o < w[0]; o++) {
        const int64_t first_channel = o / (w[0] / a->groups) * w[1];
        for (int64_t ky = 0; ky < w[2]; ky++) {
            const int64_t row = i * a->stride_h - a->pad_h + ky * a->dilation_h;
            for (int64_t kx = 0; kx < w[3]; kx++) {
                const int64_t column = j * a->stride_w - a->pad_w + kx * a->dilation_w;
                if (row < 0 || row >= x[1] || column < 0 || column >= x[2])
                    continue;
                for (int64_t c = 0; c < w[1]; c++)
                    term(p, wispi_at4(p->y_desc, n, i, j, o),
                         wispi_at4(p->x_desc, n, row, column, first_channel + c),
                         wispi_at4(p->w_desc, o, c, ky, kx));
            }
        }
    }
}

static inline void wispi_each_product(const wisp_conv2d_attrs *a, const wispi_products *p,
                                      wispi_product *term)
{
    const int64_t *y = p->y_desc->shape;
    for (int64_t n = 0; n < y[0]; n++)
        for (int64_t i = 0; i < y[1]; i++)
            for (int64_t j = 0; j < y[2]; j++)
                wispi_window_products(a, p, n, i, j, term);
}

#endif
