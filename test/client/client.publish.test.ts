import { describe, expect, it } from 'vitest';
import {
  CODE_FORBIDDEN,
  CODE_LIMIT_EXCEEDED,
  TYPE_DATA,
  TYPE_OPEN,
} from '../../src/frame/codes.js';
import { AT_ONCE, event, numbers, startClient, startServer, text } from './support.js';

const LARGEST = 65_496;

describe('publish', () => {
  it('opens a subject once, and keeps the order', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const sent = numbers(1, 50).map((payload) => client.publish('a', payload));
    await Promise.all([...sent, client.publish('a', 'last', { ack: true })]);
    expect(server.stream('a').frames.map(text)).toEqual([...numbers(1, 50), 'last']);
    expect(server.received.filter(({ type }) => type === TYPE_OPEN)).toHaveLength(1);
  });

  it('resolves with the sequence; a run of our own frames is exact through one ACK', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.append('a', 'of another publisher');
    const first = await client.publish('a', '1', { ack: true });
    expect(first).toEqual({ subject: 'a', stream: 1, sequence: 2n, exact: true });
    server.holdAcks = true;
    const arrived = server.next(TYPE_DATA, 3);
    const run = ['2', '3', '4'].map((payload) => client.publish('a', payload, { ack: true }));
    await arrived;
    server.releaseAcks();
    expect((await Promise.all(run)).map(({ sequence, exact }) => [sequence, exact])).toEqual([
      [3n, true],
      [4n, true],
      [5n, true],
    ]);
  });

  it('says so where another publisher lies in the run of one ACK', async () => {
    const server = await startServer();
    const client = await startClient(server);
    await client.publish('a', '1', { ack: true });
    server.holdAcks = true;
    let arrived = server.next(TYPE_DATA);
    const second = client.publish('a', '2', { ack: true });
    await arrived;
    server.append('a', 'between');
    arrived = server.next(TYPE_DATA);
    const third = client.publish('a', '3', { ack: true });
    await arrived;
    server.releaseAcks();
    expect(await second).toMatchObject({ sequence: 4n, exact: false });
    expect(await third).toMatchObject({ sequence: 4n, exact: true });
  });

  it('takes text and bytes, nothing and the largest payload', async () => {
    const server = await startServer({ pieceBytes: 7 });
    const client = await startClient(server);
    const largest = new Uint8Array(LARGEST).map((_, i) => i);
    for (const payload of ['', 'grüße', largest, new Uint8Array(0)]) {
      await client.publish('a', payload, { ack: true });
    }
    const found = server.stream('a').frames.map(({ payload }) => payload);
    expect(found).toEqual([
      Buffer.alloc(0),
      Buffer.from('grüße'),
      Buffer.from(largest),
      Buffer.alloc(0),
    ]);
  });

  it.each([
    ['a', new Uint8Array(LARGEST + 1), 'MS_ERR_FRAME_TOO_LARGE'],
    ['a', 'ü'.repeat(LARGEST / 2 + 1), 'MS_ERR_FRAME_TOO_LARGE'],
    ['a.*', 'x', 'MS_ERR_SUBJECT'],
    ['', 'x', 'MS_ERR_SUBJECT'],
  ])('on %j refuses what no frame can say', async (subject, payload, code) => {
    const server = await startServer();
    const client = await startClient(server);
    await expect(client.publish(subject, payload)).rejects.toMatchObject({ code });
    await client.publish('a', 'and the client lives on', { ack: true });
  });

  it('rejects all that waits for a subject that is refused, and asks again the next time', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.refused.set('a', CODE_FORBIDDEN);
    const refused = { code: 'MS_ERR_REFUSED', protocolCode: 'FORBIDDEN' };
    const both = [client.publish('a', '1'), client.publish('a', '2', { ack: true })];
    for (const each of both) await expect(each).rejects.toMatchObject(refused);
    await expect(client.publisher('a')).rejects.toMatchObject(refused);
    server.refused.clear();
    await client.publish('a', '3', { ack: true });
    expect(server.stream('a').frames.map(text)).toEqual(['3']);
  });

  it('rejects the one frame that the broker refuses, and acknowledges those around it', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.refusedNumbers.set(2n, CODE_LIMIT_EXCEEDED);
    const sent = ['1', '2', '3'].map((payload) => client.publish('a', payload, { ack: true }));
    const [one, two, three] = await Promise.allSettled(sent);
    expect(one?.status).toBe('fulfilled');
    expect(two).toMatchObject({ reason: { protocolCode: 'LIMIT_EXCEEDED' } });
    expect(three).toMatchObject({ value: { sequence: 2n, exact: true } });
  });

  it('tells an ERROR for a frame without ACK by an event', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.refusedNumbers.set(0n, CODE_LIMIT_EXCEEDED);
    const told = event(client, 'error');
    await client.publish('a', '1');
    expect(await told).toMatchObject({ protocolCode: 'LIMIT_EXCEEDED' });
  });

  it('waits while the buffer is full, and goes on in order', async () => {
    const server = await startServer();
    const client = await startClient(server, { sendBufferBytes: 256 * 1024 });
    await client.publish('a', 'open', { ack: true });
    const [connection] = server.live;
    connection!.socket.pause();
    const payload = new Uint8Array(60_000);
    const count = 400;
    let taken = 0;
    const sent = Array.from({ length: count }, (_, i) => {
      const one = payload.slice();
      one[0] = i & 0xff;
      return client.publish('a', one).then(() => taken++);
    });
    // Far more than the buffer and the sockets hold: the first are taken, the last are not.
    await sent[0];
    expect(taken).toBeLessThan(count);
    connection!.socket.resume();
    await Promise.all(sent);
    await client.publish('a', 'end', { ack: true });
    const firsts = server.stream('a').frames.slice(1, -1);
    expect(firsts.map((frame) => frame.payload[0])).toEqual(
      Array.from({ length: count }, (_, i) => i & 0xff),
    );
  });
});

describe('a publisher', () => {
  it('sends in bulk, and flush waits for every ACK', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const publisher = await client.publisher('a');
    for (const payload of numbers(1, 20_000)) {
      const taken = publisher.send(payload);
      if (taken !== true) await taken;
    }
    await publisher.flush();
    expect(publisher.acknowledgedCount).toBe(20_000);
    expect(server.stream('a').frames.map(text)).toEqual(numbers(1, 20_000));
  });

  it('flush does not resolve before the ACK', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const publisher = await client.publisher('a');
    server.holdAcks = true;
    const arrived = server.next(TYPE_DATA);
    void publisher.sendRange(Buffer.from('--x--'), 2, 3);
    const flushed = publisher.flush().then(() => expect(publisher.acknowledgedCount).toBe(1));
    await arrived;
    expect(publisher.acknowledgedCount).toBe(0);
    server.releaseAcks();
    await flushed;
    expect(server.stream('a').frames.map(text)).toEqual(['x']);
  });

  it('flush rejects once with the first refusal', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const publisher = await client.publisher('a');
    server.refusedNumbers.set(1n, CODE_LIMIT_EXCEEDED);
    void publisher.send('1');
    void publisher.send('2');
    await expect(publisher.flush()).rejects.toMatchObject({ protocolCode: 'LIMIT_EXCEEDED' });
    expect(publisher.acknowledgedCount).toBe(1);
    await publisher.flush();
  });

  it('holds back while too much is unacknowledged', async () => {
    const server = await startServer();
    const client = await startClient(server, { unackedBytesMax: 200_000 });
    const publisher = await client.publisher('a');
    server.holdAcks = true;
    const payload = new Uint8Array(50_000);
    let sent = 0;
    let blocked: true | Promise<true>;
    for (;;) {
      blocked = publisher.send(payload);
      if (blocked !== true) break;
      sent++;
    }
    expect(sent).toBeGreaterThanOrEqual(2);
    expect(sent).toBeLessThanOrEqual(5);
    const released = server.next(TYPE_DATA, sent).then(() => server.releaseAcks());
    await blocked;
    await released;
    await publisher.flush();
    expect(publisher.acknowledgedCount).toBe(sent + 1);
  });
});

describe('a lost connection', () => {
  it('without reconnect rejects what was not acknowledged, and ends the client', async () => {
    const server = await startServer();
    const client = await startClient(server, { reconnect: false });
    const publisher = await client.publisher('a');
    server.holdAcks = true;
    const arrived = server.next(TYPE_DATA, 2);
    const published = client.publish('a', 'x', { ack: true });
    void publisher.send('y');
    const lost = { code: 'MS_ERR_CONNECTION_LOST' };
    const flushed = expect(publisher.flush()).rejects.toMatchObject(lost);
    const failed = expect(published).rejects.toMatchObject(lost);
    await arrived;
    server.cut();
    await Promise.all([failed, flushed]);
    await expect(client.publish('a', 'z')).rejects.toMatchObject({ code: 'MS_ERR_CLOSED' });
  });

  it('sends again, in order, exactly what was not acknowledged', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const publisher = await client.publisher('a');
    void publisher.send('acked');
    await publisher.flush();
    server.holdAcks = true;
    server.refusedNumbers.set(3n, CODE_LIMIT_EXCEEDED);
    const arrived = server.next(TYPE_DATA, 4);
    for (const payload of ['1', 'refused', '2', '3']) void publisher.send(payload);
    const failed = expect(publisher.flush()).rejects.toMatchObject({
      protocolCode: 'LIMIT_EXCEEDED',
    });
    await arrived;
    // Behind the ERROR: once it is in, so is the ERROR.
    const pong = server.next(0x06);
    server.live[0]!.put({ type: 0x05, sequence: 1n });
    server.live[0]!.flush();
    await pong;
    const connected = event(client, 'connected');
    server.cut();
    server.forget();
    // It would be taken now: it is not sent again.
    server.refusedNumbers.clear();
    server.holdAcks = false;
    await connected;
    void publisher.send('4');
    await failed;
    await client.publish('a', '5', { ack: true });
    expect(server.stream('a').frames.map(text)).toEqual(['1', '2', '3', '4', '5']);
    expect(publisher.acknowledgedCount).toBe(5);
  });

  it('what was published while away leaves with the next connection', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    await Promise.all([client.publish('a', '1'), client.publish('a', '2', { ack: true })]);
    expect(server.stream('a').frames.map(text)).toEqual(['1', '2']);
  });

  it('many times while sending: nothing acknowledged is missing, and each life keeps the order', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const publisher = await client.publisher('a');
    for (let round = 0; round < 8; round++) {
      const arrived = server.next(TYPE_DATA, 500);
      for (const payload of numbers(round * 1000 + 1, round * 1000 + 1000)) {
        const taken = publisher.send(payload);
        if (taken !== true) await taken;
      }
      await arrived;
      server.cut();
    }
    await publisher.flush();
    const found = server.stream('a').frames.map((frame) => Number(text(frame)));
    expect(new Set(found).size).toBe(8000);
    // Sent again means stepping back, never leaping over what is not there yet.
    let highest = 0;
    for (const number of found) {
      expect(number).toBeLessThanOrEqual(highest + 1);
      highest = Math.max(highest, number);
    }
  });
});
