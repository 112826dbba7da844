// Which version of the protocol a connection speaks. Where only one is spoken, as in the package, it is a constant and
// nothing of this is left; a build for tests speaks a second one (scripts/second-version.mjs).
import { PROTOCOL_VERSION, PROTOCOL_VERSION_NEWEST } from '../../frame/layout';
import { CONNECTION_VERSION } from '../layout';

/** Whether there is more than one. */
export const IS_MIXED: bool = PROTOCOL_VERSION_NEWEST > PROTOCOL_VERSION;

/** Types that a client may send from version 2 on: one bit each. */
const LATER_TYPES: u64 = 0;

// @ts-ignore: decorator
@inline export function versionOf(connection: usize): u32 {
  if (!IS_MIXED) return PROTOCOL_VERSION;
  const version = load<u32>(connection, CONNECTION_VERSION);
  return version ? version : PROTOCOL_VERSION;
}

/** The bits of those types, if that version knows them. */
// @ts-ignore: decorator
@inline export function laterTypes(version: u32): u64 {
  return IS_MIXED && version > <u32>PROTOCOL_VERSION ? LATER_TYPES : 0;
}
