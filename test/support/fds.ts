import type { Broker } from './broker.js';
import { Peer } from './peer.js';

/** A broker closes what its peers have ended a moment later, and the one that looks is among them. */
const TOLERANCE = 1;
const LOOKS_MAX = 300;

/**
 * Answers how many file descriptors the broker has open once that is no more than `most` and one, or, where it stays above that, in
 * the end. Between two looks a connection is made, served and ended: that is the clock.
 */
export async function settledFds(broker: Broker, most: number): Promise<number> {
  for (let i = 0; i < LOOKS_MAX && broker.fdCount > most + TOLERANCE; i++) {
    const peer = await Peer.greet(broker.port);
    await peer.leave();
  }
  return Math.max(0, broker.fdCount - TOLERANCE);
}
