/*
 * The text protocol of nats-server (docs.nats.io, "Client Protocol"): PUB in, MSG out, without
 * acknowledgements. It has no checks; content is compared with what was prepared.
 */
#define _GNU_SOURCE
#include "plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 4096
#define LINE_BYTES_MIN 5
#define LINE_END_BYTES 2

static const char connect_text[] =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"echo\":true,"
    "\"lang\":\"c\",\"name\":\"loadgen\",\"version\":\"1\",\"protocol\":1}\r\n";

/* ---- handshake: blocking, one byte at a time so that nothing behind it is swallowed ---- */

static void wait_for_pong(int fd) {
  char line[LINE_BYTES_MAX];
  for (;;) {
    receive_line(fd, line, sizeof line);
    if (strncmp(line, "PONG", 4) == 0) return;
    if (strncmp(line, "PING", 4) == 0) send_all(fd, "PONG\r\n", 6);
    if (strncmp(line, "-ERR", 4) == 0) die("the handshake was answered by %s", line);
  }
}

static void nats_open(struct session *session, int fd) {
  (void)session;
  send_all(fd, connect_text, strlen(connect_text));
  send_all(fd, "PING\r\n", 6);
  wait_for_pong(fd);
}

static void nats_subscribe(struct session *session, int fd) {
  char text[400];
  int bytes = snprintf(text, sizeof text, "SUB %s 1\r\nPING\r\n", session->subject);
  send_all(fd, connect_text, strlen(connect_text));
  send_all(fd, text, (size_t)bytes);
  wait_for_pong(fd);
}

/* ---- messages ---- */

static size_t delivered_head(const struct session *session, size_t payload_bytes, char *text, size_t room) {
  return (size_t)snprintf(text, room, "MSG %s 1 %zu\r\n", session->subject, payload_bytes);
}

/** Through a relay the generator must send what a subscriber is to see. */
static size_t sent_head(const struct session *session, size_t payload_bytes, char *text, size_t room) {
  if (session->relayed) return delivered_head(session, payload_bytes, text, room);
  return (size_t)snprintf(text, room, "PUB %s %zu\r\n", session->subject, payload_bytes);
}

static size_t nats_payload_byte_offset(const struct session *session, size_t payload_bytes) {
  char text[400];
  return sent_head(session, payload_bytes, text, sizeof text);
}

static size_t nats_message_bytes(const struct session *session, size_t payload_bytes) {
  return nats_payload_byte_offset(session, payload_bytes) + payload_bytes + LINE_END_BYTES;
}

static void nats_write_message(const struct session *session, uint8_t *at, size_t payload_bytes,
                               uint64_t sequence) {
  char text[400];
  (void)sequence;
  size_t head_bytes = sent_head(session, payload_bytes, text, sizeof text);
  memcpy(at, text, head_bytes);
  memcpy(at + head_bytes + payload_bytes, "\r\n", LINE_END_BYTES);
}

static void nats_expect(const struct session *session, struct receiver *receiver, size_t payload_bytes) {
  receiver->head_bytes =
      delivered_head(session, payload_bytes, (char *)receiver->head, sizeof receiver->head);
  receiver->tail_bytes = LINE_END_BYTES;
  memcpy(receiver->tail, "\r\n", LINE_END_BYTES);
  plain_expect(receiver, payload_bytes);
}

/** A line that is not the awaited MSG: the bytes that it takes, 0 when more are needed, -1 when senseless. */
static long judge_line(struct receiver *receiver, const uint8_t *at, size_t count) {
  if (count < LINE_BYTES_MIN) return 0;
  const uint8_t *line_end = memchr(at, '\n', count < LINE_BYTES_MAX ? count : LINE_BYTES_MAX);
  if (!line_end) {
    if (count < LINE_BYTES_MAX) return 0;
    set_error(receiver, "a line that does not end");
    return -1;
  }
  size_t line_bytes = (size_t)(line_end - at) + 1;
  if (memcmp(at, "MSG ", 4) == 0) {
    const uint8_t *space = memrchr(at, ' ', line_bytes);
    size_t payload_bytes = strtoul((const char *)space + 1, NULL, 10);
    if (count < line_bytes + payload_bytes + LINE_END_BYTES) return 0;
    receiver->strays++;
    return (long)(line_bytes + payload_bytes + LINE_END_BYTES);
  }
  if (memcmp(at, "PING", 4) == 0) {
    receiver->pings++;
    if (receiver->outbox_bytes + 6 <= OUTBOX_BYTES) {
      memcpy(receiver->outbox + receiver->outbox_bytes, "PONG\r\n", 6);
      receiver->outbox_bytes += 6;
    }
  } else if (memcmp(at, "-ERR", 4) == 0) {
    receiver->peer_errors++;
    set_error(receiver, "%.*s", (int)line_bytes - LINE_END_BYTES, (const char *)at);
  } else if (memcmp(at, "PONG", 4) != 0 && memcmp(at, "INFO", 4) != 0 && memcmp(at, "+OK", 3) != 0) {
    set_error(receiver, "a line of no known kind, after %llu messages",
              (unsigned long long)receiver->delivered);
    return -1;
  }
  return (long)line_bytes;
}

static long nats_consume(struct receiver *receiver, const uint8_t *bytes, size_t count) {
  return plain_consume(receiver, bytes, count, judge_line);
}

/* ---- a connection that only says hello ---- */

static size_t nats_greeting(const struct session *session, uint8_t *at) {
  (void)session;
  size_t bytes = strlen(connect_text);
  memcpy(at, connect_text, bytes);
  memcpy(at + bytes, "PING\r\n", 6);
  return bytes + 6;
}

static size_t nats_join(const struct session *session, uint8_t *at) {
  return (size_t)sprintf((char *)at, "%sSUB %s 1\r\nPING\r\n", connect_text, session->subject);
}

static bool nats_greeted(const uint8_t *bytes, size_t count) {
  return memmem(bytes, count, "\r\nPONG\r\n", 8) != NULL;
}

static size_t nats_reply(const uint8_t *bytes, size_t count, uint8_t *at) {
  if (!memmem(bytes, count, "PING\r\n", 6)) return 0;
  memcpy(at, "PONG\r\n", 6);
  return 6;
}

const struct wire wire_nats = {
    .name = "nats",
    .open = nats_open,
    .subscribe = nats_subscribe,
    .message_bytes = nats_message_bytes,
    .payload_byte_offset = nats_payload_byte_offset,
    .write_message = nats_write_message,
    .expect = nats_expect,
    .consume = nats_consume,
    .greeting = nats_greeting,
    .greeted = nats_greeted,
    .joined = nats_greeted,
    .join = nats_join,
    .reply = nats_reply,
};
