// A client that speaks MQTT 5 byte by byte, for what no well-behaved client does: any client id, half a packet, silence.
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';

/** A string as MQTT writes it: its length in two bytes, and its UTF-8. */
export const mqttText = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** A length as MQTT writes it: seven bits a byte. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** A packet (2.1): type and flags, length, and the rest. */
export const packet = (head: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([head]), varint(body.length), body]);

/** CONNECT (MQTT 5, 3.1): clean start, keep alive in seconds, no properties. */
export function connectPacket(clientId: string, keepAlive = 60): Buffer {
  const variable = Buffer.concat([mqttText('MQTT'), Buffer.from([5, 0x02, keepAlive >> 8, keepAlive & 255, 0])]);
  return packet(0x10, Buffer.concat([variable, mqttText(clientId)]));
}

/** PUBLISH with QoS 0 (3.3). */
export function publishPacket(topic: string, payload: Uint8Array, retain = false): Buffer {
  return packet(retain ? 0x31 : 0x30, Buffer.concat([mqttText(topic), Buffer.from([0]), payload]));
}

/** A TLS connection, on which nothing was said yet. */
export async function rawClient(
  url: string,
  caPem: string,
  key: { certPem?: string; keyPem?: string } = {},
): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const { certPem: cert, keyPem } = key;
  const own = cert === undefined || keyPem === undefined ? {} : { cert, key: keyPem };
  const socket = connect({ host: hostname, port: Number(port), ca: caPem, ...own });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** Says CONNECT; the reason code of the answer (0: welcome), or null when the broker hangs up instead. */
export async function connected(socket: TLSSocket, clientId: string): Promise<number | null> {
  const answered = new Promise<number | null>((resolve) => {
    socket.once('data', (bytes: Buffer) => {
      resolve(bytes[3] ?? null);
    });
    socket.once('close', () => {
      resolve(null);
    });
  });
  socket.write(connectPacket(clientId));
  return answered;
}
