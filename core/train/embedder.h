/* embedder.h - embeddings of whole splits, and the small computations that tasks ask for. */
#ifndef WISPI_TRAIN_EMBEDDER_H
#define WISPI_TRAIN_EMBEDDER_H

#include "train/session.h"

typedef struct wispi_embedder wispi_embedder;

/* Keeps its recorded programs for the life of the session. */
wisp_status wispi_embedder_create(wispi_session *session, wispi_embedder **embedder,
                                  wisp_error *err);
void wispi_embedder_destroy(wispi_embedder *embedder); /* before its session; accepts NULL */

/* Owned by the caller; see wispi_embedding_free. */
typedef struct wispi_embedding {
    wisp_embeddings plugin;
    float *values;
    int32_t *labels;
} wispi_embedding;

/* What becomes of every image. */
typedef struct wispi_embed_job {
    int64_t count; /* images */
    int32_t n_classes;
    int32_t raw;              /* 1: the pixels of the view themselves */
    int32_t source, n_blocks; /* as in wisp_embed_request */
    const volatile int *stop; /* NULL, or ends it with WISP_E_STOPPED */
    /* NULL, or is shown each batch; `first` is its first image's number. */
    void (*seen)(void *user, const wispi_feed_batch *batch, int64_t first);
    void *user;
} wispi_embed_job;

/* Every sample of `feed`'s first epoch from where it stands through the evaluated network, or
 * through the method's classifier, in eval mode. */
wisp_status wispi_embed(wispi_embedder *embedder, wispi_feed *feed, const wispi_embed_job *job,
                        wispi_embedding *out, wisp_error *err);
void wispi_embedding_free(wispi_embedding *embedding); /* accepts a zeroed one */

/* Attention of the class token in the last block, for `n` images (n, side, side, 3) of the run's
 * type: (n, heads, tokens) in f32, the class token's own first. */
typedef struct wispi_attention {
    float *values;
    int64_t heads, tokens;
} wispi_attention;

/* WISP_E_UNSUPPORTED where the backbone has none. `out->values` is freed with wispi_free. */
wisp_status wispi_attend(wispi_embedder *embedder, const void *images, int64_t n, int64_t side,
                         wispi_attention *out, wisp_error *err);

/* y (m,n) = a (m,k) . b (n,k)^T in f32 on the device; host memory. */
wisp_status wispi_product(wispi_embedder *embedder, const float *a, int64_t m, const float *b,
                          int64_t n, int64_t k, float *y, wisp_error *err);

/* Class scores (count, n_classes) of a learning probe for embeddings, f32. */
wisp_status wispi_predict(wispi_embedder *embedder, const wispi_instance *probe,
                          const wisp_embeddings *embeddings, int32_t n_classes, float *scores,
                          wisp_error *err);

#endif
