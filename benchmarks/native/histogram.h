/* A log-linear histogram in the manner of HdrHistogram: 2,048 steps to every power of two, so a
 * value is kept to within 0.1 %. Values are nanoseconds up to 2^42 (over an hour). */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { STEP_BITS = 11, STEPS = 1 << STEP_BITS, VALUE_BITS = 42 };
enum { SLOTS = STEPS + (VALUE_BITS - STEP_BITS) * (STEPS / 2) };

struct histogram {
    uint64_t slots[SLOTS];
    uint64_t count, min, max;
    double sum;
};

static inline unsigned histogram_slot(uint64_t value) {
    if (value >> VALUE_BITS) value = ((uint64_t)1 << VALUE_BITS) - 1;
    if (value < STEPS) return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - (STEP_BITS - 1);
    return shift * (STEPS / 2) + (unsigned)(value >> shift);
}

/* The largest value that falls into a slot. */
static inline uint64_t histogram_top(unsigned slot) {
    if (slot < STEPS) return slot;
    unsigned shift = slot / (STEPS / 2) - 1;
    uint64_t step = slot - shift * (STEPS / 2);
    return ((step + 1) << shift) - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t value) {
    h->slots[histogram_slot(value)]++;
    if (h->count == 0 || value < h->min) h->min = value;
    if (value > h->max) h->max = value;
    h->sum += (double)value;
    h->count++;
}

/* The value that `percent` of all values do not exceed; 0 when there is none. */
static inline uint64_t histogram_percentile(const struct histogram *h, double percent) {
    if (h->count == 0) return 0;
    uint64_t wanted = (uint64_t)(percent / 100 * (double)h->count + 0.999999);
    uint64_t seen = 0;
    if (wanted == 0) wanted = 1;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        seen += h->slots[slot];
        if (seen >= wanted) {
            uint64_t top = histogram_top(slot);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

/* One JSON object, in microseconds. */
static inline void histogram_print(FILE *out, const struct histogram *h) {
    fprintf(out,
            "{\"count\":%llu,\"min\":%.1f,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
            "\"p99_9\":%.1f,\"max\":%.1f}",
            (unsigned long long)h->count, (double)h->min / 1e3,
            h->count ? h->sum / (double)h->count / 1e3 : 0.0,
            (double)histogram_percentile(h, 50) / 1e3, (double)histogram_percentile(h, 90) / 1e3,
            (double)histogram_percentile(h, 99) / 1e3, (double)histogram_percentile(h, 99.9) / 1e3,
            (double)h->max / 1e3);
}

#endif
