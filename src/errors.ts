/** Every error that a user of the broker, the command line or the client library may see, in one table. */
export const ERROR_CODES = {
  MS_ERR_USAGE: 'the command line is wrong',
  MS_ERR_CONFIG: 'the configuration is refused',
  MS_ERR_RELOAD: 'the new configuration cannot be taken over',
  MS_ERR_NOT_LINUX: 'the broker needs Linux on x64 or arm64',
  MS_ERR_NODE_VERSION: 'this Node.js is too old',
  MS_ERR_MEMORY: 'the arena cannot be had',
  MS_ERR_LISTEN: 'the listening socket cannot be had',
  MS_ERR_SYSTEM: 'a system call failed where it must not',
  MS_ERR_SHARD_LOST: 'a shard could not be replaced',
  MS_ERR_UNREACHABLE: 'the broker cannot be reached',
  MS_ERR_CONNECTION_LOST: 'the connection was lost',
  MS_ERR_CLOSED: 'the client is closed',
  MS_ERR_TIMEOUT: 'no answer in time',
  MS_ERR_REFUSED: 'the broker refused the request',
  MS_ERR_PROTOCOL: 'the peer broke the protocol',
  MS_ERR_UNTRUSTED: 'the broker did not prove itself, or offers less than is demanded',
  MS_ERR_FRAME_TOO_LARGE: 'the payload is larger than a frame can hold',
  MS_ERR_SUBJECT: 'the subject is not valid',
  MS_ERR_INPUT: 'the input cannot be read',
} as const;

/** A stable code, one of the keys of `ERROR_CODES`. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error may carry beside its message. */
export interface ErrorContext {
  /** The underlying error. */
  cause?: unknown;
  /** Name of the protocol's error code, where the broker sent one: `FORBIDDEN`, `LIMIT_EXCEEDED` … */
  protocolCode?: string;
}

/** An error with a stable `code`; its message says what was wrong, where, and what to do. */
export class MemoryStreamerError extends Error {
  /** Always `MemoryStreamerError`. */
  override readonly name = 'MemoryStreamerError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** Name of the protocol's error code, where the broker sent one: `FORBIDDEN`, `LIMIT_EXCEEDED` … */
  readonly protocolCode: string | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.protocolCode = context.protocolCode;
  }
}

/** What was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
