/*
 * The load generator. Topology of every mode: one process, one thread, raw sockets on loopback; the
 * peer runs on another CPU. Each mode's file says what it measures and when its figure is void.
 *
 *   loadgen throughput | latency | rtt | replay        against a broker, a peer of it or a relay
 *   loadgen idle | connect | storm | handshake         connections
 *   loadgen reload                                     full load, and who writes to standard input says what goes on
 *   loadgen relay | answer                             perf/ceiling: the least that a peer can do
 *   loadgen codec --size N                             frames made and judged, without a peer
 *   loadgen xxh64 | siphash --size N                   the hash of the protocol's test message
 *   loadgen histogram                                  of the nanoseconds on standard input, a line for each
 */
#include "common.h"
#include "siphash.h"
#include "xxh64.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

int run_xxh64(const struct options *options) {
  uint8_t *message = allocate(options->payload_bytes + 1);
  for (size_t i = 0; i < options->payload_bytes; i++) message[i] = (uint8_t)(31 * i + 7);
  printf("{\"hash\":\"%016" PRIx64 "\"}\n", xxh64(message, options->payload_bytes));
  return 0;
}

int run_siphash(const struct options *options) {
  uint8_t key[16], *message = allocate(options->payload_bytes + 8);
  for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)i;
  for (size_t i = 0; i < options->payload_bytes; i++) message[i] = (uint8_t)i;
  struct sip_key sip = {load_u64(key), load_u64(key + 8), 0, true};
  printf("{\"tag\":\"%016" PRIx64 "\"}\n", siphash(&sip, message, options->payload_bytes));
  return 0;
}

/** Modes whose messages are tagged where a key is asked for. */
static bool can_be_keyed(const char *mode) {
  static const char *const modes[] = {"throughput", "latency", "handshake", "codec"};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(mode, modes[i]) == 0) return true;
  }
  return false;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(const struct options *);
  } modes[] = {{"throughput", run_throughput}, {"latency", run_latency}, {"rtt", run_rtt},
               {"replay", run_replay},         {"idle", run_idle},       {"connect", run_connect},
               {"storm", run_storm},           {"handshake", run_handshake}, {"reload", run_reload},
               {"relay", run_relay},           {"answer", run_answer},   {"xxh64", run_xxh64},
               {"siphash", run_siphash},       {"codec", run_codec},     {"histogram", run_histogram}};
  /* A peer must not outlive the script that started it, however that ended. */
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) die("usage: loadgen MODE [--option value]… (the modes stand in main.c)");
  struct options options;
  read_options(&options, argc, argv);
  if (options.key_id && !can_be_keyed(options.mode)) die("%s has no keyed frames", options.mode);
  pin_to_cpu(options.cpu);
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(modes[i].name, options.mode) == 0) return modes[i].run(&options);
  }
  die("unknown mode \"%s\"", options.mode);
}
