/* MemoryStreamer's frames (docs/PROTOCOL.md): how one is made and judged, with checks or with a tag. */
#ifndef LOADGEN_MS_FRAME_H
#define LOADGEN_MS_FRAME_H

#include "siphash.h"
#include "wire.h"

enum {
  TYPE_HELLO = 0x01,
  TYPE_WELCOME = 0x02,
  TYPE_CHALLENGE = 0x03,
  TYPE_PROOF = 0x04,
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
#define FLAG_KEYED 0x8000u

struct frame {
  uint64_t first_word; /* magic, version, type, flags, code */
  uint32_t stream;
  uint32_t payload_bytes;
  uint64_t sequence;
  uint64_t timestamp;
  uint32_t payload_check; /* these two words are the tag of a keyed frame */
  uint32_t header_check;
};
_Static_assert(sizeof(struct frame) == FRAME_HEADER_BYTES, "the header takes 40 bytes");

static inline size_t frame_bytes(size_t payload_bytes) {
  return (FRAME_HEADER_BYTES + payload_bytes + 7) & ~(size_t)7;
}

static inline uint8_t type_of(const struct frame *frame) { return (uint8_t)(frame->first_word >> 24); }

static inline uint64_t first_word_of(int type, const struct sip_key *key) {
  uint64_t flags = key->is_set ? FLAG_KEYED : 0;
  return MAGIC_AND_VERSION | (uint64_t)type << 24 | flags << 32;
}

/**
 * Writes header and padding around the payload at `at + 40`, with both checks or, where the key is set, with the tag,
 * and counts it. Answers the frame's bytes.
 */
size_t seal(uint8_t *at, int type, uint32_t stream, uint64_t sequence, size_t payload_bytes, struct sip_key *key);
size_t seal_text(uint8_t *at, int type, uint64_t sequence, const char *text, struct sip_key *key);
/** The same without checks or tag, for who makes them later. */
size_t write_frame(uint8_t *at, int type, uint32_t stream, uint64_t sequence, size_t payload_bytes,
                   const struct sip_key *key);

bool header_is_whole(const uint8_t *at);
/** Whether checks or tag of the whole frame fit; `key` is its direction's, with the counter that the frame has. */
bool frame_is_whole(const uint8_t *at, const struct sip_key *key);

/** Sends a request and answers its response's text, which lies in `at`; blocking. Ends the process when it is refused. */
const char *request(struct session *session, int fd, uint8_t *at, int type, uint64_t id, const char *text,
                    int answer, uint32_t *stream);

/** HELLO, where the session asks for it, and what follows until WELCOME; from then on the session's keys hold. */
void say_hello(struct session *session, int fd, uint8_t *at);
/** A HELLO without authentication. */
extern const char hello_text[];

/* ---- hmac-sha256, one step after another, for who does many at once ---- */

#define HANDSHAKE_TEXT_BYTES 400

struct handshake {
  char text[HANDSHAKE_TEXT_BYTES]; /* what is to be sent next: HELLO, then PROOF */
  uint8_t transcript[64];          /* SHA-256 of HELLO and of CHALLENGE */
};

void handshake_begin(struct handshake *handshake, const struct session *session);
void handshake_challenged(struct handshake *handshake, const struct session *session, const char *challenge);
/** Whether the peer has proved that it knows the secret. */
bool handshake_welcomed(const struct handshake *handshake, const struct session *session, const char *welcome);

#define HELLO_REQUEST 1
#define PROOF_REQUEST 2
#define OPEN_REQUEST 3
#define SUBSCRIBE_REQUEST 4

#endif
