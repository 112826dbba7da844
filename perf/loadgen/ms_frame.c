#include "ms_frame.h"

#include "xxh64.h"

#include <string.h>

size_t write_frame(uint8_t *at, int type, uint32_t stream, uint64_t sequence, size_t payload_bytes,
                   const struct sip_key *key) {
  struct frame frame = {.first_word = first_word_of(type, key),
                        .stream = stream,
                        .payload_bytes = (uint32_t)payload_bytes,
                        .sequence = sequence};
  memcpy(at, &frame, sizeof frame);
  size_t whole = frame_bytes(payload_bytes);
  memset(at + FRAME_HEADER_BYTES + payload_bytes, 0, whole - FRAME_HEADER_BYTES - payload_bytes);
  return whole;
}

size_t seal(uint8_t *at, int type, uint32_t stream, uint64_t sequence, size_t payload_bytes,
            struct sip_key *key) {
  size_t whole = write_frame(at, type, stream, sequence, payload_bytes, key);
  if (key->is_set) {
    tag_frames(key, at, payload_bytes, 1);
  } else {
    uint32_t payload_check = (uint32_t)xxh64(at + FRAME_HEADER_BYTES, payload_bytes);
    memcpy(at + offsetof(struct frame, payload_check), &payload_check, sizeof payload_check);
    uint32_t header_check = (uint32_t)xxh64(at, offsetof(struct frame, header_check));
    memcpy(at + offsetof(struct frame, header_check), &header_check, sizeof header_check);
  }
  return whole;
}

size_t seal_text(uint8_t *at, int type, uint64_t sequence, const char *text, struct sip_key *key) {
  size_t bytes = strlen(text);
  memcpy(at + FRAME_HEADER_BYTES, text, bytes);
  return seal(at, type, 0, sequence, bytes, key);
}

bool header_is_whole(const uint8_t *at) {
  size_t checked = offsetof(struct frame, header_check);
  return load_u32(at + checked) == (uint32_t)xxh64(at, checked);
}

bool frame_is_whole(const uint8_t *at, const struct sip_key *key) {
  bool is_keyed = (load_u64(at) >> 32 & FLAG_KEYED) != 0;
  if (is_keyed != key->is_set) return false;
  size_t check = offsetof(struct frame, payload_check);
  if (is_keyed) return load_u64(at + check) == tag_of(key, at);
  return header_is_whole(at) &&
         load_u32(at + check) == (uint32_t)xxh64(at + FRAME_HEADER_BYTES, load_u32(at + 12));
}

/** The next frame, whole and judged. */
static struct frame receive_frame(struct session *session, int fd, uint8_t *at) {
  struct frame frame;
  receive_all(fd, at, FRAME_HEADER_BYTES);
  memcpy(&frame, at, sizeof frame);
  if ((frame.first_word & 0xffffff) != MAGIC_AND_VERSION || frame.payload_bytes > PAYLOAD_BYTES_MAX) {
    die("the handshake's answer is not a frame");
  }
  receive_all(fd, at + FRAME_HEADER_BYTES, frame_bytes(frame.payload_bytes) - FRAME_HEADER_BYTES);
  if (!frame_is_whole(at, &session->receiving)) die("the handshake's answer is corrupt");
  session->receiving.counter++;
  at[FRAME_HEADER_BYTES + frame.payload_bytes] = 0;
  return frame;
}

const char *request(struct session *session, int fd, uint8_t *at, int type, uint64_t id, const char *text,
                    int answer, uint32_t *stream) {
  send_all(fd, at, seal_text(at, type, id, text, &session->sending));
  for (;;) {
    struct frame frame = receive_frame(session, fd, at);
    const char *payload = (const char *)at + FRAME_HEADER_BYTES;
    if (type_of(&frame) == TYPE_PING) {
      send_all(fd, at, seal(at, TYPE_PONG, 0, frame.sequence, frame.payload_bytes, &session->sending));
    } else if (type_of(&frame) == TYPE_ERROR) {
      die("%s was answered by error %u: %s", type == TYPE_PROOF ? "PROOF" : text,
          (unsigned)(frame.first_word >> 48), payload);
    } else if (type_of(&frame) == answer && frame.sequence == id) {
      if (stream) *stream = frame.stream;
      return payload;
    }
  }
}
