// The aedes broker in a process of its own, on a port of the system's choice, as its README sets it up; sockets do not
// wait to fill packets (`noDelay`). Ends by SIGTERM.
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const broker = await Aedes.createBroker();
const server = createServer({ noDelay: true }, broker.handle);
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`aedes ready port=${server.address().port}`);
});
