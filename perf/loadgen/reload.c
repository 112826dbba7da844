/*
 * Topology:   N publishers --> broker --> N subscribers, each pair on a stream of its own, and beside them one more pair
 *             with a message due every so often (--rate); all ends in this one thread.
 *
 * Offers as much as the broker takes, as in throughput, until standard input ends, and meanwhile measures the time from
 * the moment a message of the pair beside was due until it came. A letter on standard input names what follows; what comes
 * until the next one is counted under it. A line answers each letter, so that who writes them knows when it holds.
 *
 * Void when: a connection was lost; or not all that was sent was delivered, whole and in order.
 */
#include "load.h"
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The first one is for what comes before a letter. */
#define PERIODS 27
#define INPUT_ROUNDS 8
#define WAIT_MS 1

struct period {
  double seconds;
  uint64_t delivered;
  struct histogram latency;
  struct histogram send_lag;
};

struct reload_run {
  struct load load;
  struct probe probe;
  struct period periods[PERIODS];
  struct period *period;
  uint64_t since_ns;
  uint64_t delivered_before;
  uint64_t beside_round;
  bool ended;
};

static void enter(struct reload_run *run, struct period *period) {
  uint64_t now = now_ns(), delivered = load_delivered(&run->load);
  if (run->period) {
    run->period->seconds += (double)(now - run->since_ns) / NS_PER_SECOND;
    run->period->delivered += delivered - run->delivered_before;
  }
  run->period = period;
  run->since_ns = now;
  run->delivered_before = delivered;
  run->probe.latency = &period->latency;
  run->probe.send_lag = &period->send_lag;
}

static void probe_beside(void *context) {
  struct reload_run *run = context;
  probe_send(&run->probe, now_ns(), UINT64_MAX);
  probe_receive(&run->probe, run->beside_round++);
}

static void hear_input(struct reload_run *run) {
  char letter;
  ssize_t count = read(STDIN_FILENO, &letter, 1);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    run->ended = true;
    return;
  }
  if (letter < 'a' || letter > 'z') die("a period is named by a letter from a to z");
  enter(run, &run->periods[letter - 'a' + 1]);
  printf("{\"period\":\"%c\"}\n", letter);
  fflush(stdout);
}

static void offer_until_input_ends(struct reload_run *run, uint64_t *round) {
  while (!run->ended && !run->load.broken && !run->probe.broken) {
    if (*round % INPUT_ROUNDS == 0) hear_input(run);
    if (load_turn(&run->load, (*round)++, true) == 0) load_wait(&run->load, true, WAIT_MS);
  }
}

static void report(struct reload_run *run) {
  const struct options *options = run->load.options;
  struct receiver sum = {0};
  const char *error = load_faults(&run->load, &sum);
  add_faults(&sum, run->probe.subscriber, &error);
  add_faults(&sum, run->probe.control, &error);
  uint64_t sent = load_sent(&run->load);
  printf("{\"mode\":\"reload\",\"payloadBytes\":%zu,\"connections\":%d,\"rate\":%.0f,", options->payload_bytes,
         options->streams * (options->publishers + options->subscribers) + 2, options->rate);
  print_counts(&sum, sent + run->probe.made, sent * (unsigned)options->subscribers + run->probe.made,
               load_delivered(&run->load) + run->probe.subscriber->delivered);
  printf("\"periods\":{");
  const char *comma = "";
  for (int k = 1; k < PERIODS; k++) {
    struct period *period = &run->periods[k];
    if (period->seconds == 0) continue;
    printf("%s\"%c\":{\"seconds\":%.4f,\"framesPerSecond\":%.0f,", comma, 'a' + k - 1, period->seconds,
           (double)period->delivered / period->seconds);
    histogram_print("latency", &period->latency);
    printf(",");
    histogram_print("sendLag", &period->send_lag);
    printf("}");
    comma = ",";
  }
  printf("},\"error\":\"%s\"}\n", error);
}

int run_reload(const struct options *options) {
  struct reload_run *run = allocate(sizeof *run);
  open_load(&run->load, options);
  open_probe(&run->probe, options, "beside");
  run->load.beside = probe_beside;
  run->load.context = run;
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  enter(run, &run->periods[0]);
  start_probe(&run->probe, now_ns());
  printf("{\"mode\":\"reload\",\"up\":%d}\n",
         options->streams * (options->publishers + options->subscribers) + 2);
  fflush(stdout);
  uint64_t round = 0;
  offer_until_input_ends(run, &round);
  enter(run, &run->periods[0]);
  run->load.beside = NULL;
  load_drain(&run->load, &round);
  probe_drain(&run->probe);
  report(run);
  return 0;
}
