/**
 * The network of a host that listens on all its addresses and is told late, as by a kernel, which of them
 * the other side sees: more comes in meanwhile.
 */
import type { Clock } from '../../src/core/clock.js';
import type { DatagramSocket, Endpoint, Network } from '../../src/core/network.js';

export function unhurried(network: Network, clock: Clock, pauseMs: () => number): Network {
  return {
    bindDatagram: async options => {
      const socket = await network.bindDatagram(options);
      return boundTo(socket, { address: '0.0.0.0', port: socket.local.port });
    },
    joinMulticast: options => network.joinMulticast(options),
    connectStream: options => network.connectStream(options),
    listenStream: options => network.listenStream(options),
    secureStream: (connection, options) => network.secureStream(connection, options),
    addresses: () => network.addresses(),
    sourceAddressFor: async remote => {
      await new Promise<void>(resolve => clock.after(pauseMs(), resolve));
      return network.sourceAddressFor(remote);
    },
  };
}

function boundTo(socket: DatagramSocket, local: Endpoint): DatagramSocket {
  return {
    local,
    set onMessage(handle: DatagramSocket['onMessage']) {
      socket.onMessage = handle;
    },
    set onError(handle: DatagramSocket['onError']) {
      socket.onError = handle;
    },
    send: (...sent) => socket.send(...sent),
    close: () => socket.close(),
  };
}
