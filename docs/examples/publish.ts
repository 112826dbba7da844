// Publishes one frame and says where it lies:  node publish.js [URL]
import { connect } from 'memorystreamer';

const client = await connect(process.argv[2] ?? 'ms://127.0.0.1:7878');
const published = await client.publish('orders.eu', 'a new order', { ack: true });
console.log(`${published.subject} ${published.sequence.toString()}`);
await client.drain();
