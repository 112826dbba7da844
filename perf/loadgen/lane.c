#include "lane.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* A cycle and what is received at once stay in the generator's cache beside each other. */
#define CYCLE_BYTES (256 * 1024)
#define CYCLE_MESSAGES_MIN 16
#define SEND_BYTES_MAX (1024 * 1024)
#define SEND_PIECES_MAX 8
/* What is tagged is sent while it is still in the nearest caches. */
#define KEYED_SEND_BYTES_MAX (64 * 1024)
/* Of all receivers together; each has room for the largest message. */
#define RECEIVE_BYTES (512 * 1024)
#define RECEIVE_BYTES_MIN (128 * 1024)

static void prepare_cycle(struct lane *lane) {
  size_t payload_bytes = lane->options->payload_bytes;
  const struct wire *wire = lane->session.wire;
  lane->message_bytes = wire->message_bytes(&lane->session, payload_bytes);
  lane->cycle_messages = CYCLE_BYTES / (size_t)lane->options->streams / lane->message_bytes;
  if (lane->cycle_messages < CYCLE_MESSAGES_MIN) lane->cycle_messages = CYCLE_MESSAGES_MIN;
  lane->cycle_bytes = lane->cycle_messages * lane->message_bytes;
  lane->cycle = allocate(lane->cycle_bytes);
  lane->payloads = allocate(lane->cycle_messages * payload_bytes + 1);
  size_t payload_byte_offset = wire->payload_byte_offset(&lane->session, payload_bytes);
  for (size_t i = 0; i < lane->cycle_messages; i++) {
    uint8_t *at = lane->cycle + i * lane->message_bytes;
    uint8_t *copy = lane->payloads + i * payload_bytes;
    fill_payload(copy, payload_bytes, (uint32_t)i);
    memcpy(at + payload_byte_offset, copy, payload_bytes);
    wire->write_message(&lane->session, at, payload_bytes, i + 1);
  }
  for (int i = 0; i < lane->options->publishers; i++) {
    lane->publishers[i].cycle = lane->cycle;
    if (i == 0 || !lane->session.sending.is_set) continue;
    lane->publishers[i].cycle = allocate(lane->cycle_bytes);
    memcpy(lane->publishers[i].cycle, lane->cycle, lane->cycle_bytes);
  }
}

static size_t receive_bytes(const struct options *options) {
  size_t each = RECEIVE_BYTES / (size_t)(options->streams * (options->subscribers + 1));
  return each < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : each;
}

static void connect_ends(struct lane *lane) {
  const struct options *options = lane->options;
  const struct wire *wire = lane->session.wire;
  for (int i = 0; i < options->publishers; i++) {
    struct publisher *publisher = &lane->publishers[i];
    publisher->fd = connect_blocking(options->port);
    limit_send_buffer(publisher->fd, options->send_buffer_bytes);
    if (!lane->session.relayed) wire->open(&lane->session, publisher->fd);
    set_nonblocking(publisher->fd);
    publisher->control = new_receiver(&lane->session, publisher->fd, receive_bytes(options));
  }
  for (int i = 0; i < options->subscribers; i++) {
    int fd = connect_blocking(options->port);
    if (!lane->session.relayed) wire->subscribe(&lane->session, fd);
    set_nonblocking(fd);
    lane->subscribers[i] = new_receiver(&lane->session, fd, receive_bytes(options));
  }
}

static void expect_cycle(struct lane *lane) {
  size_t payload_bytes = lane->options->payload_bytes;
  for (int i = 0; i < lane->options->subscribers; i++) {
    struct receiver *receiver = lane->subscribers[i];
    lane->session.wire->expect(&lane->session, receiver, payload_bytes);
    receiver->index_checked = payload_bytes >= INDEX_BYTES && lane->options->publishers == 1;
    receiver->index_last = (uint32_t)lane->cycle_messages - 1;
    if (lane->session.relayed) receiver->sequence_last = lane->cycle_messages;
    if (lane->options->verify) receiver->check_mask = 0;
    receiver->prepared = lane->payloads;
  }
}

void open_lane(struct lane *lane, const struct options *options, int ordinal) {
  lane->options = options;
  if (options->streams == 1) {
    snprintf(lane->subject, sizeof lane->subject, "%s", options->subject);
  } else {
    snprintf(lane->subject, sizeof lane->subject, "%s.%d", options->subject, ordinal);
  }
  lane->session = new_session_on(options, lane->subject);
  connect_ends(lane);
  prepare_cycle(lane);
  expect_cycle(lane);
}

/**
 * Tags messages so that `wanted_bytes` from the publisher's place on can be sent; answers how many can. A message has
 * room for one tag, and the half-sent one has its own, so that these are less than a cycle.
 */
static size_t tag_ahead(struct lane *lane, struct publisher *publisher, size_t wanted_bytes) {
  struct sip_key *key = &publisher->control->sending;
  size_t bytes_max = lane->cycle_bytes - publisher->byte_offset % lane->message_bytes;
  if (wanted_bytes > KEYED_SEND_BYTES_MAX) wanted_bytes = KEYED_SEND_BYTES_MAX;
  if (wanted_bytes > bytes_max) wanted_bytes = bytes_max;
  while (publisher->tagged_bytes < wanted_bytes) {
    size_t from = (publisher->byte_offset + publisher->tagged_bytes) % lane->cycle_bytes;
    size_t bytes = wanted_bytes - publisher->tagged_bytes + lane->message_bytes - 1;
    if (bytes > lane->cycle_bytes - from) bytes = lane->cycle_bytes - from;
    size_t count = bytes / lane->message_bytes;
    lane->session.wire->tag(key, publisher->cycle + from, lane->options->payload_bytes, count);
    publisher->tagged_bytes += count * lane->message_bytes;
  }
  return wanted_bytes;
}

/** Another frame is to leave before those that are tagged ahead. Only between messages. */
static void forget_tags(struct lane *lane, struct publisher *publisher) {
  publisher->control->sending.counter -= publisher->tagged_bytes / lane->message_bytes;
  publisher->tagged_bytes = 0;
}

/** Sends from the cycle, at most `bytes_max`; answers the bytes that the socket took. */
static size_t pump(struct lane *lane, struct publisher *publisher, size_t bytes_max) {
  bool is_keyed = publisher->control->sending.is_set;
  if (is_keyed) bytes_max = tag_ahead(lane, publisher, bytes_max);
  struct iovec pieces[SEND_PIECES_MAX];
  size_t piece_count = 0, offered = 0, offset = publisher->byte_offset;
  while (offered < bytes_max && piece_count < SEND_PIECES_MAX) {
    size_t piece = lane->cycle_bytes - offset;
    if (piece > bytes_max - offered) piece = bytes_max - offered;
    pieces[piece_count++] = (struct iovec){publisher->cycle + offset, piece};
    offered += piece;
    offset = 0;
  }
  struct msghdr message = {.msg_iov = pieces, .msg_iovlen = piece_count};
  ssize_t sent = sendmsg(publisher->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) return 0;
    set_error(publisher->control, "sending failed: %s", strerror(errno));
    lane->broken = true;
    return 0;
  }
  publisher->byte_offset = (publisher->byte_offset + (size_t)sent) % lane->cycle_bytes;
  publisher->sent_bytes += (uint64_t)sent;
  if (is_keyed) publisher->tagged_bytes -= (size_t)sent;
  return (size_t)sent;
}

size_t bytes_to_message_end(const struct lane *lane, const struct publisher *publisher) {
  size_t into = publisher->byte_offset % lane->message_bytes;
  return into == 0 ? 0 : lane->message_bytes - into;
}

/** What may be sent now so that no subscriber is more than the window behind. */
static size_t window_left(const struct lane *lane) {
  size_t window = lane->options->window_bytes;
  if (window == 0) return SEND_BYTES_MAX;
  uint64_t least = UINT64_MAX, sent = 0;
  for (int i = 0; i < lane->options->subscribers; i++) {
    if (lane->subscribers[i]->delivered < least) least = lane->subscribers[i]->delivered;
  }
  for (int i = 0; i < lane->options->publishers; i++) sent += lane->publishers[i].sent_bytes;
  uint64_t under_way = sent - least * lane->message_bytes;
  if (under_way >= window) return 0;
  return window - under_way < SEND_BYTES_MAX ? (size_t)(window - under_way) : SEND_BYTES_MAX;
}

bool wants_to_send(const struct lane *lane, const struct publisher *publisher, bool sending) {
  return bytes_to_message_end(lane, publisher) > 0 || (sending && window_left(lane) > 0);
}

/** Answers to heartbeats may stand between messages only. */
size_t pump_publisher(struct lane *lane, struct publisher *publisher, bool sending) {
  size_t rest = bytes_to_message_end(lane, publisher);
  bool owes_answer = publisher->control->outbox_bytes > 0;
  if (owes_answer && rest == 0) {
    if (publisher->tagged_bytes > 0) forget_tags(lane, publisher);
    flush_outbox(publisher->control, publisher->fd);
    if (publisher->control->outbox_bytes > 0) return 0;
  }
  size_t room = sending && !owes_answer ? window_left(lane) : 0;
  if (room < rest) room = rest;
  return room > 0 ? pump(lane, publisher, room) : 0;
}

uint64_t messages_sent(const struct lane *lane) {
  uint64_t total = 0;
  for (int i = 0; i < lane->options->publishers; i++) {
    total += lane->publishers[i].sent_bytes / lane->message_bytes;
  }
  return total;
}

uint64_t messages_delivered(const struct lane *lane) {
  uint64_t total = 0;
  for (int i = 0; i < lane->options->subscribers; i++) total += lane->subscribers[i]->delivered;
  return total;
}
