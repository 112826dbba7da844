import { createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/client.js';
import { reconnectDelayMs, settingsOf } from '../../src/client/options.js';
import { CODE_SERVER_FULL, TYPE_GOODBYE, TYPE_HELLO, TYPE_PING } from '../../src/frame/codes.js';
import { AT_ONCE, FakeClock, event, startClient, startServer } from './support.js';

describe('connecting', () => {
  it('says HELLO with its name, and waits for WELCOME', async () => {
    const server = await startServer();
    const client = await startClient(server, { name: 'tester/9' });
    expect(client.connected).toBe(true);
    const [hello] = server.received;
    expect(hello?.type).toBe(TYPE_HELLO);
    expect(JSON.parse(hello!.payload.toString())).toEqual({ versions: [1], client: 'tester/9' });
  });

  it('works when every byte comes alone', async () => {
    const server = await startServer({ pieceBytes: 1 });
    const client = await startClient(server);
    await client.publish('a', 'x', { ack: true });
  });

  it('rejects MS_ERR_UNREACHABLE where nobody listens', async () => {
    const connected = connect('ms://127.0.0.1:1');
    await expect(connected).rejects.toMatchObject({ code: 'MS_ERR_UNREACHABLE' });
  });

  const servers: ReturnType<typeof createServer>[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function strangerUrl(answer: string): Promise<string> {
    const stranger = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(answer);
    });
    servers.push(stranger);
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    return `ms://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  }

  it('rejects MS_ERR_PROTOCOL where something else listens', async () => {
    const url = await strangerUrl('HTTP/1.1 400 Bad Request\r\n\r\n');
    await expect(connect(url)).rejects.toMatchObject({ code: 'MS_ERR_PROTOCOL' });
  });

  it('gives up after connectTimeoutMs where nothing answers', async () => {
    const clock = new FakeClock();
    const url = await strangerUrl('');
    const failed = connect(url, { clock, connectTimeoutMs: 500 });
    clock.advance(499);
    clock.advance(1);
    await expect(failed).rejects.toMatchObject({ code: 'MS_ERR_UNREACHABLE' });
  });

  it('is ended by its signal', async () => {
    const url = await strangerUrl('');
    const controller = new AbortController();
    const failed = connect(url, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(failed).rejects.toThrow('enough');
    await expect(connect(url, { signal: controller.signal })).rejects.toThrow('enough');
  });

  it('tells a refusal by its code', async () => {
    const server = await startServer();
    server.onHello = (connection) => connection.fail(CODE_SERVER_FULL, 'too many');
    await expect(connect(server.url)).rejects.toMatchObject({
      code: 'MS_ERR_REFUSED',
      protocolCode: 'SERVER_FULL',
    });
  });

  it.each(['http://a', 'ms:', 'nonsense', 'ms://a:70000', 'ms://u@a', 'ms://a/path', ''])(
    'refuses the address %j',
    async (url) => {
      await expect(connect(url)).rejects.toMatchObject({ code: 'MS_ERR_USAGE' });
    },
  );

  it('takes addresses with and without a port', () => {
    expect(settingsOf('ms://host', {})).toMatchObject({ host: 'host', port: 7878 });
    expect(settingsOf('ms://[::1]:9/', {})).toMatchObject({ host: '::1', port: 9 });
  });
});

describe('heartbeat', () => {
  it('PINGs a silent server, and takes it for dead after twice the heartbeat', async () => {
    const clock = new FakeClock();
    const server = await startServer({ heartbeatMs: 1000 });
    const client = await startClient(server, { clock, reconnect: false });
    server.mute = true;
    const ping = server.next(TYPE_PING);
    clock.advance(1000);
    await ping;
    expect(client.connected).toBe(true);
    const lost = event(client, 'lost');
    clock.advance(999);
    expect(client.connected).toBe(true);
    clock.advance(251);
    await expect(lost).resolves.toMatchObject({ code: 'MS_ERR_CONNECTION_LOST' });
  });

  it('a server that answers lives on', async () => {
    const clock = new FakeClock();
    const server = await startServer({ heartbeatMs: 1000 });
    const client = await startClient(server, { clock, reconnect: false });
    for (let i = 0; i < 5; i++) {
      const ping = server.next(TYPE_PING);
      clock.advance(1000);
      await ping;
      // The answer to this frame comes behind the PONG.
      await client.publish('a', 'x', { ack: true });
    }
    expect(client.connected).toBe(true);
  });

  it('answers the PING of the server with its payload', async () => {
    const server = await startServer();
    await startClient(server);
    const pong = server.next(0x06);
    server.live[0]!.put({ type: TYPE_PING, sequence: 77n, payload: Buffer.from('echo') });
    server.live[0]!.flush();
    expect(await pong).toMatchObject({ sequence: 77n, payload: Buffer.from('echo') });
  });
});

describe('the end', () => {
  it('drain says GOODBYE last, and resolves when the server has closed', async () => {
    const server = await startServer();
    const client = await startClient(server);
    void client.publish('a', 'without ack');
    await client.drain();
    expect(server.stream('a').frames).toHaveLength(1);
    expect(server.received.at(-1)?.type).toBe(TYPE_GOODBYE);
    expect(client.connected).toBe(false);
    await expect(client.publish('a', 'x')).rejects.toMatchObject({ code: 'MS_ERR_CLOSED' });
    expect(() => client.subscribe('a')).toThrow('closed');
  });

  it('drain waits for the ACKs', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.holdAcks = true;
    const arrived = server.next(0x20);
    let acked = false;
    const published = client.publish('a', 'x', { ack: true }).then(() => (acked = true));
    await arrived;
    const drained = client.drain().then(() => expect(acked).toBe(true));
    await expect(client.publish('a', 'y')).rejects.toMatchObject({ code: 'MS_ERR_CLOSED' });
    server.releaseAcks();
    await drained;
    await published;
  });

  it('close rejects what waits, and ends iterations', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.holdAcks = true;
    const failed = expect(client.publish('a', 'x', { ack: true })).rejects.toMatchObject({
      code: 'MS_ERR_CLOSED',
    });
    const subscription = client.subscribe('a');
    const iterated = subscription[Symbol.asyncIterator]().next();
    await subscription.ready;
    await client.close();
    await failed;
    expect(await iterated).toEqual({ value: undefined, done: true });
    await client.close();
    await client.drain();
  });

  it('await using drains', async () => {
    const server = await startServer();
    {
      await using client = await connect(server.url);
      await client.publish('a', 'x');
    }
    expect(server.received.at(-1)?.type).toBe(TYPE_GOODBYE);
  });
});

describe('reconnecting', () => {
  it('delays double up to the limit, less up to a half at random', () => {
    const options = { delayMs: 100, delayMsMax: 1000, attemptsMax: Infinity };
    const delays = (random: number) =>
      [1, 2, 3, 4, 5, 100].map((attempt) => reconnectDelayMs(options, attempt, () => random));
    expect(delays(1)).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(delays(0)).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('waits for its delay, and gives up after attemptsMax', async () => {
    const clock = new FakeClock();
    const server = await startServer();
    const client = await startClient(server, {
      clock,
      random: () => 1,
      reconnect: { delayMs: 100, attemptsMax: 2 },
    });
    const pending = client.publish('a', 'x', { ack: true });
    const failed = expect(pending).rejects.toMatchObject({ code: 'MS_ERR_CONNECTION_LOST' });
    const ended = event(client, 'error');
    let lost = event(client, 'lost');
    await server.close();
    for (const delayMs of [100, 200]) {
      await lost;
      lost = event(client, 'lost');
      expect(clock.delaysMs).toEqual([delayMs]);
      clock.advance(delayMs);
    }
    await ended;
    await failed;
    await expect(client.publish('a', 'x')).rejects.toMatchObject({ code: 'MS_ERR_CLOSED' });
  });

  it('after the GOODBYE of the server publishes nothing there, and goes on with the next connection', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    await client.publish('a', '1', { ack: true });
    const [first] = server.live;
    first!.put({ type: TYPE_GOODBYE });
    // Behind the GOODBYE on the wire: once it is answered the client has read both.
    first!.put({ type: TYPE_PING, sequence: 5n });
    const pong = server.next(0x06);
    first!.flush();
    await pong;
    const published = client.publish('a', '2', { ack: true });
    const connected = event(client, 'connected');
    first!.socket.end();
    await connected;
    await published;
    const data = server.received.filter(({ type }) => type === 0x20);
    expect(data.map(({ payload }) => payload.toString())).toEqual(['1', '2']);
    expect(server.connections).toHaveLength(2);
  });
});
