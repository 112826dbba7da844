/*
 * Topology:   publisher socket --> peer --> subscriber socket, both ends in this one thread, one clock.
 *
 * Measures, at a fixed rate and with an open loop, the time from the moment a message was *meant* to
 * be sent until the receive call that brought it returned. Messages that fall due while an earlier one
 * is stuck count with all their waiting, so that a stall is not hidden by sending less during it.
 * This thread never sleeps: its own wake-up would be the larger part of the figure.
 *
 * Void when: not all that was sent was delivered in order; when `sendLag` (how late the generator
 * itself handed messages to the kernel) is not small beside the latency; when the rate was not kept.
 */
#include "probe.h"

#include <stdio.h>

static void offer(struct probe *probe, uint64_t end_ns) {
  uint64_t now = now_ns();
  for (uint64_t round = 0; !probe->broken && (now < end_ns || probe->due_ns < end_ns); round++) {
    probe_send(probe, now, end_ns);
    probe_receive(probe, round);
    now = now_ns();
  }
}

static void report(const struct probe *probe, double elapsed_seconds) {
  const struct options *options = probe->options;
  const struct receiver *subscriber = probe->subscriber;
  printf("{\"mode\":\"latency\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,\"rate\":%.0f,"
         "\"seconds\":%.3f,\"sent\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,"
         "\"reordered\":%llu,\"misplaced\":%llu,\"corrupt\":%llu,\"strays\":%llu,\"counted\":%llu,\"achievedRate\":%.0f,",
         options->protocol, probe->session.wire->name, options->payload_bytes, options->rate,
         options->seconds, (unsigned long long)probe->made, (unsigned long long)probe->made,
         (unsigned long long)subscriber->delivered, (unsigned long long)subscriber->gaps,
         (unsigned long long)subscriber->reordered, (unsigned long long)subscriber->misplaced,
         (unsigned long long)subscriber->corrupt, (unsigned long long)subscriber->strays,
         (unsigned long long)probe->latency->count, (double)subscriber->delivered / elapsed_seconds);
  histogram_print("latency", probe->latency);
  printf(",");
  histogram_print("sendLag", probe->send_lag);
  printf(",\"error\":\"%s\"}\n", subscriber->error[0] ? subscriber->error : probe->control->error);
}

int run_latency(const struct options *options) {
  struct probe *probe = allocate(sizeof *probe);
  probe->latency = allocate(sizeof *probe->latency);
  probe->send_lag = allocate(sizeof *probe->send_lag);
  open_probe(probe, options, options->subject);
  uint64_t start_ns = now_ns();
  start_probe(probe, start_ns);
  probe->counted_from_ns = start_ns + (uint64_t)(options->warmup_seconds * NS_PER_SECOND);
  offer(probe, probe->counted_from_ns + (uint64_t)(options->seconds * NS_PER_SECOND));
  probe_drain(probe);
  report(probe, (double)(now_ns() - start_ns) / NS_PER_SECOND);
  return 0;
}
