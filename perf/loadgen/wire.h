/*
 * A wire is what the loops need to know of a protocol: how a message looks, and how received bytes are
 * walked. Messages are numbered so that each receiver can tell loss, change and reordering apart:
 *
 *   - `sequence` in the frame's header (ms): given by the broker and dense; a relay leaves the
 *     generator's own, which begins again after each cycle of prepared messages;
 *   - `index` in the payload's first four bytes (little-endian), the publisher's own count within its
 *     cycle: it also shows a message that a broker lost before it gave it a number;
 *   - the checks (ms), or the bytes as prepared (plain.h), for the content.
 */
#ifndef LOADGEN_WIRE_H
#define LOADGEN_WIRE_H

#include "common.h"
#include "siphash.h"

#define FRAME_HEADER_BYTES 40
#define PAYLOAD_BYTES_MAX 65496
#define SUBJECT_BYTES_MAX 255
#define INDEX_BYTES 4
/* In latency mode the intended time of sending stands here, in nanoseconds. */
#define STAMP_BYTE_OFFSET 8
#define STAMPED_PAYLOAD_BYTES_MIN 16
/* Without --verify one message in this many has its checks computed. A power of two. */
#define CHECK_ONE_IN 64
#define OUTBOX_BYTES 4096
#define SECRET_BYTES_MAX 1024

struct wire;

struct session {
  const struct wire *wire;
  const char *subject;
  bool relayed; /* nobody answers a handshake, and nobody numbers the messages anew */
  bool hello;
  const char *from;       /* ms: where a subscription begins, new or first */
  uint32_t stream;        /* ms: what OPENED said */
  uint64_t sequence_next; /* ms: what SUBSCRIBED said, the first that will come */
  const char *key_id;     /* ms: who it says it is, and proves; NULL: nobody */
  uint8_t secret[SECRET_BYTES_MAX];
  size_t secret_bytes;
  struct sip_key sending, receiving; /* ms: of the connection that was opened last */
};

struct receiver {
  const struct wire *wire;
  int fd;
  uint8_t *buffer;
  size_t capacity;
  size_t filled;

  /* How the next message must look. */
  size_t payload_bytes;
  size_t message_bytes;
  size_t payload_byte_offset;
  uint8_t head[600]; /* the bytes before the payload that never change */
  size_t head_bytes;
  uint8_t tail[4]; /* the bytes after it */
  size_t tail_bytes;
  uint64_t sequence;      /* of the next message */
  uint64_t sequence_last; /* after this one comes 1 again */
  bool index_checked;
  uint32_t index;      /* of the next message */
  uint32_t index_last; /* after this one comes 0 again */
  uint64_t check_mask; /* a message is checked whole when its number & mask is 0 */
  const uint8_t *prepared; /* the payloads of the cycle as sent, side by side, or NULL */

  uint64_t delivered;
  uint64_t gaps;           /* messages missing before a later one, by sequence */
  uint64_t reordered;      /* messages with a sequence that was passed already */
  uint64_t misplaced;      /* messages whose payload is not the next one of its publisher */
  uint64_t corrupt;        /* a check failed, or a payload is not what was sent */
  uint64_t strays;         /* messages of another stream, size or kind than asked for */
  uint64_t announced_lost; /* ms: messages that a GAP frame announced as lost */
  uint64_t header_checks;
  uint64_t payload_checks;
  uint64_t pings;
  uint64_t peer_errors;
  char error[256]; /* the first one, or why the bytes could not be walked any more */

  void (*on_message)(struct receiver *receiver, const uint8_t *payload);
  void *context;

  struct sip_key sending, receiving; /* ms: of this connection */

  uint8_t outbox[OUTBOX_BYTES]; /* answers that are owed: PONG */
  size_t outbox_bytes;
  size_t outbox_tagged; /* of these bytes so many are done; the rest is tagged when it is sent */
};

struct wire {
  const char *name;

  /** Handshakes on blocking sockets. A publisher's comes before any subscriber's. */
  void (*open)(struct session *session, int fd);
  void (*subscribe)(struct session *session, int fd);

  size_t (*message_bytes)(const struct session *session, size_t payload_bytes);
  size_t (*payload_byte_offset)(const struct session *session, size_t payload_bytes);
  /** Writes all around the payload, which lies at `at + payload_byte_offset` already. */
  void (*write_message)(const struct session *session, uint8_t *at, size_t payload_bytes, uint64_t sequence);

  /** Where the direction is keyed: the tags of `count` messages side by side, in the order in which they are sent. May be NULL. */
  void (*tag)(struct sip_key *key, uint8_t *at, size_t payload_bytes, size_t count);
  /** The same for what the outbox holds. */
  void (*tag_outbox)(struct receiver *receiver);

  /** Fills in `head`, `sequence` and the sizes of what a subscriber will see. */
  void (*expect)(const struct session *session, struct receiver *receiver, size_t payload_bytes);
  /** Walks whole messages; answers the bytes used, or -1 with `error` set when they make no sense. */
  long (*consume)(struct receiver *receiver, const uint8_t *bytes, size_t count);

  /** What a fresh connection sends to get one answer, and whether that answer is there. At most 1 KiB. */
  size_t (*greeting)(const struct session *session, uint8_t *at);
  bool (*greeted)(const uint8_t *bytes, size_t count);
  /** The same with a subscription: the answer says that it holds. */
  size_t (*join)(const struct session *session, uint8_t *at);
  bool (*joined)(const uint8_t *bytes, size_t count);
  /** The answer owed to a heartbeat in `bytes`; 0 when there is none. At most `count` + 8 bytes. */
  size_t (*reply)(const uint8_t *bytes, size_t count, uint8_t *at);
};

extern const struct wire wire_ms;
extern const struct wire wire_nats;
extern const struct wire wire_redis;
extern const struct wire wire_mqtt;

#define GREETING_BYTES_MAX 1024

/** The wire and session that the options ask for, on the options' subject or another. */
struct session new_session(const struct options *options);
struct session new_session_on(const struct options *options, const char *subject);
/** Blocking, one byte at a time, so that nothing behind the line is swallowed; with its end, and a zero. */
void receive_line(int fd, char *line, size_t room);

/** Fills `payload_bytes` at `at`: the index, then bytes that differ from message to message. */
void fill_payload(uint8_t *at, size_t payload_bytes, uint32_t index);

/** Whether the bytes at `at` are those, but for the 8 that a stamp takes at `stamp_byte_offset`. */
bool is_filled(const uint8_t *at, size_t payload_bytes, uint32_t index, size_t stamp_byte_offset);

struct receiver *new_receiver(const struct session *session, int fd, size_t capacity);
/**
 * Receives once and walks what there is. Answers the bytes received, 0 when there are none now, and
 * -1 when the connection ended or its bytes make no sense (`error` says which).
 */
long receive_some(struct receiver *receiver);
/** Sends what the outbox holds, where the socket takes it whole or not at all. */
void flush_outbox(struct receiver *receiver, int fd);
/** Counts one message that does not fit `sequence`; answers the sequence to expect after it. */
uint64_t count_disorder(struct receiver *receiver, uint64_t sequence);
void count_misplaced(struct receiver *receiver, uint32_t index);
void set_error(struct receiver *receiver, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
