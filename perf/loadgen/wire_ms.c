/* MemoryStreamer's protocol (docs/PROTOCOL.md) without acknowledgements: with XXH64 checks, or keyed. */
#include "ms_frame.h"
#include "xxh64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *handshake_buffer(void) { return allocate(FRAME_HEADER_BYTES + PAYLOAD_BYTES_MAX + 16); }

static void ms_open(struct session *session, int fd) {
  uint8_t *at = handshake_buffer();
  char text[400];
  say_hello(session, fd, at);
  snprintf(text, sizeof text, "{\"subject\":\"%s\"}", session->subject);
  request(session, fd, at, TYPE_OPEN, OPEN_REQUEST, text, TYPE_OPENED, &session->stream);
  if (session->stream == 0) die("OPENED names no stream");
  free(at);
}

static void subscription_text(const struct session *session, char *text, size_t room) {
  snprintf(text, room, "{\"subject\":\"%s\",\"from\":\"%s\"}", session->subject, session->from);
}

static void ms_subscribe(struct session *session, int fd) {
  uint8_t *at = handshake_buffer();
  char text[400];
  say_hello(session, fd, at);
  subscription_text(session, text, sizeof text);
  const char *answer = request(session, fd, at, TYPE_SUBSCRIBE, SUBSCRIBE_REQUEST, text,
                               TYPE_SUBSCRIBED, NULL);
  const char *next = strstr(answer, "\"next\":");
  if (!next) die("SUBSCRIBED does not say where the stream begins: %s", answer);
  next += strlen("\"next\":");
  session->sequence_next = strtoull(next + strspn(next, " \""), NULL, 10);
  free(at);
}

/* ---- messages ---- */

static size_t ms_message_bytes(const struct session *session, size_t payload_bytes) {
  (void)session;
  return frame_bytes(payload_bytes);
}

static size_t ms_payload_byte_offset(const struct session *session, size_t payload_bytes) {
  (void)session;
  (void)payload_bytes;
  return FRAME_HEADER_BYTES;
}

static void ms_write_message(const struct session *session, uint8_t *at, size_t payload_bytes,
                             uint64_t sequence) {
  struct sip_key key = session->sending;
  if (key.is_set) write_frame(at, TYPE_DATA, session->stream, sequence, payload_bytes, &key);
  else seal(at, TYPE_DATA, session->stream, sequence, payload_bytes, &key);
}

static void ms_tag(struct sip_key *key, uint8_t *at, size_t payload_bytes, size_t count) {
  if (key->is_set) tag_frames(key, at, payload_bytes, count);
}

static void ms_expect(const struct session *session, struct receiver *receiver, size_t payload_bytes) {
  struct frame frame = {.first_word = first_word_of(TYPE_DATA, &receiver->receiving),
                        .stream = session->stream,
                        .payload_bytes = (uint32_t)payload_bytes};
  memcpy(receiver->head, &frame, sizeof frame);
  receiver->payload_bytes = payload_bytes;
  receiver->message_bytes = frame_bytes(payload_bytes);
  receiver->payload_byte_offset = FRAME_HEADER_BYTES;
  receiver->sequence = session->relayed ? 1 : session->sequence_next;
}

static void check_message(struct receiver *receiver, const uint8_t *at) {
  receiver->header_checks++;
  receiver->payload_checks++;
  if (!frame_is_whole(at, &receiver->receiving)) receiver->corrupt++;
}

/** One DATA frame of the awaited stream and size that is not the next one. */
static void judge_disordered(struct receiver *receiver, const uint8_t *at) {
  uint64_t sequence = load_u64(at + 16);
  if (sequence == receiver->sequence) {
    receiver->sequence = sequence == receiver->sequence_last ? 1 : sequence + 1;
  } else {
    receiver->sequence = count_disorder(receiver, sequence);
  }
  if (!receiver->index_checked) return;
  uint32_t index = load_u32(at + FRAME_HEADER_BYTES);
  if (index != receiver->index) {
    count_misplaced(receiver, index);
  } else {
    receiver->index = index == receiver->index_last ? 0 : index + 1;
  }
}

/** Any other frame; false when the bytes cannot be walked any more. */
static bool judge_other(struct receiver *receiver, const uint8_t *at) {
  struct frame frame;
  memcpy(&frame, at, sizeof frame);
  const uint8_t *payload = at + FRAME_HEADER_BYTES;
  if (!frame_is_whole(at, &receiver->receiving)) {
    receiver->corrupt++;
    return true;
  }
  switch (type_of(&frame)) {
    case TYPE_PING:
      receiver->pings++;
      if (frame.payload_bytes <= 64 && receiver->outbox_bytes + 128 <= OUTBOX_BYTES) {
        uint8_t *out = receiver->outbox + receiver->outbox_bytes;
        memcpy(out + FRAME_HEADER_BYTES, payload, frame.payload_bytes);
        struct sip_key *key = &receiver->sending;
        /* A tag is made when the frame leaves, for only then is it known which number it has. */
        receiver->outbox_bytes +=
            key->is_set ? write_frame(out, TYPE_PONG, 0, frame.sequence, frame.payload_bytes, key)
                        : seal(out, TYPE_PONG, 0, frame.sequence, frame.payload_bytes, key);
      }
      return true;
    case TYPE_GAP: {
      uint64_t next = frame.payload_bytes == 8 ? load_u64(payload) : receiver->sequence;
      receiver->announced_lost += next - frame.sequence;
      receiver->sequence = next;
      return true;
    }
    case TYPE_ERROR:
      receiver->peer_errors++;
      set_error(receiver, "error %u: %.*s", (unsigned)(frame.first_word >> 48), (int)frame.payload_bytes,
                (const char *)payload);
      return true;
    case TYPE_PONG:
    case TYPE_ACK:
    case TYPE_OPENED:
      return true;
    case TYPE_GOODBYE:
      set_error(receiver, "the broker said GOODBYE: %.*s", (int)frame.payload_bytes, (const char *)payload);
      return true;
    default:
      receiver->strays++;
      return true;
  }
}

static bool frame_can_be_walked(struct receiver *receiver, const uint8_t *at) {
  if ((load_u64(at) & 0xffffff) != MAGIC_AND_VERSION || load_u32(at + 12) > PAYLOAD_BYTES_MAX) {
    set_error(receiver, "bytes that are no frame, after %llu messages",
              (unsigned long long)receiver->delivered);
    return false;
  }
  return true;
}

static long ms_consume(struct receiver *receiver, const uint8_t *bytes, size_t count) {
  const uint8_t *at = bytes, *end = bytes + count;
  const uint64_t first_word = load_u64(receiver->head), second_word = load_u64(receiver->head + 8);
  const size_t whole = receiver->message_bytes;
  while (end - at >= FRAME_HEADER_BYTES) {
    if (UNLIKELY(load_u64(at) != first_word || load_u64(at + 8) != second_word || whole == 0)) {
      if (!frame_can_be_walked(receiver, at)) return -1;
      size_t other = frame_bytes(load_u32(at + 12));
      if ((size_t)(end - at) < other) break;
      if (!judge_other(receiver, at)) return -1;
      receiver->receiving.counter++;
      at += other;
      continue;
    }
    if ((size_t)(end - at) < whole) break;
    bool in_order = load_u64(at + 16) == receiver->sequence && receiver->sequence != receiver->sequence_last;
    if (LIKELY(receiver->index_checked)) {
      in_order &= load_u32(at + FRAME_HEADER_BYTES) == receiver->index;
      in_order &= receiver->index != receiver->index_last;
    }
    if (LIKELY(in_order)) {
      receiver->sequence++;
      receiver->index++;
    } else {
      judge_disordered(receiver, at);
    }
    if (UNLIKELY((receiver->delivered & receiver->check_mask) == 0)) check_message(receiver, at);
    receiver->delivered++;
    receiver->receiving.counter++;
    if (receiver->on_message) receiver->on_message(receiver, at + FRAME_HEADER_BYTES);
    at += whole;
  }
  return at - bytes;
}

static void ms_tag_outbox(struct receiver *receiver) {
  while (receiver->outbox_tagged < receiver->outbox_bytes) {
    uint8_t *at = receiver->outbox + receiver->outbox_tagged;
    size_t payload_bytes = load_u32(at + 12);
    ms_tag(&receiver->sending, at, payload_bytes, 1);
    receiver->outbox_tagged += frame_bytes(payload_bytes);
  }
}

/* ---- a connection that only says hello ---- */

static struct sip_key no_key;

static size_t ms_greeting(const struct session *session, uint8_t *at) {
  if (session->hello) return seal_text(at, TYPE_HELLO, HELLO_REQUEST, hello_text, &no_key);
  return seal_text(at, TYPE_PING, 1, "", &no_key);
}

static size_t ms_join(const struct session *session, uint8_t *at) {
  char text[400];
  subscription_text(session, text, sizeof text);
  return seal_text(at, TYPE_SUBSCRIBE, SUBSCRIBE_REQUEST, text, &no_key);
}

static bool ms_greeted(const uint8_t *bytes, size_t count) {
  while (count >= FRAME_HEADER_BYTES) {
    if (!header_is_whole(bytes)) die("the answer to the greeting is not a frame");
    int type = bytes[3];
    size_t whole = frame_bytes(load_u32(bytes + 12));
    if (whole > count) return false;
    if (type == TYPE_PONG || type == TYPE_WELCOME || type == TYPE_SUBSCRIBED) return true;
    if (type == TYPE_ERROR) die("the greeting was answered by error %u", load_u32(bytes + 4) >> 16);
    bytes += whole;
    count -= whole;
  }
  return false;
}

static size_t ms_reply(const uint8_t *bytes, size_t count, uint8_t *at) {
  size_t replied = 0;
  while (count >= FRAME_HEADER_BYTES && header_is_whole(bytes)) {
    size_t payload_bytes = load_u32(bytes + 12), whole = frame_bytes(payload_bytes);
    if (whole > count) break;
    if (bytes[3] == TYPE_PING) {
      memcpy(at + replied + FRAME_HEADER_BYTES, bytes + FRAME_HEADER_BYTES, payload_bytes);
      replied += seal(at + replied, TYPE_PONG, 0, load_u64(bytes + 16), payload_bytes, &no_key);
    }
    bytes += whole;
    count -= whole;
  }
  return replied;
}

const struct wire wire_ms = {
    .name = "ms",
    .open = ms_open,
    .subscribe = ms_subscribe,
    .message_bytes = ms_message_bytes,
    .payload_byte_offset = ms_payload_byte_offset,
    .write_message = ms_write_message,
    .tag = ms_tag,
    .tag_outbox = ms_tag_outbox,
    .expect = ms_expect,
    .consume = ms_consume,
    .greeting = ms_greeting,
    .join = ms_join,
    .greeted = ms_greeted,
    .joined = ms_greeted,
    .reply = ms_reply,
};
