#include "probe.h"
#include "xxh64.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH_BYTES (256 * 1024)
#define RECEIVE_BYTES_MAX (256 * 1024)
#define CONTROL_ROUNDS 64

static void record(struct receiver *receiver, const uint8_t *payload) {
  struct probe *probe = receiver->context;
  uint64_t intended_ns = load_u64(payload + STAMP_BYTE_OFFSET);
  /* Taken once for all that one receive call brought, after it returned. */
  if (probe->received_at_ns == 0) probe->received_at_ns = now_ns();
  if (!is_filled(payload, receiver->payload_bytes, load_u32(payload), STAMP_BYTE_OFFSET)) receiver->corrupt++;
  if (intended_ns < probe->counted_from_ns || intended_ns > probe->received_at_ns) return;
  histogram_add(probe->latency, probe->received_at_ns - intended_ns);
}

static void make_message(struct probe *probe, uint64_t intended_ns) {
  const struct wire *wire = probe->session.wire;
  size_t payload_bytes = probe->options->payload_bytes;
  uint8_t *at = probe->batch + probe->batch_bytes;
  uint8_t *payload = at + wire->payload_byte_offset(&probe->session, payload_bytes);
  fill_payload(payload, payload_bytes, (uint32_t)probe->made);
  memcpy(payload + STAMP_BYTE_OFFSET, &intended_ns, sizeof intended_ns);
  wire->write_message(&probe->session, at, payload_bytes, ++probe->made);
  if (wire->tag) wire->tag(&probe->control->sending, at, payload_bytes, 1);
  probe->batch_bytes += wire->message_bytes(&probe->session, payload_bytes);
}

/** Heartbeats are answered between batches, so never inside a message. True: all was taken. */
static bool send_batch(struct probe *probe) {
  if (probe->batch_sent == probe->batch_bytes) {
    probe->batch_sent = probe->batch_bytes = 0;
    flush_outbox(probe->control, probe->control->fd);
    return true;
  }
  ssize_t sent = send(probe->control->fd, probe->batch + probe->batch_sent,
                      probe->batch_bytes - probe->batch_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) probe->batch_sent += (size_t)sent;
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    set_error(probe->control, "sending failed: %s", strerror(errno));
    probe->broken = true;
  }
  return probe->batch_sent == probe->batch_bytes;
}

void open_probe(struct probe *probe, const struct options *options, const char *subject) {
  if (options->payload_bytes < STAMPED_PAYLOAD_BYTES_MIN || options->payload_bytes > PAYLOAD_BYTES_MAX) {
    die("a message with a stamp has from %d to %d bytes", STAMPED_PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MAX);
  }
  if (options->rate <= 0) die("--rate wants messages per second");
  probe->options = options;
  probe->session = new_session_on(options, subject);
  const struct wire *wire = probe->session.wire;
  int publisher_fd = connect_blocking(options->port);
  if (!probe->session.relayed) wire->open(&probe->session, publisher_fd);
  probe->control = new_receiver(&probe->session, publisher_fd, RECEIVE_BYTES_MAX);
  int subscriber_fd = connect_blocking(options->port);
  if (!probe->session.relayed) wire->subscribe(&probe->session, subscriber_fd);
  set_nonblocking(publisher_fd);
  set_nonblocking(subscriber_fd);

  probe->batch = allocate(BATCH_BYTES);
  probe->subscriber = new_receiver(&probe->session, subscriber_fd, RECEIVE_BYTES_MAX);
  wire->expect(&probe->session, probe->subscriber, options->payload_bytes);
  probe->subscriber->index_checked = true;
  probe->subscriber->check_mask = 0;
  probe->subscriber->on_message = record;
  probe->subscriber->context = probe;
}

void start_probe(struct probe *probe, uint64_t start_ns) { probe->start_ns = probe->due_ns = start_ns; }

void probe_send(struct probe *probe, uint64_t now, uint64_t end_ns) {
  size_t message_bytes = probe->session.wire->message_bytes(&probe->session, probe->options->payload_bytes);
  double interval_ns = (double)NS_PER_SECOND / probe->options->rate;
  bool free_to_send = send_batch(probe);
  while (free_to_send && probe->due_ns <= now && probe->due_ns < end_ns &&
         probe->batch_bytes + message_bytes <= BATCH_BYTES) {
    if (probe->due_ns >= probe->counted_from_ns) histogram_add(probe->send_lag, now - probe->due_ns);
    make_message(probe, probe->due_ns);
    probe->due_ns = probe->start_ns + (uint64_t)((double)probe->made * interval_ns);
  }
  if (probe->batch_bytes > probe->batch_sent) send_batch(probe);
}

bool probe_receive(struct probe *probe, uint64_t round) {
  probe->received_at_ns = 0;
  long received = receive_some(probe->subscriber);
  flush_outbox(probe->subscriber, probe->subscriber->fd);
  if (received < 0) probe->broken = true;
  if (round % CONTROL_ROUNDS == 0 && receive_some(probe->control) < 0) probe->broken = true;
  return received > 0;
}

void probe_drain(struct probe *probe) {
  uint64_t progress_ns = now_ns();
  uint64_t patience_ns = (uint64_t)(probe->options->patience_seconds * NS_PER_SECOND);
  for (uint64_t round = 0; !probe->broken && probe->subscriber->delivered < probe->made; round++) {
    send_batch(probe);
    if (probe_receive(probe, round)) progress_ns = now_ns();
    if (now_ns() - progress_ns > patience_ns) return;
  }
}
