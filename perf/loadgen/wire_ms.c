/* MemoryStreamer's frames (docs/PROTOCOL.md), with XXH64 checks and without acknowledgements. */
#include "wire.h"
#include "xxh64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TYPE_HELLO = 0x01,
  TYPE_WELCOME = 0x02,
  TYPE_PING = 0x05,
  TYPE_PONG = 0x06,
  TYPE_ERROR = 0x07,
  TYPE_GOODBYE = 0x08,
  TYPE_OPEN = 0x10,
  TYPE_OPENED = 0x11,
  TYPE_SUBSCRIBE = 0x12,
  TYPE_SUBSCRIBED = 0x13,
  TYPE_GAP = 0x17,
  TYPE_DATA = 0x20,
  TYPE_ACK = 0x21,
};

#define MAGIC_AND_VERSION 0x01534Du
#define HELLO_REQUEST 1
#define OPEN_REQUEST 2
#define SUBSCRIBE_REQUEST 3

struct frame {
  uint64_t first_word; /* magic, version, type, flags, code */
  uint32_t stream;
  uint32_t payload_bytes;
  uint64_t sequence;
  uint64_t timestamp;
  uint32_t payload_check;
  uint32_t header_check;
};
_Static_assert(sizeof(struct frame) == FRAME_HEADER_BYTES, "the header takes 40 bytes");

static size_t frame_bytes(size_t payload_bytes) {
  return (FRAME_HEADER_BYTES + payload_bytes + 7) & ~(size_t)7;
}

static uint8_t type_of(const struct frame *frame) { return (uint8_t)(frame->first_word >> 24); }

/** Writes header, padding and both checks around the payload at `at + 40`; answers the frame's bytes. */
static size_t seal(uint8_t *at, int type, uint32_t stream, uint64_t sequence, size_t payload_bytes) {
  struct frame frame = {.first_word = MAGIC_AND_VERSION | (uint64_t)type << 24,
                        .stream = stream,
                        .payload_bytes = (uint32_t)payload_bytes,
                        .sequence = sequence};
  frame.payload_check = (uint32_t)xxh64(at + FRAME_HEADER_BYTES, payload_bytes);
  memcpy(at, &frame, sizeof frame);
  frame.header_check = (uint32_t)xxh64(at, FRAME_HEADER_BYTES - 4);
  memcpy(at, &frame, sizeof frame);
  size_t whole = frame_bytes(payload_bytes);
  memset(at + FRAME_HEADER_BYTES + payload_bytes, 0, whole - FRAME_HEADER_BYTES - payload_bytes);
  return whole;
}

static size_t seal_text(uint8_t *at, int type, uint64_t sequence, const char *text) {
  size_t bytes = strlen(text);
  memcpy(at + FRAME_HEADER_BYTES, text, bytes);
  return seal(at, type, 0, sequence, bytes);
}

static bool header_is_whole(const uint8_t *at) {
  return load_u32(at + FRAME_HEADER_BYTES - 4) == (uint32_t)xxh64(at, FRAME_HEADER_BYTES - 4);
}

static bool payload_is_whole(const uint8_t *at, size_t payload_bytes) {
  return load_u32(at + 32) == (uint32_t)xxh64(at + FRAME_HEADER_BYTES, payload_bytes);
}

/* ---- handshake: blocking, one frame at a time ---- */

static struct frame receive_frame(int fd, uint8_t *at) {
  struct frame frame;
  receive_all(fd, at, FRAME_HEADER_BYTES);
  memcpy(&frame, at, sizeof frame);
  if ((frame.first_word & 0xffffff) != MAGIC_AND_VERSION || frame.payload_bytes > PAYLOAD_BYTES_MAX ||
      !header_is_whole(at)) {
    die("the handshake's answer is not a frame");
  }
  receive_all(fd, at + FRAME_HEADER_BYTES, frame_bytes(frame.payload_bytes) - FRAME_HEADER_BYTES);
  if (!payload_is_whole(at, frame.payload_bytes)) die("the handshake's answer is corrupt");
  at[FRAME_HEADER_BYTES + frame.payload_bytes] = 0;
  return frame;
}

/** Sends a request and answers its response's text, which lies in `at`. */
static const char *request(int fd, uint8_t *at, int type, uint64_t id, const char *text, int answer,
                           uint32_t *stream) {
  send_all(fd, at, seal_text(at, type, id, text));
  for (;;) {
    struct frame frame = receive_frame(fd, at);
    const char *payload = (const char *)at + FRAME_HEADER_BYTES;
    if (type_of(&frame) == TYPE_PING) {
      send_all(fd, at, seal(at, TYPE_PONG, 0, frame.sequence, frame.payload_bytes));
    } else if (type_of(&frame) == TYPE_ERROR) {
      die("%s was answered by error %u: %s", text, (unsigned)(frame.first_word >> 48), payload);
    } else if (type_of(&frame) == answer && frame.sequence == id) {
      if (stream) *stream = frame.stream;
      return payload;
    }
  }
}

static uint8_t *handshake_buffer(void) { return allocate(FRAME_HEADER_BYTES + PAYLOAD_BYTES_MAX + 16); }

static const char hello_text[] = "{\"versions\":[1],\"client\":\"loadgen/1\",\"integrity\":[\"xxh64\"]}";

static void say_hello(const struct session *session, int fd, uint8_t *at) {
  if (session->hello) request(fd, at, TYPE_HELLO, HELLO_REQUEST, hello_text, TYPE_WELCOME, NULL);
}

static void ms_open(struct session *session, int fd) {
  uint8_t *at = handshake_buffer();
  char text[400];
  say_hello(session, fd, at);
  snprintf(text, sizeof text, "{\"subject\":\"%s\"}", session->subject);
  request(fd, at, TYPE_OPEN, OPEN_REQUEST, text, TYPE_OPENED, &session->stream);
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
  const char *answer = request(fd, at, TYPE_SUBSCRIBE, SUBSCRIBE_REQUEST, text, TYPE_SUBSCRIBED, NULL);
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
  seal(at, TYPE_DATA, session->stream, sequence, payload_bytes);
}

static void ms_expect(const struct session *session, struct receiver *receiver, size_t payload_bytes) {
  struct frame frame = {.first_word = MAGIC_AND_VERSION | (uint64_t)TYPE_DATA << 24,
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
  if (!header_is_whole(at) || !payload_is_whole(at, receiver->payload_bytes)) receiver->corrupt++;
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
  if (!header_is_whole(at) || !payload_is_whole(at, frame.payload_bytes)) {
    receiver->corrupt++;
    return true;
  }
  switch (type_of(&frame)) {
    case TYPE_PING:
      receiver->pings++;
      if (frame.payload_bytes <= 64 && receiver->outbox_bytes + 128 <= OUTBOX_BYTES) {
        uint8_t *out = receiver->outbox + receiver->outbox_bytes;
        memcpy(out + FRAME_HEADER_BYTES, payload, frame.payload_bytes);
        receiver->outbox_bytes += seal(out, TYPE_PONG, 0, frame.sequence, frame.payload_bytes);
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
    if (receiver->on_message) receiver->on_message(receiver, at + FRAME_HEADER_BYTES);
    at += whole;
  }
  return at - bytes;
}

/* ---- a connection that only says hello ---- */

static size_t ms_greeting(const struct session *session, uint8_t *at) {
  if (session->hello) return seal_text(at, TYPE_HELLO, HELLO_REQUEST, hello_text);
  return seal_text(at, TYPE_PING, 1, "");
}

static size_t ms_join(const struct session *session, uint8_t *at) {
  char text[400];
  subscription_text(session, text, sizeof text);
  return seal_text(at, TYPE_SUBSCRIBE, SUBSCRIBE_REQUEST, text);
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
      replied += seal(at + replied, TYPE_PONG, 0, load_u64(bytes + 16), payload_bytes);
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
    .expect = ms_expect,
    .consume = ms_consume,
    .greeting = ms_greeting,
    .join = ms_join,
    .greeted = ms_greeted,
    .joined = ms_greeted,
    .reply = ms_reply,
};
