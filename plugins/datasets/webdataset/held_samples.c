/* held_samples.c - a queue that one may also take from the middle of. */
#include "held_samples.h"

wisp_status held_fill(held_samples *h, const wisp_host *host, int64_t n_samples, int64_t most,
                      wisp_error *err)
{
    h->host = host;
    h->most = most;
    pthread_mutex_init(&h->lock, NULL);
    h->is_ready = 1;
    h->of = host->alloc(host, (size_t)n_samples * sizeof(held_sample *));
    return h->of ? WISP_OK
                 : wisp_fail(err, WISP_E_NOMEM, "no memory for %lld samples", (long long)n_samples);
}

void held_free(held_samples *h)
{
    if (!h->is_ready)
        return;
    while (h->first) {
        held_sample *s = h->first;
        h->first = s->after;
        h->host->free(h->host, s);
    }
    h->host->free(h->host, h->of);
    pthread_mutex_destroy(&h->lock);
}

/* With the lock held. */
static void unlink_sample(held_samples *h, held_sample *s)
{
    *(s->before ? &s->before->after : &h->first) = s->after;
    *(s->after ? &s->after->before : &h->last) = s->before;
    h->of[s->sample] = NULL;
    h->bytes -= s->bytes;
}

held_sample *held_begin(held_samples *h, int64_t sample, int64_t bytes)
{
    pthread_mutex_lock(&h->lock);
    const int useless = h->of[sample] != NULL || bytes > h->most;
    pthread_mutex_unlock(&h->lock);
    held_sample *s = useless ? NULL : h->host->alloc(h->host, sizeof *s + (size_t)bytes);
    if (s) {
        s->sample = sample;
        s->bytes = bytes;
    }
    return s;
}

void held_put(held_samples *h, held_sample *s)
{
    held_sample *out = NULL; /* freed without the lock */
    pthread_mutex_lock(&h->lock);
    while (h->first && h->bytes > h->most - s->bytes) {
        held_sample *oldest = h->first;
        unlink_sample(h, oldest);
        oldest->after = out;
        out = oldest;
    }
    s->before = h->last;
    s->after = NULL;
    *(h->last ? &h->last->after : &h->first) = s;
    h->last = s;
    h->of[s->sample] = s;
    h->bytes += s->bytes;
    pthread_mutex_unlock(&h->lock);
    while (out) {
        held_sample *next = out->after;
        h->host->free(h->host, out);
        out = next;
    }
}

held_sample *held_take(held_samples *h, int64_t sample)
{
    pthread_mutex_lock(&h->lock);
    held_sample *s = h->of[sample];
    if (s)
        unlink_sample(h, s);
    pthread_mutex_unlock(&h->lock);
    return s;
}
