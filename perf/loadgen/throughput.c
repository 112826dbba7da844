/*
 * Topology:   publisher socket(s) --> peer --> subscriber socket(s), both ends in this one thread.
 *
 * Measures how many messages a second the peer carries when it is always offered more than it takes:
 * a prepared cycle of messages is written as fast as the socket takes it, and everything that comes
 * back is walked, message by message. The figure is what subscribers received between the warm-up
 * and the end of `--seconds`; then sending stops and what is under way is drained.
 *
 * Void when: not all that was sent was delivered, in order and whole; or when the same generator,
 * against the bare relay, does not do clearly better (the script draws that line at 80 %).
 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A cycle and what is received at once stay in the generator's cache beside each other. */
#define CYCLE_BYTES (256 * 1024)
#define CYCLE_MESSAGES_MIN 16
#define SEND_BYTES_MAX (1024 * 1024)
#define SEND_PIECES_MAX 8
#define RECEIVE_BYTES_MAX (512 * 1024)
/* The publisher's own input is looked at once in so many rounds: it is nearly always empty. */
#define CONTROL_ROUNDS 64
#define DRAIN_WITHOUT_PROGRESS_NS (2 * NS_PER_SECOND)
#define PEERS_MAX 64

struct publisher {
  int fd;
  size_t byte_offset; /* in the cycle */
  uint64_t sent_bytes;
  struct receiver *control;
};

struct run {
  const struct options *options;
  struct session session;
  uint8_t *cycle;
  uint8_t *payloads;
  size_t cycle_messages;
  size_t cycle_bytes;
  size_t message_bytes;
  struct publisher publishers[PEERS_MAX];
  struct receiver *subscribers[PEERS_MAX];
  bool broken;
};

struct mark {
  uint64_t at_ns;
  double cpu_seconds;
  uint64_t delivered;
};

static void prepare_cycle(struct run *run) {
  size_t payload_bytes = run->options->payload_bytes;
  const struct wire *wire = run->session.wire;
  run->message_bytes = wire->message_bytes(&run->session, payload_bytes);
  run->cycle_messages = CYCLE_BYTES / run->message_bytes;
  if (run->cycle_messages < CYCLE_MESSAGES_MIN) run->cycle_messages = CYCLE_MESSAGES_MIN;
  run->cycle_bytes = run->cycle_messages * run->message_bytes;
  run->cycle = allocate(run->cycle_bytes);
  run->payloads = allocate(run->cycle_messages * payload_bytes + 1);
  size_t payload_byte_offset = wire->payload_byte_offset(&run->session, payload_bytes);
  for (size_t i = 0; i < run->cycle_messages; i++) {
    uint8_t *at = run->cycle + i * run->message_bytes;
    uint8_t *copy = run->payloads + i * payload_bytes;
    fill_payload(copy, payload_bytes, (uint32_t)i);
    memcpy(at + payload_byte_offset, copy, payload_bytes);
    wire->write_message(&run->session, at, payload_bytes, i + 1);
  }
}

static void connect_all(struct run *run) {
  const struct options *options = run->options;
  const struct wire *wire = run->session.wire;
  for (int i = 0; i < options->publishers; i++) {
    struct publisher *publisher = &run->publishers[i];
    publisher->fd = connect_blocking(options->port);
    limit_send_buffer(publisher->fd, options->send_buffer_bytes);
    if (!run->session.relayed) wire->open(&run->session, publisher->fd);
    set_nonblocking(publisher->fd);
    publisher->control = new_receiver(&run->session, publisher->fd, RECEIVE_BYTES_MAX);
  }
  for (int i = 0; i < options->subscribers; i++) {
    int fd = connect_blocking(options->port);
    if (!run->session.relayed) wire->subscribe(&run->session, fd);
    set_nonblocking(fd);
    run->subscribers[i] = new_receiver(&run->session, fd, RECEIVE_BYTES_MAX);
  }
}

static void expect_cycle(struct run *run) {
  size_t payload_bytes = run->options->payload_bytes;
  for (int i = 0; i < run->options->subscribers; i++) {
    struct receiver *receiver = run->subscribers[i];
    run->session.wire->expect(&run->session, receiver, payload_bytes);
    receiver->index_checked = payload_bytes >= INDEX_BYTES && run->options->publishers == 1;
    receiver->index_last = (uint32_t)run->cycle_messages - 1;
    if (run->session.relayed) receiver->sequence_last = run->cycle_messages;
    if (run->options->verify) receiver->check_mask = 0;
    receiver->prepared = run->payloads;
  }
}

/** Sends from the cycle, at most `bytes_max`; answers the bytes that the socket took. */
static size_t pump(struct run *run, struct publisher *publisher, size_t bytes_max) {
  struct iovec pieces[SEND_PIECES_MAX];
  size_t piece_count = 0, offered = 0, offset = publisher->byte_offset;
  while (offered < bytes_max && piece_count < SEND_PIECES_MAX) {
    size_t piece = run->cycle_bytes - offset;
    if (piece > bytes_max - offered) piece = bytes_max - offered;
    pieces[piece_count++] = (struct iovec){run->cycle + offset, piece};
    offered += piece;
    offset = 0;
  }
  struct msghdr message = {.msg_iov = pieces, .msg_iovlen = piece_count};
  ssize_t sent = sendmsg(publisher->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) return 0;
    set_error(publisher->control, "sending failed: %s", strerror(errno));
    run->broken = true;
    return 0;
  }
  publisher->byte_offset = (publisher->byte_offset + (size_t)sent) % run->cycle_bytes;
  publisher->sent_bytes += (uint64_t)sent;
  return (size_t)sent;
}

static size_t bytes_to_message_end(const struct run *run, const struct publisher *publisher) {
  size_t into = publisher->byte_offset % run->message_bytes;
  return into == 0 ? 0 : run->message_bytes - into;
}

/** Answers to heartbeats may stand between messages only. */
static size_t pump_publisher(struct run *run, struct publisher *publisher, bool sending) {
  size_t rest = bytes_to_message_end(run, publisher);
  bool owes_answer = publisher->control->outbox_bytes > 0;
  if (owes_answer && rest == 0) {
    flush_outbox(publisher->control, publisher->fd);
    if (publisher->control->outbox_bytes > 0) return 0;
  }
  if (sending && !owes_answer) return pump(run, publisher, SEND_BYTES_MAX);
  return rest > 0 ? pump(run, publisher, rest) : 0;
}

static size_t read_from(struct run *run, struct receiver *receiver) {
  long received = receive_some(receiver);
  if (received < 0) run->broken = true;
  return received > 0 ? (size_t)received : 0;
}

static void wait_for_any(struct run *run, bool sending, int timeout_ms) {
  struct pollfd fds[2 * PEERS_MAX];
  nfds_t count = 0;
  for (int i = 0; i < run->options->publishers; i++) {
    bool wants_out = sending || bytes_to_message_end(run, &run->publishers[i]) > 0;
    fds[count++] = (struct pollfd){run->publishers[i].fd, (short)(POLLIN | (wants_out ? POLLOUT : 0)), 0};
  }
  for (int i = 0; i < run->options->subscribers; i++) {
    fds[count++] = (struct pollfd){run->subscribers[i]->fd, POLLIN, 0};
  }
  if (poll(fds, count, timeout_ms) <= 0) return;
  for (int i = 0; i < run->options->publishers; i++) {
    if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) read_from(run, run->publishers[i].control);
  }
}

/** One round over every socket; answers the bytes that moved. */
static size_t turn(struct run *run, uint64_t round, bool sending) {
  size_t moved = 0;
  for (int i = 0; i < run->options->publishers; i++) {
    if (round % CONTROL_ROUNDS == 0) read_from(run, run->publishers[i].control);
    moved += pump_publisher(run, &run->publishers[i], sending);
  }
  for (int i = 0; i < run->options->subscribers; i++) {
    moved += read_from(run, run->subscribers[i]);
    flush_outbox(run->subscribers[i], run->subscribers[i]->fd);
  }
  return moved;
}

static uint64_t total_delivered(const struct run *run) {
  uint64_t total = 0;
  for (int i = 0; i < run->options->subscribers; i++) total += run->subscribers[i]->delivered;
  return total;
}

static uint64_t total_sent(const struct run *run) {
  uint64_t total = 0;
  for (int i = 0; i < run->options->publishers; i++) {
    total += run->publishers[i].sent_bytes / run->message_bytes;
  }
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

static void drain(struct run *run, uint64_t *round) {
  uint64_t progress_ns = now_ns();
  while (!run->broken && now_ns() - progress_ns < DRAIN_WITHOUT_PROGRESS_NS) {
    bool half_sent = false;
    for (int i = 0; i < run->options->publishers; i++) {
      half_sent |= bytes_to_message_end(run, &run->publishers[i]) > 0;
    }
    uint64_t expected = total_sent(run) * (uint64_t)run->options->subscribers;
    if (!half_sent && total_delivered(run) >= expected) return;
    if (turn(run, (*round)++, false) > 0) {
      progress_ns = now_ns();
    } else {
      wait_for_any(run, false, 100);
    }
  }
}

static void report(const struct run *run, struct mark from, struct mark to, double wall_seconds) {
  const struct options *options = run->options;
  struct receiver sum = {0};
  const char *error = "";
  for (int i = 0; i < options->subscribers; i++) {
    const struct receiver *one = run->subscribers[i];
    sum.gaps += one->gaps;
    sum.reordered += one->reordered;
    sum.misplaced += one->misplaced;
    sum.corrupt += one->corrupt;
    sum.strays += one->strays;
    sum.announced_lost += one->announced_lost;
    sum.header_checks += one->header_checks;
    sum.payload_checks += one->payload_checks;
    sum.pings += one->pings;
    sum.peer_errors += one->peer_errors;
    if (one->error[0]) error = one->error;
  }
  for (int i = 0; i < options->publishers; i++) {
    const struct receiver *one = run->publishers[i].control;
    sum.pings += one->pings;
    sum.peer_errors += one->peer_errors;
    if (one->error[0]) error = one->error;
  }
  double seconds = (double)(to.at_ns - from.at_ns) / NS_PER_SECOND;
  double per_second = seconds > 0 ? (double)(to.delivered - from.delivered) / seconds : 0;
  printf("{\"mode\":\"throughput\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,"
         "\"publishers\":%d,\"subscribers\":%d,\"sendBufferBytes\":%zu,",
         options->protocol, run->session.wire->name, options->payload_bytes, options->publishers,
         options->subscribers, options->send_buffer_bytes);
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
  if (options->publishers < 1 || options->publishers > PEERS_MAX || options->subscribers < 1 ||
      options->subscribers > PEERS_MAX) {
    die("from 1 to %d publishers and subscribers", PEERS_MAX);
  }
  if (options->payload_bytes > PAYLOAD_BYTES_MAX) die("a payload has at most %d bytes", PAYLOAD_BYTES_MAX);
  struct run run = {.options = options, .session = new_session(options)};
  connect_all(&run);
  prepare_cycle(&run);
  expect_cycle(&run);

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
