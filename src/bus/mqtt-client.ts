// Makes the client of the MQTT library, for mqtts:// without loading what only other ways to a broker need.
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { connect as connectAnyhow, MqttClient } from 'mqtt';
import type { IClientOptions } from 'mqtt';

const MQTTS_PORT = 8883;

/** A TLS connection to the broker; until it stands its errors are the client's. */
function tlsStream(client: MqttClient, host: string, port: number, options: IClientOptions): TLSSocket {
  const { ca, cert, key } = options;
  // Not imported: an import of node:tls reads all its exports, and so makes strings of every public root certificate.
  const socket = process.getBuiltinModule('node:tls').connect({
    host,
    port,
    // A name is needed for SNI, and an address is none.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: true,
  });
  // Messages are small and answered: each held back until the last one is acknowledged would cost 40 ms.
  socket.setNoDelay(true);
  const failed = (error: Error): void => {
    client.emit('error', error);
    socket.end();
  };
  socket.on('error', failed);
  socket.on('secureConnect', () => {
    socket.off('error', failed);
  });
  return socket;
}

/** Begins to connect to `url`. The library's own way there also loads web sockets, HTTP and proxies: 10 MB of a small device. */
export function startMqttClient(url: string, options: IClientOptions): MqttClient {
  const { protocol, hostname, port, username, search } = new URL(url);
  if (protocol !== 'mqtts:' || username !== '' || search !== '') return connectAnyhow(url, options);
  const host = hostname.replace(/^\[|\]$/g, '');
  const at = port === '' ? MQTTS_PORT : Number(port);
  const client = new MqttClient((mqtt) => tlsStream(mqtt, host, at, options), { ...options, protocol: 'mqtts' });
  client.on('error', () => {});
  return client;
}

/** Resolves once `client` is connected; rejects with the first failure, and then the client has ended. */
export async function firstConnection(client: MqttClient): Promise<MqttClient> {
  const came = new AbortController();
  try {
    return await new Promise<MqttClient>((resolve, reject) => {
      const { signal } = came;
      const on = (event: 'connect' | 'end' | 'close' | 'error', told: (error: Error) => void): void => {
        client.once(event, told);
        signal.addEventListener('abort', () => client.off(event, told));
      };
      on('connect', () => {
        resolve(client);
      });
      on('end', () => {
        resolve(client);
      });
      on('error', reject);
      on('close', () => {
        reject(new Error("Couldn't connect to server"));
      });
    });
  } catch (error) {
    client.end();
    throw error;
  } finally {
    came.abort();
  }
}
