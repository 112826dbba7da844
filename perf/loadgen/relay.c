/*
 * Topology:   first connection (publisher) --> this thread --> second connection (subscriber).
 *
 * The least that anything between two sockets can do: receive much, send it on, look at nothing. What
 * the generator reaches against it is the ceiling of any figure that the generator can measure on this
 * machine. When the publisher closes, both connections are closed and the next pair is awaited.
 *
 * With --fault it walks the messages and spoils one, to show that the generator notices; it must then be
 * given the generator's --wire, and for nats its --size and --subject.
 */
#define _GNU_SOURCE
#include "wire.h"
#include "xxh64.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BYTES (512 * 1024)

struct relay {
  int epoll_fd;
  int publisher;
  int subscriber;
  bool watching_output;
  uint8_t *buffer; /* received, not sent on yet */
  size_t filled;
};

static int accept_one(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    if (errno != EAGAIN && errno != EINTR) die("accept: %s", strerror(errno));
    struct pollfd wanted = {listener, POLLIN, 0};
    poll(&wanted, 1, -1);
  }
}

/** Waits for input while there is room for it, for output while something is left to send. */
static void await_events(struct relay *relay, bool output) {
  if (output != relay->watching_output) {
    struct epoll_event in = {.events = output ? 0 : EPOLLIN};
    struct epoll_event out = {.events = output ? EPOLLOUT : 0};
    epoll_ctl(relay->epoll_fd, EPOLL_CTL_MOD, relay->publisher, &in);
    epoll_ctl(relay->epoll_fd, EPOLL_CTL_MOD, relay->subscriber, &out);
    relay->watching_output = output;
  }
  struct epoll_event events[2];
  epoll_wait(relay->epoll_fd, events, 2, -1);
}

/** Sends all of `bytes`; false when the subscriber is gone. */
static bool pass_on(struct relay *relay, const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(relay->subscriber, bytes, count, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      count -= (size_t)sent;
    } else if (errno == EAGAIN) {
      await_events(relay, true);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

/** Receives what there is behind `filled`; 0 at the end of the stream. */
static size_t take_in(struct relay *relay) {
  for (;;) {
    ssize_t received =
        recv(relay->publisher, relay->buffer + relay->filled, RELAY_BYTES - relay->filled, 0);
    if (received > 0) {
      relay->filled += (size_t)received;
      return (size_t)received;
    }
    if (received == 0 || (errno != EAGAIN && errno != EINTR)) return 0;
    await_events(relay, false);
  }
}

static void relay_bytes(struct relay *relay) {
  while (take_in(relay) > 0) {
    if (!pass_on(relay, relay->buffer, relay->filled)) return;
    relay->filled = 0;
  }
}

/* ---- with a fault ---- */

/** The bytes of the message at `at`; MemoryStreamer's frames say it, PUB and MSG are all alike here. */
static size_t bytes_of_message(const struct session *session, const struct options *options,
                               const uint8_t *at, size_t count) {
  if (session->wire != &wire_ms) return session->wire->message_bytes(session, options->payload_bytes);
  if (count < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
  return session->wire->message_bytes(session, load_u32(at + 12));
}

/** Flips one bit: of the payload's last byte, or of a frame's timestamp. */
static void flip(const struct session *session, const struct options *options, uint8_t *message) {
  bool ms = session->wire == &wire_ms;
  size_t payload_bytes = ms ? load_u32(message + 12) : options->payload_bytes;
  size_t payload_byte_offset = session->wire->payload_byte_offset(session, payload_bytes);
  bool in_header = ms && (payload_bytes == 0 || options->fault == FAULT_FLIP_HEADER);
  message[in_header ? 24 : payload_byte_offset + payload_bytes - 1] ^= 0x10;
}

static bool relay_message(struct relay *relay, const struct options *options, uint8_t *message,
                          size_t bytes, bool spoil) {
  static uint8_t held[2 * PAYLOAD_BYTES_MAX];
  static size_t held_bytes;
  if (spoil && options->fault == FAULT_DROP) return true;
  if (spoil && options->fault == FAULT_SWAP) {
    memcpy(held, message, bytes);
    held_bytes = bytes;
    return true;
  }
  if (!pass_on(relay, message, bytes)) return false;
  if (held_bytes == 0) return true;
  bytes = held_bytes;
  held_bytes = 0;
  return pass_on(relay, held, bytes);
}

static void relay_messages(struct relay *relay, const struct options *options) {
  struct session session = {.relayed = true, .subject = options->subject, .wire = &wire_ms};
  if (strcmp(options->wire, "nats") == 0) session.wire = &wire_nats;
  uint64_t number = 0;
  while (take_in(relay) > 0) {
    size_t at = 0;
    while (at < relay->filled) {
      uint8_t *message = relay->buffer + at;
      size_t bytes = bytes_of_message(&session, options, message, relay->filled - at);
      if (relay->filled - at < bytes) break;
      bool spoil = ++number == options->fault_message;
      bool flips = options->fault == FAULT_FLIP || options->fault == FAULT_FLIP_HEADER;
      if (spoil && flips) flip(&session, options, message);
      if (!relay_message(relay, options, message, bytes, spoil)) return;
      at += bytes;
    }
    relay->filled -= at;
    memmove(relay->buffer, relay->buffer + at, relay->filled);
  }
}

int run_relay(const struct options *options) {
  int listener = listen_ready(options->port);
  struct relay relay = {.buffer = allocate(RELAY_BYTES)};
  for (;;) {
    relay.publisher = accept_one(listener);
    relay.subscriber = accept_one(listener);
    relay.filled = 0;
    relay.watching_output = false;
    relay.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event in = {.events = EPOLLIN}, none = {.events = 0};
    epoll_ctl(relay.epoll_fd, EPOLL_CTL_ADD, relay.publisher, &in);
    epoll_ctl(relay.epoll_fd, EPOLL_CTL_ADD, relay.subscriber, &none);
    if (options->fault == FAULT_NONE) {
      relay_bytes(&relay);
    } else {
      relay_messages(&relay, options);
    }
    close(relay.publisher);
    close(relay.subscriber);
    close(relay.epoll_fd);
  }
}
