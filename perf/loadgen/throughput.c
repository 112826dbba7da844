/*
 * Topology:   publisher socket(s) --> peer --> subscriber socket(s), all ends in this one thread; with
 *             --streams N so many times side by side, each on a stream of its own.
 *
 * Measures how many messages a second the peer carries when it is always offered more than it takes:
 * a prepared cycle of messages is written as fast as the socket takes it (and, with --window, as subscribers
 * keep up), and everything that comes back is walked, message by message. The figure is what all subscribers
 * together received between the warm-up and the end of `--seconds`; then sending stops and what is under way
 * is drained.
 *
 * Void when: not all that was sent was delivered, in order and whole; or when the same generator,
 * against the bare relay, does not do clearly better (the script draws that line at 80 %).
 */
#include "load.h"

#include <stdio.h>

struct mark {
  uint64_t at_ns;
  double cpu_seconds;
  uint64_t delivered;
};

static struct mark mark_now(const struct load *load) {
  return (struct mark){now_ns(), cpu_seconds(), load_delivered(load)};
}

/** Offers load until `until_ns`. */
static void load_until(struct load *load, uint64_t until_ns, uint64_t *round) {
  for (uint64_t now = now_ns(); now < until_ns && !load->broken; now = now_ns()) {
    if (load_turn(load, (*round)++, true) == 0) {
      load_wait(load, true, (int)((until_ns - now) / 1000000) + 1);
    }
  }
}

static void report(const struct load *load, struct mark from, struct mark to, double wall_seconds) {
  const struct options *options = load->options;
  struct receiver sum = {0};
  const char *error = load_faults(load, &sum);
  double seconds = (double)(to.at_ns - from.at_ns) / NS_PER_SECOND;
  double per_second = seconds > 0 ? (double)(to.delivered - from.delivered) / seconds : 0;
  printf("{\"mode\":\"throughput\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,"
         "\"streams\":%d,\"publishers\":%d,\"subscribers\":%d,\"sendBufferBytes\":%zu,\"windowBytes\":%zu,",
         options->protocol, load->lanes[0].session.wire->name, options->payload_bytes, options->streams,
         options->publishers, options->subscribers, options->send_buffer_bytes, options->window_bytes);
  uint64_t sent = load_sent(load);
  print_counts(&sum, sent, sent * (unsigned)options->subscribers, load_delivered(load));
  printf("\"seconds\":%.4f,\"framesPerSecond\":%.0f,\"megabytesPerSecond\":%.2f,"
         "\"generatorCpuSeconds\":%.4f,\"wallSeconds\":%.4f,\"error\":\"%s\"}\n",
         seconds, per_second, per_second * (double)options->payload_bytes / 1e6,
         to.cpu_seconds - from.cpu_seconds, wall_seconds, error);
}

int run_throughput(const struct options *options) {
  struct load load = {0};
  open_load(&load, options);
  uint64_t round = 0, start_ns = now_ns();
  uint64_t warm_ns = start_ns + (uint64_t)(options->warmup_seconds * NS_PER_SECOND);
  load_until(&load, warm_ns, &round);
  struct mark from = mark_now(&load);
  load_until(&load, warm_ns + (uint64_t)(options->seconds * NS_PER_SECOND), &round);
  struct mark to = mark_now(&load);
  load_drain(&load, &round);
  report(&load, from, to, (double)(now_ns() - start_ns) / NS_PER_SECOND);
  return 0;
}
