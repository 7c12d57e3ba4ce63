/* gz_stream.h - what a gzip file of one or several members holds, from front to back, and from
 * points on the way that were kept. */
#ifndef GZ_STREAM_H
#define GZ_STREAM_H

#include <zlib.h>

#include <wisp/host.h>

enum { GZ_INPUT_BYTES = 1 << 16 };

typedef struct gz_stream {
    const wisp_host *host;
    z_stream z;
    int32_t is_open;
    int32_t is_inside; /* a member is begun and not ended */
    int32_t has_ended;
    int32_t reserved;
    int64_t in_at;  /* where the next input is read from the file */
    int64_t out_at; /* bytes given so far */
    uint8_t input[GZ_INPUT_BYTES];
} gz_stream;

/* A place on the way that one can go on from. Stays where it is in memory. */
typedef struct gz_point {
    z_stream z;
    int64_t in_at, out_at;
} gz_point;

/* NULL when there is no memory. */
gz_stream *gz_open(const wisp_host *host);
void gz_close(gz_stream *s); /* accepts NULL */

/* The next bytes of the file `fd`; fewer at its end alone. `data` NULL: they are passed over. A
 * file that is damaged is WISP_E_CORRUPT, one that is cut off ends early and says so when
 * `is_whole` asks. What follows the last member is no concern. */
wisp_status gz_read(gz_stream *s, int fd, uint8_t *data, int64_t bytes, int64_t *got,
                    wisp_error *err);
int gz_is_whole(const gz_stream *s);

/* A point where the stream stands; 0 when there is no memory. */
int gz_keep(gz_stream *s, gz_point *point);
/* Takes the stream to a point, or to the beginning with NULL. */
int gz_go(gz_stream *s, gz_point *point);
void gz_drop(gz_point *point);

#endif
