/** What the payloads of `latency` and `rtt` begin with: whose they are, which one, and when it was due. */
export const STAMP_BYTES = 16;
const DUE = 0;
const NUMBER = 8;
const RUN = 12;

export interface Stamp {
  readonly run: number;
  /** u32 */
  readonly number: number;
  /** On the sender's own clock, in ms. */
  readonly dueMs: number;
}

export function writeStamp(view: DataView, { run, number, dueMs }: Stamp): void {
  view.setFloat64(DUE, dueMs, true);
  view.setUint32(NUMBER, number, true);
  view.setUint32(RUN, run, true);
}

/** Undefined where it is too short to be one. */
export function readStamp(payload: Uint8Array): Stamp | undefined {
  if (payload.length < STAMP_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, STAMP_BYTES);
  return {
    dueMs: view.getFloat64(DUE, true),
    number: view.getUint32(NUMBER, true),
    run: view.getUint32(RUN, true),
  };
}
