/*
 * RESP 2 with redis-server's publish and subscribe (redis.io/docs, "Pub/Sub"): PUBLISH in, which is answered by the
 * number of subscribers that it went to, and `message` arrays out. No checks; content is compared with what was sent.
 */
#define _GNU_SOURCE
#include "plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 512
#define LINE_END_BYTES 2
#define ELEMENTS_MAX 8

/* ---- handshake ---- */

static void redis_open(struct session *session, int fd) {
  char line[LINE_BYTES_MAX];
  (void)session;
  send_all(fd, "PING\r\n", 6);
  receive_line(fd, line, sizeof line);
  if (strcmp(line, "+PONG\r\n") != 0) die("PING was answered by %s", line);
}

static size_t redis_join(const struct session *session, uint8_t *at) {
  return (size_t)sprintf((char *)at, "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n", strlen(session->subject),
                         session->subject);
}

/** The answer is an array of three: "subscribe", the channel, and `:1`, the subscriptions that there are now. */
static void redis_subscribe(struct session *session, int fd) {
  char line[LINE_BYTES_MAX];
  uint8_t text[GREETING_BYTES_MAX];
  send_all(fd, text, redis_join(session, text));
  do {
    receive_line(fd, line, sizeof line);
    if (line[0] == '-') die("SUBSCRIBE was answered by %s", line);
  } while (line[0] != ':');
}

/* ---- messages ---- */

static size_t head_of(const char *command, const struct session *session, size_t payload_bytes, char *text,
                      size_t room) {
  return (size_t)snprintf(text, room, "*3\r\n$7\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n", command,
                          strlen(session->subject), session->subject, payload_bytes);
}

/** Through a relay the generator must send what a subscriber is to see. */
static size_t sent_head(const struct session *session, size_t payload_bytes, char *text, size_t room) {
  return head_of(session->relayed ? "message" : "PUBLISH", session, payload_bytes, text, room);
}

static size_t redis_payload_byte_offset(const struct session *session, size_t payload_bytes) {
  char text[LINE_BYTES_MAX];
  return sent_head(session, payload_bytes, text, sizeof text);
}

static size_t redis_message_bytes(const struct session *session, size_t payload_bytes) {
  return redis_payload_byte_offset(session, payload_bytes) + payload_bytes + LINE_END_BYTES;
}

static void redis_write_message(const struct session *session, uint8_t *at, size_t payload_bytes,
                                uint64_t sequence) {
  char text[LINE_BYTES_MAX];
  (void)sequence;
  size_t head_bytes = sent_head(session, payload_bytes, text, sizeof text);
  memcpy(at, text, head_bytes);
  memcpy(at + head_bytes + payload_bytes, "\r\n", LINE_END_BYTES);
}

static void redis_expect(const struct session *session, struct receiver *receiver, size_t payload_bytes) {
  receiver->head_bytes =
      head_of("message", session, payload_bytes, (char *)receiver->head, sizeof receiver->head);
  receiver->tail_bytes = LINE_END_BYTES;
  memcpy(receiver->tail, "\r\n", LINE_END_BYTES);
  plain_expect(receiver, payload_bytes);
}

/** The bytes of the line at `at` with its end; 0 when it is not whole. */
static size_t line_bytes_of(const uint8_t *at, size_t count) {
  const uint8_t *end = memchr(at, '\n', count < LINE_BYTES_MAX ? count : LINE_BYTES_MAX);
  return end ? (size_t)(end - at) + 1 : 0;
}

/** The bytes of an array of bulk strings and integers; 0 when more are needed. */
static size_t array_bytes_of(const uint8_t *at, size_t count) {
  size_t used = line_bytes_of(at, count);
  unsigned long elements = used ? strtoul((const char *)at + 1, NULL, 10) : 0;
  for (unsigned long i = 0; used > 0 && i < elements && i < ELEMENTS_MAX; i++) {
    size_t line = used < count ? line_bytes_of(at + used, count - used) : 0;
    if (line == 0) return 0;
    bool bulk = at[used] == '$';
    size_t bytes = bulk ? strtoul((const char *)at + used + 1, NULL, 10) + LINE_END_BYTES : 0;
    used += line + bytes;
  }
  return used <= count ? used : 0;
}

/** What is not an awaited message: the answer to a PUBLISH, an error, or a stranger. */
static long judge_reply(struct receiver *receiver, const uint8_t *at, size_t count) {
  size_t bytes = at[0] == '*' ? array_bytes_of(at, count) : line_bytes_of(at, count);
  if (bytes == 0) {
    if (at[0] == '*' || count < LINE_BYTES_MAX) return 0;
    set_error(receiver, "a line that does not end");
    return -1;
  }
  if (at[0] == ':') {
    /* Nobody was subscribed to what was published. */
    if (at[1] == '0') receiver->strays++;
  } else if (at[0] == '*') {
    receiver->strays++;
  } else if (at[0] == '-') {
    receiver->peer_errors++;
    set_error(receiver, "%.*s", (int)bytes - LINE_END_BYTES, (const char *)at);
  } else if (at[0] != '+') {
    set_error(receiver, "bytes that are no reply, after %llu messages",
              (unsigned long long)receiver->delivered);
    return -1;
  }
  return (long)bytes;
}

static long redis_consume(struct receiver *receiver, const uint8_t *bytes, size_t count) {
  return plain_consume(receiver, bytes, count, judge_reply);
}

/* ---- a connection that only says hello ---- */

static size_t redis_greeting(const struct session *session, uint8_t *at) {
  (void)session;
  memcpy(at, "PING\r\n", 6);
  return 6;
}

static bool redis_greeted(const uint8_t *bytes, size_t count) {
  if (count > 0 && bytes[0] == '-') die("the greeting was answered by an error");
  return count >= 7 && memcmp(bytes, "+PONG\r\n", 7) == 0;
}

static bool redis_joined(const uint8_t *bytes, size_t count) {
  if (count > 0 && bytes[0] != '*') die("SUBSCRIBE was not answered by an array");
  return count > 0 && array_bytes_of(bytes, count) > 0;
}

static size_t redis_reply(const uint8_t *bytes, size_t count, uint8_t *at) {
  (void)bytes;
  (void)count;
  (void)at;
  return 0; /* redis-server asks nothing of its clients */
}

const struct wire wire_redis = {
    .name = "redis",
    .open = redis_open,
    .subscribe = redis_subscribe,
    .message_bytes = redis_message_bytes,
    .payload_byte_offset = redis_payload_byte_offset,
    .write_message = redis_write_message,
    .expect = redis_expect,
    .consume = redis_consume,
    .greeting = redis_greeting,
    .join = redis_join,
    .greeted = redis_greeted,
    .joined = redis_joined,
    .reply = redis_reply,
};
