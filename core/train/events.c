#include "train/events.h"

#include <string.h>

enum { MAX_EVENT = 512, MAX_TAG = 256 };

typedef struct message {
    uint8_t bytes[MAX_EVENT];
    size_t length;
} message;

uint32_t wispi_crc32c(const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked_crc(const void *data, size_t bytes)
{
    uint32_t crc = wispi_crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_little_endian(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static void put_varint(message *m, uint64_t value)
{
    do {
        m->bytes[m->length++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

static void put_key(message *m, int field, int wire_type)
{
    put_varint(m, (uint64_t)field << 3 | (uint64_t)wire_type);
}

static void put_bytes(message *m, int field, const void *data, size_t n)
{
    put_key(m, field, 2);
    put_varint(m, n);
    memcpy(m->bytes + m->length, data, n);
    m->length += n;
}

static void put_double(message *m, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, field, 1);
    put_little_endian(m->bytes + m->length, bits, 8);
    m->length += 8;
}

static void put_float(message *m, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, field, 5);
    put_little_endian(m->bytes + m->length, bits, 4);
    m->length += 4;
}

static int write_record(FILE *file, const message *m)
{
    uint8_t head[12], tail[4];
    put_little_endian(head, m->length, 8);
    put_little_endian(head + 8, masked_crc(head, 8), 4);
    put_little_endian(tail, masked_crc(m->bytes, m->length), 4);
    return fwrite(head, 1, sizeof head, file) != sizeof head ||
           fwrite(m->bytes, 1, m->length, file) != m->length ||
           fwrite(tail, 1, sizeof tail, file) != sizeof tail;
}

/* Event: wall_time = 1, step = 2, file_version = 3, summary = 5. */
int wispi_events_begin(FILE *file, double wall_time)
{
    static const char version[] = "brain.Event:2";
    message event = {{0}, 0};
    put_double(&event, 1, wall_time);
    put_bytes(&event, 3, version, sizeof version - 1);
    return write_record(file, &event);
}

/* Summary: value = 1; Summary.Value: tag = 1, simple_value = 2. */
int wispi_events_scalar(FILE *file, double wall_time, int64_t step, const char *tag, float value)
{
    message scalar = {{0}, 0}, summary = {{0}, 0}, event = {{0}, 0};
    size_t tag_bytes = strlen(tag);
    put_bytes(&scalar, 1, tag, tag_bytes < MAX_TAG ? tag_bytes : MAX_TAG);
    put_float(&scalar, 2, value);
    put_bytes(&summary, 1, scalar.bytes, scalar.length);
    put_double(&event, 1, wall_time);
    put_key(&event, 2, 0);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, 5, summary.bytes, summary.length);
    return write_record(file, &event);
}
