/*
 * Topology:   sockets of this thread --> peer's acceptor, shard and authenticator.
 *
 * Measures whole lives of connections that prove who they are: connect, HELLO, CHALLENGE, PROOF, and WELCOME or the ERROR
 * that refuses them, close. Without --rate, `--outstanding` of them are under way at any time, `--total` in all, and the rate is
 * what the peer does. With it they begin at that rate for `--seconds`, whatever becomes of those before (an open
 * loop). The latency is from just before connect(), or from when it should have been, to the last answer.
 *
 * Void when: one was closed without a word where it must have an answer, or a welcome did not prove that the peer
 * knows the secret.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "ms_frame.h"
#include "xxh64.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 4096
#define EVENTS_MAX 256
#define OUTSTANDING_MAX 4096
#define SILENCE_NS (10 * NS_PER_SECOND)
#define WAIT_NS_MAX (NS_PER_SECOND / 10)
#define FREE (-1)

struct attempt {
  int fd; /* FREE: none */
  int awaited;
  bool sent; /* what is in the handshake's text */
  uint64_t begun_ns;
  size_t filled;
  struct handshake handshake;
  uint8_t answer[ANSWER_BYTES_MAX];
};

struct handshakes {
  const struct options *options;
  struct session session;
  int epoll_fd;
  long begun;
  long under_way;
  long welcomed;
  long refused;
  long closed; /* without a word */
  uint32_t free_slots[OUTSTANDING_MAX];
  uint32_t free_count;
  struct histogram latency;
  struct attempt attempts[OUTSTANDING_MAX];
};

static struct sip_key no_key;

static void end(struct handshakes *run, uint32_t slot, long *count) {
  struct attempt *attempt = &run->attempts[slot];
  histogram_add(&run->latency, now_ns() - attempt->begun_ns);
  close(attempt->fd);
  attempt->fd = FREE;
  run->free_slots[run->free_count++] = slot;
  run->under_way--;
  (*count)++;
}

static void say(struct handshakes *run, uint32_t slot, int operation) {
  struct attempt *attempt = &run->attempts[slot];
  uint8_t frame[HANDSHAKE_TEXT_BYTES + 64];
  bool is_hello = attempt->awaited == TYPE_CHALLENGE;
  size_t bytes = seal_text(frame, is_hello ? TYPE_HELLO : TYPE_PROOF, is_hello ? HELLO_REQUEST : PROOF_REQUEST,
                           attempt->handshake.text, &no_key);
  ssize_t sent = send(attempt->fd, frame, bytes, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    end(run, slot, &run->closed);
    return;
  }
  attempt->sent = sent == (ssize_t)bytes;
  if (sent >= 0 && !attempt->sent) die("a socket took a part of a greeting");
  struct epoll_event event = {.events = EPOLLIN | (attempt->sent ? 0u : EPOLLOUT), .data.u32 = slot};
  epoll_ctl(run->epoll_fd, operation, attempt->fd, &event);
}

static void begin(struct handshakes *run, uint64_t begun_ns) {
  uint32_t slot = run->free_slots[--run->free_count];
  struct attempt *attempt = &run->attempts[slot];
  attempt->begun_ns = begun_ns;
  attempt->filled = 0;
  attempt->awaited = TYPE_CHALLENGE;
  attempt->fd = connect_begin(run->options->port, run->begun++);
  handshake_begin(&attempt->handshake, &run->session);
  run->under_way++;
  say(run, slot, EPOLL_CTL_ADD);
}

/** A whole frame has come. A PING is not answered, for after PROOF nothing may be sent. */
static void hear(struct handshakes *run, uint32_t slot) {
  struct attempt *attempt = &run->attempts[slot];
  if (!frame_is_whole(attempt->answer, &no_key)) die("the handshake's answer is corrupt");
  int type = attempt->answer[3];
  size_t text_bytes = load_u32(attempt->answer + 12);
  char text[ANSWER_BYTES_MAX];
  memcpy(text, attempt->answer + FRAME_HEADER_BYTES, text_bytes);
  text[text_bytes] = 0;
  size_t whole = frame_bytes(text_bytes);
  attempt->filled -= whole;
  memmove(attempt->answer, attempt->answer + whole, attempt->filled);
  if (type == TYPE_PING) return;
  if (type == TYPE_ERROR) {
    end(run, slot, &run->refused);
  } else if (type != attempt->awaited) {
    die("frame type %d came during a handshake", type);
  } else if (type == TYPE_CHALLENGE) {
    handshake_challenged(&attempt->handshake, &run->session, text);
    attempt->awaited = TYPE_WELCOME;
    say(run, slot, EPOLL_CTL_MOD);
  } else {
    if (!handshake_welcomed(&attempt->handshake, &run->session, text)) die("the peer does not know the secret");
    end(run, slot, &run->welcomed);
  }
}

static void look_at(struct handshakes *run, uint32_t slot) {
  struct attempt *attempt = &run->attempts[slot];
  if (!attempt->sent) {
    say(run, slot, EPOLL_CTL_MOD);
    return;
  }
  size_t room = sizeof attempt->answer - attempt->filled;
  ssize_t count = recv(attempt->fd, attempt->answer + attempt->filled, room, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    end(run, slot, &run->closed);
    return;
  }
  attempt->filled += (size_t)count;
  while (attempt->fd != FREE && attempt->filled >= FRAME_HEADER_BYTES) {
    size_t whole = frame_bytes(load_u32(attempt->answer + 12));
    if (whole > sizeof attempt->answer) die("an answer is longer than any of a handshake");
    if (attempt->filled < whole) return;
    hear(run, slot);
  }
}

/** When the next is to begin, with --rate. */
static uint64_t next_due_ns(const struct handshakes *run, uint64_t start_ns) {
  return start_ns + (uint64_t)((double)run->begun * NS_PER_SECOND / run->options->rate);
}

static uint64_t end_ns(const struct handshakes *run, uint64_t start_ns) {
  return start_ns + (uint64_t)(run->options->seconds * NS_PER_SECOND);
}

/** Begins those that are due; answers for how long to wait for anything else. */
static uint64_t begin_due(struct handshakes *run, uint64_t start_ns) {
  const struct options *options = run->options;
  if (!options->rate_given) {
    while (run->free_count > 0 && run->begun < options->total) begin(run, now_ns());
    return WAIT_NS_MAX;
  }
  uint64_t now = now_ns();
  for (;;) {
    uint64_t due_ns = next_due_ns(run, start_ns);
    if (due_ns >= end_ns(run, start_ns)) return WAIT_NS_MAX;
    if (due_ns > now) return due_ns - now;
    if (run->free_count == 0) die("%d are under way, and none ends", OUTSTANDING_MAX);
    begin(run, due_ns);
  }
}

/** What was due in time is begun, also late: without it a stall at the end would not show. */
static bool is_over(const struct handshakes *run, uint64_t start_ns) {
  const struct options *options = run->options;
  if (run->under_way > 0) return false;
  if (!options->rate_given) return run->begun >= options->total;
  uint64_t end = end_ns(run, start_ns);
  return now_ns() >= end && next_due_ns(run, start_ns) >= end;
}

static void report(const struct handshakes *run, double seconds, double cpu) {
  const struct options *options = run->options;
  printf("{\"mode\":\"handshake\",\"outstanding\":%ld,\"attempts\":%ld,\"welcomed\":%ld,\"refused\":%ld,\"closed\":%ld,"
         "\"seconds\":%.4f,\"attemptsPerSecond\":%.1f,\"generatorCpuSeconds\":%.4f,",
         options->rate_given ? 0 : options->outstanding, run->begun, run->welcomed, run->refused, run->closed, seconds,
         (double)run->begun / seconds, cpu);
  histogram_print("latency", &run->latency);
  printf(",\"error\":\"\"}\n");
}

int run_handshake(const struct options *options) {
  if (!options->key_id) die("handshake wants --key-id and --secret-file");
  long slots = options->rate_given ? OUTSTANDING_MAX : options->outstanding;
  if (slots < 1 || slots > OUTSTANDING_MAX) die("from 1 to %d outstanding", OUTSTANDING_MAX);
  struct handshakes *run = allocate(sizeof *run);
  run->options = options;
  run->session = new_session(options);
  run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  for (long slot = slots; slot > 0; slot--) run->free_slots[run->free_count++] = (uint32_t)slot - 1;
  uint64_t start_ns = now_ns(), progress_ns = start_ns;
  double cpu_start = cpu_seconds();
  while (!is_over(run, start_ns)) {
    struct epoll_event events[EVENTS_MAX];
    uint64_t wait_ns = begin_due(run, start_ns);
    /* By poll, whose time is finer than a millisecond: this thread is to sleep until the next is due. */
    struct pollfd any = {.fd = run->epoll_fd, .events = POLLIN};
    ppoll(&any, 1, &(struct timespec){.tv_nsec = (long)(wait_ns < WAIT_NS_MAX ? wait_ns : WAIT_NS_MAX)}, NULL);
    int ready = epoll_wait(run->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < ready; i++) look_at(run, events[i].data.u32);
    if (ready > 0 || run->under_way == 0) progress_ns = now_ns();
    if (now_ns() - progress_ns > SILENCE_NS) die("silence, with %ld under way", run->under_way);
  }
  report(run, (double)(now_ns() - start_ns) / NS_PER_SECOND, cpu_seconds() - cpu_start);
  return 0;
}
