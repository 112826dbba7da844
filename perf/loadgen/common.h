/* What every mode of the load generator uses: options, clocks, sockets, and how it gives up. */
#ifndef LOADGEN_COMMON_H
#define LOADGEN_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define NS_PER_SECOND 1000000000ull

enum fault_kind { FAULT_NONE, FAULT_DROP, FAULT_FLIP, FAULT_FLIP_HEADER, FAULT_SWAP };

struct options {
  const char *mode;
  const char *protocol; /* ms, nats, redis, mqtt or relay */
  const char *wire;     /* through a relay: the form of the messages, as one of the others */
  const char *subject;
  const char *key_id;      /* who it is, with hmac-sha256; all its frames are keyed then */
  const char *secret_file; /* never a secret on the command line */
  int port;
  int cpu; /* -1: not pinned */
  size_t payload_bytes;
  double seconds;
  double warmup_seconds;
  double patience_seconds; /* without a message, before what is missing is taken for lost */
  size_t send_buffer_bytes; /* of a publisher's socket; 0: what the kernel chooses */
  size_t window_bytes; /* of a stream: sent and not delivered to all, at most; 0: no limit */
  int streams;
  int publishers;  /* of each stream */
  int subscribers; /* of each stream */
  long connections;
  long outstanding;
  long total;
  double rate;
  bool rate_given;
  bool hello;
  bool verify; /* check every message whole, not a sample */
  enum fault_kind fault;
  uint64_t fault_message; /* counted from 1 */
};

/** Reads `--name value` pairs; ends the process with a sentence about the first thing it does not know. */
void read_options(struct options *options, int argc, char **argv);

/** Writes one line to stderr and ends the process with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Monotonic nanoseconds. */
uint64_t now_ns(void);
/** User and system time of this process, in seconds. */
double cpu_seconds(void);
void pin_to_cpu(int cpu);

void *allocate(size_t bytes);

/** A blocking loopback connection with TCP_NODELAY; its reads and writes time out after 5 s. */
int connect_blocking(int port);
void limit_send_buffer(int fd, size_t bytes);
/**
 * Begins a non-blocking connection. Connection `ordinal` comes from 127.0.0.(2 + ordinal / 20000),
 * because one source address has only some 28,000 ports for one destination.
 */
int connect_begin(int port, long ordinal);
/** Listens on 127.0.0.1, prints `{"ready":true,"port":P,"pid":N}` on stdout, answers the socket. */
int listen_ready(int port);
/**
 * Sends the first bytes on a connection that was begun. False when it is not there yet, as where the peer's queue of
 * new connections is full: wait until it can be written to. Ends the process when it failed.
 */
bool send_first(int fd, const void *bytes, size_t count);
void set_nonblocking(int fd);
void set_blocking(int fd);
void send_all(int fd, const void *bytes, size_t count);
void receive_all(int fd, void *bytes, size_t count);

int run_throughput(const struct options *options);
int run_latency(const struct options *options);
int run_idle(const struct options *options);
int run_connect(const struct options *options);
int run_rtt(const struct options *options);
int run_replay(const struct options *options);
int run_storm(const struct options *options);
int run_reload(const struct options *options);
int run_histogram(const struct options *options);
int run_relay(const struct options *options);
int run_answer(const struct options *options);
int run_xxh64(const struct options *options);
int run_handshake(const struct options *options);
int run_codec(const struct options *options);
int run_siphash(const struct options *options);

#endif
