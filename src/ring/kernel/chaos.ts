// The points where another thread may come in between, or this one may die, for the thread tests only:
// scripts/build.mjs turns one of these on for two builds for tests, all others compile it away.

/** Random delays and deaths. */
export const CHAOS: bool = false;
/** Calls the host, which may do another thread's work in between, or throw: a death at this very point. */
export const STEPS: bool = false;

// @ts-ignore: decorator
@external("env", "step")
declare function step(): void;

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

/** Such a point; CHAOS delays it for long with probability 1/rarity. */
// @ts-ignore: decorator
@inline export function chaos(rarity: u32): void {
  if (CHAOS) misbehave(rarity);
  if (STEPS) step();
}

function misbehave(rarity: u32): void {
  const r = nextRandom();
  if (deathOneIn && <u32>(r >> 8) % (deathOneIn * rarity) < 50) unreachable();
  if (<u32>(r >> 20) % rarity == 0) spin(<u32>(r >> 40) % 200000);
  else if ((r & 7) == 0) spin(<u32>(r >> 32) % 300);
}
