/** Connections for one command: made, used, and closed whatever happens. */
import { connect, type Client } from '../client/client.js';
import type { ConnectOptions } from '../client/options.js';
import { MemoryStreamerError } from '../errors.js';

/**
 * Connects, lets `use` have the client, and closes it. The connection is not made again when it is lost: what a gap
 * or a frame in doubt means is not for a pipe to guess. Throws what `use` throws, or why the client was closed.
 */
export async function withClient(
  command: string,
  url: string,
  options: ConnectOptions,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  await withClients(command, url, options, 1, async ([client]) => use(client!));
}

/** As `withClient`, with `count` of them. */
export async function withClients<Result>(
  command: string,
  url: string,
  options: ConnectOptions,
  count: number,
  use: (clients: readonly Client[]) => Promise<Result>,
): Promise<Result> {
  const name = `memorystreamer-${command}`;
  const clients: Client[] = [];
  try {
    // One after another: a burst of thousands would not fit the queue of who listens.
    while (clients.length < count) {
      clients.push(await connect(url, { ...options, name, reconnect: false }));
    }
    return await use(clients);
  } catch (error) {
    throw rootCause(error);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** Why the client was closed, where that is what ended the command. */
function rootCause(error: unknown): unknown {
  const { code, cause } = error instanceof MemoryStreamerError ? error : {};
  return code === 'MS_ERR_CLOSED' && cause instanceof MemoryStreamerError ? cause : error;
}
