#include "histogram.h"
#include "common.h"

#include <stdio.h>

static uint32_t bucket_of(uint64_t ns) {
  if (ns < (1u << HISTOGRAM_SUB_BITS)) return (uint32_t)ns;
  int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
  return ((uint32_t)shift << HISTOGRAM_SUB_BITS) + (uint32_t)(ns >> shift);
}

static uint64_t upper_edge(uint32_t bucket) {
  if (bucket < (1u << HISTOGRAM_SUB_BITS)) return bucket;
  int shift = (int)(bucket >> HISTOGRAM_SUB_BITS) - 1;
  uint64_t lowest = (uint64_t)(bucket - ((uint32_t)shift << HISTOGRAM_SUB_BITS)) << shift;
  return lowest + ((1ull << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
  histogram->buckets[bucket_of(ns)]++;
  histogram->count++;
  if (ns > histogram->max_ns) histogram->max_ns = ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q) {
  uint64_t wanted = (uint64_t)(q * (double)histogram->count + 0.999999), seen = 0;
  for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS && histogram->count > 0; bucket++) {
    seen += histogram->buckets[bucket];
    if (seen < wanted || seen == 0) continue;
    uint64_t edge = upper_edge(bucket);
    return edge < histogram->max_ns ? edge : histogram->max_ns;
  }
  return histogram->max_ns;
}

void histogram_print(const char *name, const struct histogram *histogram) {
  static const struct {
    const char *name;
    double quantile;
  } printed[] = {{"p50Us", 0.5}, {"p90Us", 0.9}, {"p99Us", 0.99}, {"p999Us", 0.999}, {"p9999Us", 0.9999}};
  printf("\"%s\":{\"count\":%llu,", name, (unsigned long long)histogram->count);
  for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
    printf("\"%s\":%.1f,", printed[i].name,
           (double)histogram_quantile(histogram, printed[i].quantile) / 1e3);
  }
  printf("\"maxUs\":%.1f,\"counts\":[", (double)histogram->max_ns / 1e3);
  const char *comma = "";
  for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    if (histogram->buckets[bucket] == 0) continue;
    uint64_t edge = upper_edge(bucket);
    printf("%s[%llu,%llu]", comma,
           (unsigned long long)(edge < histogram->max_ns ? edge : histogram->max_ns),
           (unsigned long long)histogram->buckets[bucket]);
    comma = ",";
  }
  printf("]}");
}

int run_histogram(const struct options *options) {
  (void)options;
  static struct histogram histogram;
  unsigned long long ns;
  while (scanf("%llu", &ns) == 1) histogram_add(&histogram, ns);
  printf("{");
  histogram_print("histogram", &histogram);
  printf("}\n");
  return 0;
}
