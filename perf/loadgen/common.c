#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKE_SECONDS 5
#define CONNECTIONS_PER_SOURCE 20000
#define SOURCES_MAX 250

_Noreturn void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "loadgen: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(1);
}

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void pin_to_cpu(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) die("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

void *allocate(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 4096, (bytes + 4095) & ~(size_t)4095) != 0) die("out of memory");
  memset(memory, 0, bytes);
  return memory;
}

static struct sockaddr_in loopback(uint32_t host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(host);
  return address;
}

static int new_socket(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) die("socket: %s (is the limit on open files high enough?)", strerror(errno));
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/** Goes on with a connect() that a signal has interrupted; errno tells how it ended. */
static bool connect_rest(int fd) {
  struct pollfd wanted = {.fd = fd, .events = POLLOUT};
  int ready;
  do ready = poll(&wanted, 1, HANDSHAKE_SECONDS * 1000);
  while (ready < 0 && errno == EINTR);
  if (ready == 0) errno = ETIMEDOUT;
  if (ready <= 0) return false;
  int fault = 0;
  socklen_t bytes = sizeof fault;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &bytes);
  errno = fault;
  return fault == 0;
}

/* With a time limit no call goes on by itself after a signal, were it that the whole process was stopped: signal(7). */
int connect_blocking(int port) {
  int fd = new_socket(0);
  struct timeval limit = {.tv_sec = HANDSHAKE_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  struct sockaddr_in address = loopback(INADDR_LOOPBACK, port);
  bool is_connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  if (!is_connected && errno == EINTR) is_connected = connect_rest(fd);
  if (!is_connected) die("cannot connect to 127.0.0.1:%d: %s", port, strerror(errno));
  return fd;
}

void limit_send_buffer(int fd, size_t bytes) {
  int limit = (int)bytes;
  if (limit > 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &limit, sizeof limit);
}

int connect_begin(int port, long ordinal) {
  int fd = new_socket(SOCK_NONBLOCK);
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  uint32_t source = (uint32_t)(ordinal / CONNECTIONS_PER_SOURCE % SOURCES_MAX);
  struct sockaddr_in from = loopback(INADDR_LOOPBACK + 1 + source, 0);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) die("bind: %s", strerror(errno));
  struct sockaddr_in to = loopback(INADDR_LOOPBACK, port);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
    die("cannot connect to 127.0.0.1:%d: %s", port, strerror(errno));
  }
  return fd;
}

bool send_first(int fd, const void *bytes, size_t count) {
  ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
  if (sent == (ssize_t)count) return true;
  if (sent >= 0 || (errno != EAGAIN && errno != EINTR)) {
    die("a connection could not send its greeting: %s", strerror(errno));
  }
  return false;
}

int listen_ready(int port) {
  int fd = new_socket(SOCK_NONBLOCK);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = loopback(INADDR_LOOPBACK, port);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
    die("cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
  }
  socklen_t bytes = sizeof address;
  getsockname(fd, (struct sockaddr *)&address, &bytes);
  printf("{\"ready\":true,\"port\":%d,\"pid\":%d}\n", ntohs(address.sin_port), (int)getpid());
  fflush(stdout);
  return fd;
}

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
void set_blocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK); }

void send_all(int fd, const void *bytes, size_t count) {
  const char *at = bytes;
  while (count > 0) {
    ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) die("the handshake could not be sent: %s", strerror(errno));
    at += sent;
    count -= (size_t)sent;
  }
}

void receive_all(int fd, void *bytes, size_t count) {
  char *at = bytes;
  while (count > 0) {
    ssize_t received = recv(fd, at, count, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received == 0) die("the peer closed the connection during the handshake");
    if (received < 0) die("no answer to the handshake: %s", strerror(errno));
    at += received;
    count -= (size_t)received;
  }
}
