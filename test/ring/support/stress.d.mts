export interface StressResult {
  ok: boolean;
  error: string | null;
  deaths: number;
  terminations: number;
  frames: number;
  appended: number;
  gapSequences: number;
  rotations: number;
  reclaimed: number;
  blocks: number;
  full: number;
  recovered: { holes: number; lostSequences: number; seals: number; milliseconds: number };
}

export function runStress(options: Record<string, unknown>): Promise<StressResult>;
