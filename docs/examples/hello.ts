// Subscribes, publishes, and prints what comes back:  node hello.js [URL]
import { connect } from 'memorystreamer';

const client = await connect(process.argv[2] ?? 'ms://127.0.0.1:7878');
const greetings = client.subscribe('hello');
await greetings.ready;
await client.publish('hello', 'hi', { ack: true });
for await (const { subject, sequence, payload } of greetings) {
  console.log(`${subject} ${sequence.toString()} ${Buffer.from(payload).toString()}`);
  break;
}
await client.drain();
