/** `memorystreamer frame decode`: what frames say, and which check fails where. */
import { FrameInspector, type InspectedFrame, type InspectorKey } from '../frame/inspect.js';
import { FrameKernel } from '../frame/frame-kernel.js';
import { parseFlags, usageError } from './client-options.js';
import { EXIT_DONE, EXIT_FAULT } from './exit-codes.js';
import { KEY_FLAGS, keyOf, readFrames } from './frame-input.js';
import { fieldRows, jsonRow, TABLE_HEAD, tableRow } from './frame-table.js';
import { Output } from './output.js';

interface DecodeOptions {
  file: string | undefined;
  form: 'auto' | 'hex' | 'raw';
  view: 'table' | 'fields' | 'json';
  from: 'client' | 'server' | undefined;
  key: InspectorKey | undefined;
}

/** Runs the command; answers 1 where a check fails. Throws MS_ERR_INPUT and MS_ERR_USAGE. */
export async function runDecode(argv: readonly string[]): Promise<number> {
  const { file, form, view, from, key } = parse(argv);
  const inspector = new FrameInspector(new FrameKernel(FrameInspector.areaBytes()), from, key);
  const report = new Report(view);
  const output = new Output(process.stdout);
  await output.write(Buffer.from(report.head));
  for await (const bytes of readFrames(file, form)) {
    for (let at = 0; at < bytes.length && !inspector.isOver;) {
      at += inspector.push(bytes.subarray(at));
      await output.write(Buffer.from(report.rows(inspector)));
    }
    if (inspector.isOver || output.gone) break;
  }
  const last = inspector.end();
  const text = last === undefined ? '' : report.row(last);
  await output.write(Buffer.from(text + report.summary(inspector)));
  return report.faultCount === 0 ? EXIT_DONE : EXIT_FAULT;
}

function parse(argv: readonly string[]): DecodeOptions {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      hex: { type: 'boolean', default: false },
      raw: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      fields: { type: 'boolean', default: false },
      from: { type: 'string' },
      ...KEY_FLAGS,
    },
  });
  const { hex, raw, json, fields, from } = values;
  if (hex && raw) throw usageError('--hex and --raw exclude each other');
  if (json && fields) throw usageError('--json and --fields exclude each other');
  if (from !== undefined && from !== 'client' && from !== 'server') {
    throw usageError(`--from ${JSON.stringify(from)}: client or server is wanted`);
  }
  if (positionals.length > 1) {
    throw usageError(`frame decode takes one FILE, not ${positionals.length}`);
  }
  return {
    file: positionals[0],
    form: hex ? 'hex' : raw ? 'raw' : 'auto',
    view: json ? 'json' : fields ? 'fields' : 'table',
    from,
    key: keyOf(values['key-file'], values.counter),
  };
}

/** The lines of one run, and what is counted for its end. */
class Report {
  readonly head: string;
  faultCount = 0;
  readonly #view: DecodeOptions['view'];
  #frameCount = 0;
  #byteCount = 0;

  constructor(view: DecodeOptions['view']) {
    this.#view = view;
    this.head = view === 'table' ? TABLE_HEAD : '';
  }

  rows(inspector: FrameInspector): string {
    const rows: string[] = [];
    for (let frame = inspector.next(); frame !== undefined; frame = inspector.next()) {
      rows.push(this.row(frame));
    }
    return rows.join('');
  }

  row(frame: InspectedFrame): string {
    this.#frameCount++;
    this.#byteCount = frame.offset + frame.bytes;
    if (frame.fault !== undefined) this.faultCount++;
    if (this.#view === 'json') return jsonRow(frame);
    return this.#view === 'fields' ? fieldRows(frame, this.#frameCount) : tableRow(frame);
  }

  summary(inspector: FrameInspector): string {
    if (this.#view === 'json') return '';
    const unverified = inspector.framesUnverified;
    const parts = [
      counted(this.#frameCount, 'frame'),
      `${this.#byteCount} bytes`,
      this.faultCount === 0 ? 'no check fails' : `${counted(this.faultCount, 'check')} failed`,
    ];
    if (unverified > 0) parts.push(`${counted(unverified, 'tag')} not verified (no key)`);
    return `${parts.join(', ')}\n`;
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
