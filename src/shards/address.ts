/** From where a connection comes, as far as it matters: for counting failures, and for what the loopback alone may do. */
import type { ShardContext } from './context.js';
import * as layout from './layout.js';

export const ADDRESS_BYTES = 16;
const NETWORK_BYTES = 8;
const LOOPBACK = 'loopback';
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const IPV6_LOOPBACK = Buffer.from('00000000000000000000000000000001', 'hex');

/** `loopback`, an IPv4 address, or the /64 of an IPv6 address: who has one such network has 2^64 addresses. */
export function peerOf(context: ShardContext, slot: number): string {
  const at = context.areaAt + layout.AREA_PEER;
  const status = context.sys.peerAddress(context.shared.fd(slot), at);
  if (status < 0) return 'unknown';
  return addressText(Buffer.from(context.bytes.subarray(at, at + ADDRESS_BYTES)));
}

export function addressText(address: Buffer): string {
  const isMapped = address.subarray(0, MAPPED.length).equals(MAPPED);
  if (isMapped) {
    const parts = address.subarray(MAPPED.length);
    return parts[0] === 127 ? LOOPBACK : parts.join('.');
  }
  // A socket of this machine without an address: one end of a pair, behind an edge of the broker itself.
  if (address.equals(IPV6_LOOPBACK) || address.every((byte) => byte === 0)) return LOOPBACK;
  const groups: string[] = [];
  for (let at = 0; at < NETWORK_BYTES; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  return `${groups.join(':')}::/64`;
}

export function isLoopback(peer: string): boolean {
  return peer === LOOPBACK;
}
