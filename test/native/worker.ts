/** Worker thread of native.test.ts: loads the addon once more, in a thread of its own. */
import { parentPort } from 'node:worker_threads';
import { SystemNetwork } from '../../src/core/system-network.js';
import { loadNative } from '../../src/native/index.js';

const native = loadNative();
const socket = await new SystemNetwork(native?.openMarkedUdpSocket).bindDatagram({
  address: '127.0.0.1',
  port: 0,
  trafficClass: 'voice',
});
socket.onMessage = (data, from) => {
  socket.send(data.slice(), from);
  setImmediate(() => socket.close());
};
parentPort?.postMessage({ loaded: native !== undefined, port: socket.local.port });
