/*
 * MQTT 3.1.1 (OASIS, mqtt-v3.1.1) with quality of service 0: PUBLISH in and the same PUBLISH out, without answers.
 * Clean sessions, no keep-alive. No checks; content is compared with what was sent.
 */
#include "plain.h"

#include <string.h>

enum {
  PACKET_CONNACK = 0x20,
  PACKET_PUBLISH = 0x30,
  PACKET_SUBSCRIBE = 0x82,
  PACKET_SUBACK = 0x90,
  PACKET_PINGRESP = 0xd0,
};

#define LENGTH_BYTES_MAX 4
#define TOPIC_LENGTH_BYTES 2

/* Protocol level 4, clean session, keep-alive 0 (none), an empty client identifier: the server makes one. */
static const uint8_t connect_packet[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
#define CONNACK_BYTES 4
#define SUBACK_BYTES 5

/** Writes a packet's length, seven bits to a byte, lowest first; answers its bytes. */
static size_t write_length(uint8_t *at, size_t length) {
  size_t bytes = 0;
  do {
    at[bytes++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    length >>= 7;
  } while (length > 0);
  return bytes;
}

/** The bytes of the whole packet at `at`; 0 when its length has not come yet, -1 when it is none. */
static long packet_bytes_of(const uint8_t *at, size_t count) {
  size_t length = 0;
  for (size_t i = 1; i <= LENGTH_BYTES_MAX; i++) {
    if (i >= count) return 0;
    length |= (size_t)(at[i] & 0x7f) << (7 * (i - 1));
    if ((at[i] & 0x80) == 0) return (long)(1 + i + length);
  }
  return -1;
}

static size_t write_topic(uint8_t *at, const char *topic) {
  size_t bytes = strlen(topic);
  at[0] = (uint8_t)(bytes >> 8);
  at[1] = (uint8_t)bytes;
  memcpy(at + TOPIC_LENGTH_BYTES, topic, bytes);
  return TOPIC_LENGTH_BYTES + bytes;
}

/* ---- handshake ---- */

static void mqtt_open(struct session *session, int fd) {
  uint8_t answer[CONNACK_BYTES];
  (void)session;
  send_all(fd, connect_packet, sizeof connect_packet);
  receive_all(fd, answer, sizeof answer);
  if (answer[0] != PACKET_CONNACK || answer[3] != 0) die("CONNECT was refused with code %u", answer[3]);
}

static size_t subscribe_packet(const struct session *session, uint8_t *at) {
  size_t topic_bytes = TOPIC_LENGTH_BYTES + strlen(session->subject);
  size_t bytes = 0;
  at[bytes++] = PACKET_SUBSCRIBE;
  bytes += write_length(at + bytes, 2 + topic_bytes + 1);
  at[bytes++] = 0; /* packet identifier 1 */
  at[bytes++] = 1;
  bytes += write_topic(at + bytes, session->subject);
  at[bytes++] = 0; /* quality of service */
  return bytes;
}

static void mqtt_subscribe(struct session *session, int fd) {
  uint8_t packet[GREETING_BYTES_MAX], answer[SUBACK_BYTES];
  mqtt_open(session, fd);
  send_all(fd, packet, subscribe_packet(session, packet));
  receive_all(fd, answer, sizeof answer);
  if (answer[0] != PACKET_SUBACK || answer[4] != 0) die("SUBSCRIBE was refused with code %u", answer[4]);
}

/* ---- messages ---- */

static size_t write_head(const struct session *session, size_t payload_bytes, uint8_t *at) {
  size_t bytes = 0;
  at[bytes++] = PACKET_PUBLISH;
  bytes += write_length(at + bytes, TOPIC_LENGTH_BYTES + strlen(session->subject) + payload_bytes);
  return bytes + write_topic(at + bytes, session->subject);
}

static size_t mqtt_payload_byte_offset(const struct session *session, size_t payload_bytes) {
  uint8_t head[1 + LENGTH_BYTES_MAX + TOPIC_LENGTH_BYTES + SUBJECT_BYTES_MAX];
  return write_head(session, payload_bytes, head);
}

static size_t mqtt_message_bytes(const struct session *session, size_t payload_bytes) {
  return mqtt_payload_byte_offset(session, payload_bytes) + payload_bytes;
}

static void mqtt_write_message(const struct session *session, uint8_t *at, size_t payload_bytes,
                               uint64_t sequence) {
  (void)sequence;
  write_head(session, payload_bytes, at);
}

static void mqtt_expect(const struct session *session, struct receiver *receiver, size_t payload_bytes) {
  receiver->head_bytes = write_head(session, payload_bytes, receiver->head);
  plain_expect(receiver, payload_bytes);
}

/** A packet that is not an awaited PUBLISH, or the beginning of one. */
static long judge_packet(struct receiver *receiver, const uint8_t *at, size_t count) {
  long bytes = packet_bytes_of(at, count);
  if (bytes < 0 || bytes > (long)receiver->capacity) {
    set_error(receiver, "bytes that are no packet, after %llu messages",
              (unsigned long long)receiver->delivered);
    return -1;
  }
  if (bytes == 0 || (size_t)bytes > count) return 0;
  if (at[0] != PACKET_PINGRESP && at[0] != PACKET_SUBACK) receiver->strays++;
  return bytes;
}

static long mqtt_consume(struct receiver *receiver, const uint8_t *bytes, size_t count) {
  return plain_consume(receiver, bytes, count, judge_packet);
}

/* ---- a connection that only says hello ---- */

static size_t mqtt_greeting(const struct session *session, uint8_t *at) {
  (void)session;
  memcpy(at, connect_packet, sizeof connect_packet);
  return sizeof connect_packet;
}

/** A client may send on without waiting for CONNACK (section 3.1.4 of the standard). */
static size_t mqtt_join(const struct session *session, uint8_t *at) {
  size_t bytes = mqtt_greeting(session, at);
  return bytes + subscribe_packet(session, at + bytes);
}

static bool mqtt_greeted(const uint8_t *bytes, size_t count) {
  if (count < CONNACK_BYTES) return false;
  if (bytes[0] != PACKET_CONNACK || bytes[3] != 0) die("CONNECT was refused with code %u", bytes[3]);
  return true;
}

static bool mqtt_joined(const uint8_t *bytes, size_t count) {
  if (!mqtt_greeted(bytes, count) || count < CONNACK_BYTES + SUBACK_BYTES) return false;
  const uint8_t *answer = bytes + CONNACK_BYTES;
  if (answer[0] != PACKET_SUBACK || answer[4] != 0) die("SUBSCRIBE was refused with code %u", answer[4]);
  return true;
}

static size_t mqtt_reply(const uint8_t *bytes, size_t count, uint8_t *at) {
  (void)bytes;
  (void)count;
  (void)at;
  return 0; /* without a keep-alive nobody asks */
}

const struct wire wire_mqtt = {
    .name = "mqtt",
    .open = mqtt_open,
    .subscribe = mqtt_subscribe,
    .message_bytes = mqtt_message_bytes,
    .payload_byte_offset = mqtt_payload_byte_offset,
    .write_message = mqtt_write_message,
    .expect = mqtt_expect,
    .consume = mqtt_consume,
    .greeting = mqtt_greeting,
    .join = mqtt_join,
    .greeted = mqtt_greeted,
    .joined = mqtt_joined,
    .reply = mqtt_reply,
};
