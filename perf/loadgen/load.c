#include "load.h"

#include <poll.h>
#include <stdio.h>

/* The publisher's own input is looked at once in so many rounds: it is nearly always empty. */
#define CONTROL_ROUNDS 64
#define POLLED_MAX 4096
#define DRAIN_WAIT_MS 100
#define DRAIN_WAIT_NS (DRAIN_WAIT_MS * 1000000ull)

void open_load(struct load *load, const struct options *options) {
  if (options->publishers < 1 || options->publishers > ENDS_MAX || options->subscribers < 1 ||
      options->subscribers > ENDS_MAX || options->streams < 1 || options->streams > LANES_MAX) {
    die("from 1 to %d streams, and to %d publishers and subscribers of each", LANES_MAX, ENDS_MAX);
  }
  if (options->streams * (options->publishers + options->subscribers) > POLLED_MAX) {
    die("at most %d connections", POLLED_MAX);
  }
  if (options->payload_bytes > PAYLOAD_BYTES_MAX) die("a payload has at most %d bytes", PAYLOAD_BYTES_MAX);
  load->options = options;
  load->lanes = allocate((size_t)options->streams * sizeof *load->lanes);
  for (int k = 0; k < options->streams; k++) open_lane(&load->lanes[k], options, k);
}

static size_t read_from(struct load *load, struct receiver *receiver) {
  long received = receive_some(receiver);
  if (received < 0) load->broken = true;
  return received > 0 ? (size_t)received : 0;
}

void load_wait(struct load *load, bool sending, int timeout_ms) {
  static struct pollfd fds[POLLED_MAX];
  static struct receiver *controls[POLLED_MAX];
  nfds_t count = 0, control_count = 0;
  for (int k = 0; k < load->options->streams; k++) {
    struct lane *lane = &load->lanes[k];
    for (int i = 0; i < load->options->publishers; i++) {
      bool wants_out = wants_to_send(lane, &lane->publishers[i], sending);
      controls[control_count++] = lane->publishers[i].control;
      fds[count++] = (struct pollfd){lane->publishers[i].fd, (short)(POLLIN | (wants_out ? POLLOUT : 0)), 0};
    }
  }
  for (int k = 0; k < load->options->streams; k++) {
    for (int i = 0; i < load->options->subscribers; i++) {
      fds[count++] = (struct pollfd){load->lanes[k].subscribers[i]->fd, POLLIN, 0};
    }
  }
  if (poll(fds, count, timeout_ms) <= 0) return;
  for (nfds_t i = 0; i < control_count; i++) {
    if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) read_from(load, controls[i]);
  }
}

size_t load_turn(struct load *load, uint64_t round, bool sending) {
  size_t moved = 0;
  for (int k = 0; k < load->options->streams; k++) {
    struct lane *lane = &load->lanes[k];
    for (int i = 0; i < load->options->publishers; i++) {
      if (round % CONTROL_ROUNDS == 0) read_from(load, lane->publishers[i].control);
      moved += pump_publisher(lane, &lane->publishers[i], sending);
    }
    for (int i = 0; i < load->options->subscribers; i++) {
      moved += read_from(load, lane->subscribers[i]);
      flush_outbox(lane->subscribers[i], lane->subscribers[i]->fd);
    }
    load->broken |= lane->broken;
    if (load->beside) load->beside(load->context);
  }
  return moved;
}

uint64_t load_delivered(const struct load *load) {
  uint64_t total = 0;
  for (int k = 0; k < load->options->streams; k++) total += messages_delivered(&load->lanes[k]);
  return total;
}

uint64_t load_sent(const struct load *load) {
  uint64_t total = 0;
  for (int k = 0; k < load->options->streams; k++) total += messages_sent(&load->lanes[k]);
  return total;
}

static bool half_sent(const struct load *load) {
  for (int k = 0; k < load->options->streams; k++) {
    const struct lane *lane = &load->lanes[k];
    for (int i = 0; i < load->options->publishers; i++) {
      if (bytes_to_message_end(lane, &lane->publishers[i]) > 0) return true;
    }
  }
  return false;
}

void load_drain(struct load *load, uint64_t *round) {
  /* Only what was waited counts: while this process is stopped as a whole, nothing can come. */
  uint64_t quiet_ns = 0;
  uint64_t patience_ns = (uint64_t)(load->options->patience_seconds * NS_PER_SECOND);
  while (!load->broken && quiet_ns < patience_ns) {
    uint64_t expected = load_sent(load) * (uint64_t)load->options->subscribers;
    if (!half_sent(load) && load_delivered(load) >= expected) return;
    if (load_turn(load, (*round)++, false) > 0) {
      quiet_ns = 0;
    } else {
      uint64_t before_ns = now_ns();
      load_wait(load, false, DRAIN_WAIT_MS);
      uint64_t waited_ns = now_ns() - before_ns;
      quiet_ns += waited_ns < DRAIN_WAIT_NS ? waited_ns : DRAIN_WAIT_NS;
    }
  }
}

void add_faults(struct receiver *sum, const struct receiver *one, const char **error) {
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
  if (one->error[0] && !(*error)[0]) *error = one->error;
}

const char *load_faults(const struct load *load, struct receiver *sum) {
  const char *error = "";
  for (int k = 0; k < load->options->streams; k++) {
    const struct lane *lane = &load->lanes[k];
    for (int i = 0; i < load->options->subscribers; i++) add_faults(sum, lane->subscribers[i], &error);
    for (int i = 0; i < load->options->publishers; i++) add_faults(sum, lane->publishers[i].control, &error);
  }
  return error;
}

void print_counts(const struct receiver *sum, uint64_t sent, uint64_t expected, uint64_t delivered) {
  printf("\"sent\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,\"reordered\":%llu,"
         "\"misplaced\":%llu,\"corrupt\":%llu,\"strays\":%llu,\"announcedLost\":%llu,",
         (unsigned long long)sent, (unsigned long long)expected, (unsigned long long)delivered,
         (unsigned long long)sum->gaps, (unsigned long long)sum->reordered,
         (unsigned long long)sum->misplaced, (unsigned long long)sum->corrupt,
         (unsigned long long)sum->strays, (unsigned long long)sum->announced_lost);
  printf("\"headerChecks\":%llu,\"payloadChecks\":%llu,\"pings\":%llu,\"peerErrors\":%llu,",
         (unsigned long long)sum->header_checks, (unsigned long long)sum->payload_checks,
         (unsigned long long)sum->pings, (unsigned long long)sum->peer_errors);
}
