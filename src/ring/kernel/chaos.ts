// Delays and deaths at chosen points, for the thread tests only: the build for tests turns CHAOS on,
// every other build compiles it away.

/** Set to true by scripts/build.mjs for the test build. */
export const CHAOS: bool = false;

let random: u64 = 88172645463325252;
let deathOneIn: u32 = 0;
let waste: u64 = 0;

export function seedChaos(seed: u32): void {
  random = 88172645463325252 ^ ((<u64>seed) * 0x9e3779b97f4a7c15);
  if (random == 0) random = 1;
}

/** The thread dies at about one in `oneIn` of the points it passes (weighted by the point's rarity); 0 = never. */
export function setDeathOneIn(oneIn: u32): void {
  deathOneIn = oneIn;
}

export function nextRandom(): u64 {
  random ^= random << 13;
  random ^= random >> 7;
  random ^= random << 17;
  return random;
}

function spin(rounds: u32): void {
  for (let i: u32 = 0; i < rounds; i++) waste += i;
}

/** A point where the thread may be delayed (long with probability 1/rarity) or die. */
// @ts-ignore: decorator
@inline export function chaos(rarity: u32): void {
  if (CHAOS) misbehave(rarity);
}

function misbehave(rarity: u32): void {
  const r = nextRandom();
  if (deathOneIn && <u32>(r >> 8) % (deathOneIn * rarity) < 50) unreachable();
  if (<u32>(r >> 20) % rarity == 0) spin(<u32>(r >> 40) % 200000);
  else if ((r & 7) == 0) spin(<u32>(r >> 32) % 300);
}
