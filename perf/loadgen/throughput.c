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
#include "lane.h"

#include <poll.h>
#include <stdio.h>

/* The publisher's own input is looked at once in so many rounds: it is nearly always empty. */
#define CONTROL_ROUNDS 64
#define POLLED_MAX 4096

struct run {
  const struct options *options;
  struct lane *lanes;
  bool broken;
};

struct mark {
  uint64_t at_ns;
  double cpu_seconds;
  uint64_t delivered;
};

static size_t read_from(struct run *run, struct receiver *receiver) {
  long received = receive_some(receiver);
  if (received < 0) run->broken = true;
  return received > 0 ? (size_t)received : 0;
}

static void wait_for_any(struct run *run, bool sending, int timeout_ms) {
  static struct pollfd fds[POLLED_MAX];
  static struct receiver *controls[POLLED_MAX];
  nfds_t count = 0, control_count = 0;
  for (int k = 0; k < run->options->streams; k++) {
    struct lane *lane = &run->lanes[k];
    for (int i = 0; i < run->options->publishers; i++) {
      bool wants_out = wants_to_send(lane, &lane->publishers[i], sending);
      controls[control_count++] = lane->publishers[i].control;
      fds[count++] = (struct pollfd){lane->publishers[i].fd, (short)(POLLIN | (wants_out ? POLLOUT : 0)), 0};
    }
  }
  for (int k = 0; k < run->options->streams; k++) {
    for (int i = 0; i < run->options->subscribers; i++) {
      fds[count++] = (struct pollfd){run->lanes[k].subscribers[i]->fd, POLLIN, 0};
    }
  }
  if (poll(fds, count, timeout_ms) <= 0) return;
  for (nfds_t i = 0; i < control_count; i++) {
    if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) read_from(run, controls[i]);
  }
}

/** One round over every socket; answers the bytes that moved. */
static size_t turn(struct run *run, uint64_t round, bool sending) {
  size_t moved = 0;
  for (int k = 0; k < run->options->streams; k++) {
    struct lane *lane = &run->lanes[k];
    for (int i = 0; i < run->options->publishers; i++) {
      if (round % CONTROL_ROUNDS == 0) read_from(run, lane->publishers[i].control);
      moved += pump_publisher(lane, &lane->publishers[i], sending);
    }
    for (int i = 0; i < run->options->subscribers; i++) {
      moved += read_from(run, lane->subscribers[i]);
      flush_outbox(lane->subscribers[i], lane->subscribers[i]->fd);
    }
    run->broken |= lane->broken;
  }
  return moved;
}

static uint64_t total_delivered(const struct run *run) {
  uint64_t total = 0;
  for (int k = 0; k < run->options->streams; k++) total += messages_delivered(&run->lanes[k]);
  return total;
}

static uint64_t total_sent(const struct run *run) {
  uint64_t total = 0;
  for (int k = 0; k < run->options->streams; k++) total += messages_sent(&run->lanes[k]);
  return total;
}

static struct mark mark_now(const struct run *run) {
  return (struct mark){now_ns(), cpu_seconds(), total_delivered(run)};
}

/** Offers load until `until_ns`. */
static void load_until(struct run *run, uint64_t until_ns, uint64_t *round) {
  for (uint64_t now = now_ns(); now < until_ns && !run->broken; now = now_ns()) {
    if (turn(run, (*round)++, true) == 0) {
      wait_for_any(run, true, (int)((until_ns - now) / 1000000) + 1);
    }
  }
}

static bool half_sent(const struct run *run) {
  for (int k = 0; k < run->options->streams; k++) {
    const struct lane *lane = &run->lanes[k];
    for (int i = 0; i < run->options->publishers; i++) {
      if (bytes_to_message_end(lane, &lane->publishers[i]) > 0) return true;
    }
  }
  return false;
}

static void drain(struct run *run, uint64_t *round) {
  uint64_t progress_ns = now_ns();
  uint64_t patience_ns = (uint64_t)(run->options->patience_seconds * NS_PER_SECOND);
  while (!run->broken && now_ns() - progress_ns < patience_ns) {
    uint64_t expected = total_sent(run) * (uint64_t)run->options->subscribers;
    if (!half_sent(run) && total_delivered(run) >= expected) return;
    if (turn(run, (*round)++, false) > 0) {
      progress_ns = now_ns();
    } else {
      wait_for_any(run, false, 100);
    }
  }
}

static void add_up(struct receiver *sum, const struct receiver *one, const char **error) {
  sum->gaps += one->gaps;
  sum->reordered += one->reordered;
  sum->misplaced += one->misplaced;
  sum->corrupt += one->corrupt;
  sum->strays += one->strays;
  sum->announced_lost += one->announced_lost;
  sum->header_checks += one->header_checks;
  sum->payload_checks += one->payload_checks;
  sum->pings += one->pings;
  sum->peer_errors += one->peer_errors;
  if (one->error[0]) *error = one->error;
}

static void report(const struct run *run, struct mark from, struct mark to, double wall_seconds) {
  const struct options *options = run->options;
  struct receiver sum = {0};
  const char *error = "";
  for (int k = 0; k < options->streams; k++) {
    const struct lane *lane = &run->lanes[k];
    for (int i = 0; i < options->subscribers; i++) add_up(&sum, lane->subscribers[i], &error);
    for (int i = 0; i < options->publishers; i++) add_up(&sum, lane->publishers[i].control, &error);
  }
  double seconds = (double)(to.at_ns - from.at_ns) / NS_PER_SECOND;
  double per_second = seconds > 0 ? (double)(to.delivered - from.delivered) / seconds : 0;
  printf("{\"mode\":\"throughput\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,"
         "\"streams\":%d,\"publishers\":%d,\"subscribers\":%d,\"sendBufferBytes\":%zu,\"windowBytes\":%zu,",
         options->protocol, run->lanes[0].session.wire->name, options->payload_bytes, options->streams,
         options->publishers, options->subscribers, options->send_buffer_bytes, options->window_bytes);
  printf("\"sent\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,\"reordered\":%llu,"
         "\"misplaced\":%llu,\"corrupt\":%llu,\"strays\":%llu,\"announcedLost\":%llu,",
         (unsigned long long)total_sent(run),
         (unsigned long long)total_sent(run) * (unsigned)options->subscribers,
         (unsigned long long)total_delivered(run), (unsigned long long)sum.gaps,
         (unsigned long long)sum.reordered, (unsigned long long)sum.misplaced,
         (unsigned long long)sum.corrupt, (unsigned long long)sum.strays,
         (unsigned long long)sum.announced_lost);
  printf("\"headerChecks\":%llu,\"payloadChecks\":%llu,\"pings\":%llu,\"peerErrors\":%llu,",
         (unsigned long long)sum.header_checks, (unsigned long long)sum.payload_checks,
         (unsigned long long)sum.pings, (unsigned long long)sum.peer_errors);
  printf("\"seconds\":%.4f,\"framesPerSecond\":%.0f,\"megabytesPerSecond\":%.2f,"
         "\"generatorCpuSeconds\":%.4f,\"wallSeconds\":%.4f,\"error\":\"%s\"}\n",
         seconds, per_second, per_second * (double)options->payload_bytes / 1e6,
         to.cpu_seconds - from.cpu_seconds, wall_seconds, error);
}

int run_throughput(const struct options *options) {
  if (options->publishers < 1 || options->publishers > ENDS_MAX || options->subscribers < 1 ||
      options->subscribers > ENDS_MAX || options->streams < 1 || options->streams > LANES_MAX) {
    die("from 1 to %d streams, and publishers and subscribers of each", ENDS_MAX);
  }
  if (options->streams * (options->publishers + options->subscribers) > POLLED_MAX) {
    die("at most %d connections", POLLED_MAX);
  }
  if (options->payload_bytes > PAYLOAD_BYTES_MAX) die("a payload has at most %d bytes", PAYLOAD_BYTES_MAX);
  struct run run = {.options = options};
  run.lanes = allocate((size_t)options->streams * sizeof *run.lanes);
  for (int k = 0; k < options->streams; k++) open_lane(&run.lanes[k], options, k);

  uint64_t round = 0, start_ns = now_ns();
  uint64_t warm_ns = start_ns + (uint64_t)(options->warmup_seconds * NS_PER_SECOND);
  load_until(&run, warm_ns, &round);
  struct mark from = mark_now(&run);
  load_until(&run, warm_ns + (uint64_t)(options->seconds * NS_PER_SECOND), &round);
  struct mark to = mark_now(&run);
  drain(&run, &round);
  report(&run, from, to, (double)(now_ns() - start_ns) / NS_PER_SECOND);
  return 0;
}
