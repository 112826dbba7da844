/*
 * Topology:   publisher --> this thread --> its subscriber(s); with --streams N so many times.
 *
 * The least that anything between sockets can do: receive much, send it on, look at nothing. What
 * the generator reaches against it is the ceiling of any figure that the generator can measure on this
 * machine. Connections come in the generator's order: of each stream the publisher, then its subscribers. When a
 * publisher closes, all are closed and the next set is awaited.
 *
 * With --fault it walks the messages of one stream and spoils one, to show that the generator notices; it must
 * then be given the generator's --wire, and for all but ms its --size and --subject.
 */
#define _GNU_SOURCE
#include "../loadgen/wire.h"
#include "../loadgen/xxh64.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BYTES (512 * 1024)
#define STREAMS_MAX 64
#define SUBSCRIBERS_MAX 64

struct relay {
  int publisher;
  int subscribers[SUBSCRIBERS_MAX];
  int subscriber_count;
};

static uint8_t *buffer; /* received, not sent on yet */
static size_t filled;

static void await(int fd, short events) {
  struct pollfd wanted = {fd, events, 0};
  poll(&wanted, 1, -1);
}

static int accept_one(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    if (errno != EAGAIN && errno != EINTR) die("accept: %s", strerror(errno));
    await(listener, POLLIN);
  }
}

static bool pass_to(int subscriber, const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(subscriber, bytes, count, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      count -= (size_t)sent;
    } else if (errno == EAGAIN) {
      await(subscriber, POLLOUT);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

/** Sends all of `bytes` to every subscriber; false when one is gone. */
static bool pass_on(const struct relay *relay, const uint8_t *bytes, size_t count) {
  for (int i = 0; i < relay->subscriber_count; i++) {
    if (!pass_to(relay->subscribers[i], bytes, count)) return false;
  }
  return true;
}

/** Receives what there is behind `filled`; false at the end of the stream. */
static bool take_in(const struct relay *relay) {
  ssize_t received = recv(relay->publisher, buffer + filled, RELAY_BYTES - filled, 0);
  if (received > 0) filled += (size_t)received;
  return received > 0 || (received < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool relay_bytes(const struct relay *relay) {
  if (!take_in(relay)) return false;
  bool passed = pass_on(relay, buffer, filled);
  filled = 0;
  return passed;
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

static bool relay_message(const struct relay *relay, const struct options *options, uint8_t *message,
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

static bool relay_messages(const struct relay *relay, const struct options *options) {
  static uint64_t number;
  struct options relayed = *options;
  relayed.protocol = "relay";
  struct session session = new_session(&relayed);
  if (!take_in(relay)) return false;
  size_t at = 0;
  while (at < filled) {
    uint8_t *message = buffer + at;
    size_t bytes = bytes_of_message(&session, options, message, filled - at);
    if (filled - at < bytes) break;
    bool spoil = ++number == options->fault_message;
    bool flips = options->fault == FAULT_FLIP || options->fault == FAULT_FLIP_HEADER;
    if (spoil && flips) flip(&session, options, message);
    if (!relay_message(relay, options, message, bytes, spoil)) return false;
    at += bytes;
  }
  filled -= at;
  memmove(buffer, buffer + at, filled);
  return true;
}

static void accept_streams(struct relay *relays, int epoll_fd, int listener, const struct options *options) {
  for (int k = 0; k < options->streams; k++) {
    struct relay *relay = &relays[k];
    relay->publisher = accept_one(listener);
    relay->subscriber_count = options->subscribers;
    for (int i = 0; i < options->subscribers; i++) relay->subscribers[i] = accept_one(listener);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = relay};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, relay->publisher, &event);
  }
}

static bool relay_some(int epoll_fd, const struct options *options) {
  struct epoll_event events[STREAMS_MAX];
  int ready = epoll_wait(epoll_fd, events, STREAMS_MAX, -1);
  for (int i = 0; i < ready; i++) {
    const struct relay *relay = events[i].data.ptr;
    if (!(options->fault == FAULT_NONE ? relay_bytes(relay) : relay_messages(relay, options))) return false;
  }
  return true;
}

static void close_streams(const struct relay *relays, const struct options *options) {
  for (int k = 0; k < options->streams; k++) {
    close(relays[k].publisher);
    for (int i = 0; i < options->subscribers; i++) close(relays[k].subscribers[i]);
  }
}

int run_relay(const struct options *options) {
  if (options->publishers != 1) die("a relay does not merge: one publisher for each stream");
  if (options->streams < 1 || options->streams > STREAMS_MAX || options->subscribers < 1 ||
      options->subscribers > SUBSCRIBERS_MAX) {
    die("from 1 to %d streams, and subscribers of each", STREAMS_MAX);
  }
  static struct relay relays[STREAMS_MAX];
  int listener = listen_ready(options->port);
  buffer = allocate(RELAY_BYTES);
  for (;;) {
    filled = 0;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    accept_streams(relays, epoll_fd, listener, options);
    while (relay_some(epoll_fd, options)) continue;
    close_streams(relays, options);
    close(epoll_fd);
  }
}
