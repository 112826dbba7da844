/*
 * Topology:   [client A] --question--> peer --> [client B]
 *             [client A] <-- peer <--answer---- [client B]      both clients in this one thread
 *
 * Measures one question at a time: from just before A sends it until the receive call that brought A the answer
 * returned. B answers with the bytes that it was asked with. Each client has a connection to send on and one to
 * receive on, since not every protocol lets one do both. This thread never sleeps.
 *
 * Void when: a question or an answer did not come, or not as it was sent.
 */
#include "histogram.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_BYTES (256 * 1024)
#define CONTROL_ROUNDS 64
#define SILENCE_NS (5 * NS_PER_SECOND)
#define SUBJECT_ROOM (SUBJECT_BYTES_MAX + 16)

/* One direction: what is sent, on which connection, and who receives it. */
struct way {
  char subject[SUBJECT_ROOM];
  struct session session;
  int fd;
  struct receiver *control;
  struct receiver *subscriber;
  uint8_t *message;
  size_t message_bytes;
  uint64_t sent;
};

static void note_payload(struct receiver *receiver, const uint8_t *payload) {
  memcpy(receiver->context, payload, receiver->payload_bytes);
}

static void open_way(struct way *way, const struct options *options, const char *name, uint8_t *arrived) {
  snprintf(way->subject, sizeof way->subject, "%s.%s", options->subject, name);
  way->session = new_session_on(options, way->subject);
  const struct wire *wire = way->session.wire;
  way->fd = connect_blocking(options->port);
  if (!way->session.relayed) wire->open(&way->session, way->fd);
  int fd = connect_blocking(options->port);
  if (!way->session.relayed) wire->subscribe(&way->session, fd);
  set_nonblocking(way->fd);
  set_nonblocking(fd);
  way->control = new_receiver(&way->session, way->fd, RECEIVE_BYTES);
  way->subscriber = new_receiver(&way->session, fd, RECEIVE_BYTES);
  wire->expect(&way->session, way->subscriber, options->payload_bytes);
  way->subscriber->index_checked = true;
  way->subscriber->check_mask = 0;
  way->subscriber->on_message = note_payload;
  way->subscriber->context = arrived;
  way->message_bytes = wire->message_bytes(&way->session, options->payload_bytes);
  way->message = allocate(way->message_bytes);
}

static bool send_message(struct way *way, const uint8_t *payload, size_t payload_bytes) {
  const struct wire *wire = way->session.wire;
  memcpy(way->message + wire->payload_byte_offset(&way->session, payload_bytes), payload, payload_bytes);
  wire->write_message(&way->session, way->message, payload_bytes, ++way->sent);
  flush_outbox(way->control, way->fd);
  ssize_t sent = send(way->fd, way->message, way->message_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == (ssize_t)way->message_bytes) return true;
  set_error(way->control, "a message was not taken whole: %s", strerror(errno));
  return false;
}

/** Spins until the way's subscriber has all that was sent. */
static bool await_message(struct way *way) {
  uint64_t until_ns = now_ns() + SILENCE_NS;
  for (uint64_t round = 1; way->subscriber->delivered < way->sent; round++) {
    if (receive_some(way->subscriber) < 0) return false;
    flush_outbox(way->subscriber, way->subscriber->fd);
    if (round % CONTROL_ROUNDS == 0 && now_ns() > until_ns) {
      set_error(way->subscriber, "no message within 5 s");
      return false;
    }
  }
  return true;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t bytes, struct way *way) {
  if (memcmp(a, b, bytes) == 0) return true;
  way->subscriber->corrupt++;
  return false;
}

static void report(const struct options *options, const struct way *ask, const struct way *answer,
                   double seconds, const struct histogram *latency) {
  const struct receiver *a = ask->subscriber, *b = answer->subscriber;
  const char *errors[] = {a->error, b->error, ask->control->error, answer->control->error};
  const char *error = "";
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    if (errors[i][0]) error = errors[i];
  }
  printf("{\"mode\":\"rtt\",\"protocol\":\"%s\",\"wire\":\"%s\",\"payloadBytes\":%zu,\"seconds\":%.3f,"
         "\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu,\"reordered\":%llu,\"misplaced\":%llu,"
         "\"corrupt\":%llu,\"strays\":%llu,\"perSecond\":%.0f,",
         options->protocol, ask->session.wire->name, options->payload_bytes, seconds,
         (unsigned long long)ask->sent, (unsigned long long)b->delivered,
         (unsigned long long)(a->gaps + b->gaps), (unsigned long long)(a->reordered + b->reordered),
         (unsigned long long)(a->misplaced + b->misplaced), (unsigned long long)(a->corrupt + b->corrupt),
         (unsigned long long)(a->strays + b->strays), (double)latency->count / seconds);
  histogram_print("latency", latency);
  printf(",\"error\":\"%s\"}\n", error);
}

int run_rtt(const struct options *options) {
  size_t bytes = options->payload_bytes;
  if (bytes < INDEX_BYTES || bytes > PAYLOAD_BYTES_MAX) die("rtt needs from %d bytes", INDEX_BYTES);
  static struct way ask, answer;
  static struct histogram latency;
  uint8_t *question = allocate(bytes), *at_b = allocate(bytes), *at_a = allocate(bytes);
  open_way(&ask, options, "ask", at_b);
  open_way(&answer, options, "answer", at_a);
  uint64_t start_ns = now_ns();
  uint64_t counted_ns = start_ns + (uint64_t)(options->warmup_seconds * NS_PER_SECOND);
  uint64_t end_ns = counted_ns + (uint64_t)(options->seconds * NS_PER_SECOND), now = start_ns;
  bool good = true;
  for (uint32_t index = 0; good && now < end_ns; index++) {
    fill_payload(question, bytes, index);
    uint64_t sent_ns = now_ns();
    good = send_message(&ask, question, bytes) && await_message(&ask) && same(question, at_b, bytes, &ask) &&
           send_message(&answer, at_b, bytes) && await_message(&answer);
    now = now_ns();
    if (good && sent_ns >= counted_ns) histogram_add(&latency, now - sent_ns);
    good = good && same(question, at_a, bytes, &answer);
    if (index % CONTROL_ROUNDS == 0) {
      good = good && receive_some(ask.control) >= 0 && receive_some(answer.control) >= 0;
    }
  }
  report(options, &ask, &answer, (double)(now - counted_ns) / NS_PER_SECOND, &latency);
  return 0;
}
