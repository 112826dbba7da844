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
#include "histogram.h"
#include "wire.h"
#include "xxh64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH_BYTES (256 * 1024)
#define RECEIVE_BYTES_MAX (256 * 1024)
#define CONTROL_ROUNDS 64

struct latency_run {
  const struct options *options;
  struct session session;
  struct receiver *subscriber;
  struct receiver *control; /* the publisher's own input */
  uint8_t *batch;           /* made, not taken by the socket yet: [batch_sent, batch_bytes) */
  size_t batch_bytes;
  size_t batch_sent;
  uint64_t made;
  uint64_t received_at_ns;
  uint64_t counted_from_ns;
  bool broken;
  struct histogram latency;
  struct histogram send_lag;
};

static void record(struct receiver *receiver, const uint8_t *payload) {
  struct latency_run *run = receiver->context;
  uint64_t intended_ns = load_u64(payload + STAMP_BYTE_OFFSET);
  /* Taken once for all that one receive call brought, after it returned. */
  if (run->received_at_ns == 0) run->received_at_ns = now_ns();
  if (!is_filled(payload, receiver->payload_bytes, load_u32(payload), STAMP_BYTE_OFFSET)) receiver->corrupt++;
  if (intended_ns < run->counted_from_ns || intended_ns > run->received_at_ns) return;
  histogram_add(&run->latency, run->received_at_ns - intended_ns);
}

static void make_message(struct latency_run *run, uint64_t intended_ns) {
  const struct wire *wire = run->session.wire;
  size_t payload_bytes = run->options->payload_bytes;
  uint8_t *at = run->batch + run->batch_bytes;
  uint8_t *payload = at + wire->payload_byte_offset(&run->session, payload_bytes);
  fill_payload(payload, payload_bytes, (uint32_t)run->made);
  memcpy(payload + STAMP_BYTE_OFFSET, &intended_ns, sizeof intended_ns);
  wire->write_message(&run->session, at, payload_bytes, ++run->made);
  if (wire->tag) wire->tag(&run->control->sending, at, payload_bytes, 1);
  run->batch_bytes += wire->message_bytes(&run->session, payload_bytes);
}

/** Heartbeats are answered between batches, so never inside a message. */
static bool send_batch(struct latency_run *run) {
  if (run->batch_sent == run->batch_bytes) {
    run->batch_sent = run->batch_bytes = 0;
    flush_outbox(run->control, run->control->fd);
    return true;
  }
  ssize_t sent = send(run->control->fd, run->batch + run->batch_sent, run->batch_bytes - run->batch_sent,
                      MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) run->batch_sent += (size_t)sent;
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    set_error(run->control, "sending failed: %s", strerror(errno));
    run->broken = true;
  }
  return run->batch_sent == run->batch_bytes;
}

static bool receive_round(struct latency_run *run, uint64_t round) {
  run->received_at_ns = 0;
  long received = receive_some(run->subscriber);
  flush_outbox(run->subscriber, run->subscriber->fd);
  if (received < 0) run->broken = true;
  if (round % CONTROL_ROUNDS == 0 && receive_some(run->control) < 0) run->broken = true;
  return received > 0;
}

static void offer(struct latency_run *run, uint64_t start_ns, uint64_t end_ns) {
  size_t message_bytes = run->session.wire->message_bytes(&run->session, run->options->payload_bytes);
  double interval_ns = (double)NS_PER_SECOND / run->options->rate;
  uint64_t due_ns = start_ns, now = now_ns();
  for (uint64_t round = 0; !run->broken && (now < end_ns || due_ns < end_ns); round++) {
    bool free_to_send = send_batch(run);
    while (free_to_send && due_ns <= now && due_ns < end_ns &&
           run->batch_bytes + message_bytes <= BATCH_BYTES) {
      if (due_ns >= run->counted_from_ns) histogram_add(&run->send_lag, now - due_ns);
      make_message(run, due_ns);
      due_ns = start_ns + (uint64_t)((double)run->made * interval_ns);
    }
    if (run->batch_bytes > run->batch_sent) send_batch(run);
    receive_round(run, round);
    now = now_ns();
  }
}

static void drain(struct latency_run *run) {
  uint64_t progress_ns = now_ns();
  uint64_t patience_ns = (uint64_t)(run->options->patience_seconds * NS_PER_SECOND);
  for (uint64_t round = 0; !run->broken && run->subscriber->delivered < run->made; round++) {
    send_batch(run);
    if (receive_round(run, round)) progress_ns = now_ns();
    if (now_ns() - progress_ns > patience_ns) return;
  }
}

static void report(const struct latency_run *run, double elapsed_seconds) {
  const struct options *options = run->options;
  const struct receiver *subscriber = run->subscriber;
  printf("{\"mode\":\"latency\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,\"rate\":%.0f,"
         "\"seconds\":%.3f,\"sent\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,"
         "\"reordered\":%llu,\"misplaced\":%llu,\"corrupt\":%llu,\"strays\":%llu,\"counted\":%llu,\"achievedRate\":%.0f,",
         options->protocol, run->session.wire->name, options->payload_bytes, options->rate,
         options->seconds, (unsigned long long)run->made, (unsigned long long)run->made,
         (unsigned long long)subscriber->delivered, (unsigned long long)subscriber->gaps,
         (unsigned long long)subscriber->reordered, (unsigned long long)subscriber->misplaced,
         (unsigned long long)subscriber->corrupt, (unsigned long long)subscriber->strays,
         (unsigned long long)run->latency.count, (double)subscriber->delivered / elapsed_seconds);
  histogram_print("latency", &run->latency);
  printf(",");
  histogram_print("sendLag", &run->send_lag);
  printf(",\"error\":\"%s\"}\n", subscriber->error[0] ? subscriber->error : run->control->error);
}

int run_latency(const struct options *options) {
  if (options->payload_bytes < STAMPED_PAYLOAD_BYTES_MIN || options->payload_bytes > PAYLOAD_BYTES_MAX) {
    die("latency needs from %d to %d bytes", STAMPED_PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MAX);
  }
  if (options->rate <= 0) die("--rate wants messages per second");
  struct latency_run *run = allocate(sizeof *run);
  run->options = options;
  run->session = new_session(options);
  const struct wire *wire = run->session.wire;
  int publisher_fd = connect_blocking(options->port);
  if (!run->session.relayed) wire->open(&run->session, publisher_fd);
  run->control = new_receiver(&run->session, publisher_fd, RECEIVE_BYTES_MAX);
  int subscriber_fd = connect_blocking(options->port);
  if (!run->session.relayed) wire->subscribe(&run->session, subscriber_fd);
  set_nonblocking(publisher_fd);
  set_nonblocking(subscriber_fd);

  run->batch = allocate(BATCH_BYTES);
  run->subscriber = new_receiver(&run->session, subscriber_fd, RECEIVE_BYTES_MAX);
  wire->expect(&run->session, run->subscriber, options->payload_bytes);
  run->subscriber->index_checked = true;
  run->subscriber->check_mask = 0;
  run->subscriber->on_message = record;
  run->subscriber->context = run;

  uint64_t start_ns = now_ns();
  run->counted_from_ns = start_ns + (uint64_t)(options->warmup_seconds * NS_PER_SECOND);
  offer(run, start_ns, run->counted_from_ns + (uint64_t)(options->seconds * NS_PER_SECOND));
  drain(run);
  report(run, (double)(now_ns() - start_ns) / NS_PER_SECOND);
  return 0;
}
