/* Many lanes at once, each offered more than it takes: what throughput and reload have in common. */
#ifndef LOADGEN_LOAD_H
#define LOADGEN_LOAD_H

#include "lane.h"

struct load {
  const struct options *options;
  struct lane *lanes;
  /** Called after each lane of a round, where there is something to do beside it; or NULL. */
  void (*beside)(void *context);
  void *context;
  bool broken;
};

/** Connects everything that the options ask for; ends the process where they ask for too much. */
void open_load(struct load *load, const struct options *options);

/** One round over every socket; answers the bytes that moved. */
size_t load_turn(struct load *load, uint64_t round, bool sending);
/** Sleeps until a socket can be read or written, or the time is over. */
void load_wait(struct load *load, bool sending, int timeout_ms);
/** Sends no more, but for what is half-sent, until all is delivered or nothing has come for the options' patience. */
void load_drain(struct load *load, uint64_t *round);

uint64_t load_sent(const struct load *load);
uint64_t load_delivered(const struct load *load);

/** Adds up what all receivers have counted; answers the first thing that went wrong with one, or "". */
const char *load_faults(const struct load *load, struct receiver *sum);
void add_faults(struct receiver *sum, const struct receiver *one, const char **error);
/** Prints `"sent":…,"expected":…,"delivered":…,"gaps":…, … ,"peerErrors":…,`. */
void print_counts(const struct receiver *sum, uint64_t sent, uint64_t expected, uint64_t delivered);

#endif
