/* Counts of durations in logarithmic buckets, 128 to each power of two: under 1 % of error. */
#ifndef LOADGEN_HISTOGRAM_H
#define LOADGEN_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_BUCKETS ((65 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS)

struct histogram {
  uint64_t count;
  uint64_t max_ns;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
/** The upper edge of the bucket that holds quantile `q` (0 … 1), never above the maximum; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);
/**
 * Prints `"name":{"count":…,"p50Us":…,"p90Us":…,"p99Us":…,"p999Us":…,"p9999Us":…,"maxUs":…,"counts":[[ns,n],…]}`;
 * `counts` are the buckets that hold something, by their upper edges.
 */
void histogram_print(const char *name, const struct histogram *histogram);

#endif
