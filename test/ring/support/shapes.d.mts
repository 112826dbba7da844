export interface Shape {
  deathOneIn?: number;
  readerDeathOneIn?: number;
  terminateEveryMs?: number;
  [option: string]: number | undefined;
}

export const SHAPES: Record<string, Shape>;
