// A device's end of MQTT 5 over TLS in the few packets that a load needs: a full client in each device would measure itself.
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { connected, mqttText, packet, rawClient } from '../support/raw-mqtt.ts';

const SUBSCRIBE = 0x82;
const PUBLISH_QOS_0 = 0x30;
const PUBLISH_QOS_1 = 0x32;
const NO_PROPERTIES = Buffer.from([0]);
const MAX_PACKET_ID = 0xffff;

function id16(id: number): Buffer {
  return Buffer.from([id >> 8, id & 255]);
}

/** Where the body of the packet at `at` begins and ends; null when some of it is yet to come. */
function bodyOf(bytes: Buffer, at: number): { start: number; end: number } | null {
  let [length, factor, start] = [0, 1, at + 1];
  for (;;) {
    const byte = bytes[start];
    if (byte === undefined) return null;
    start += 1;
    length += (byte & 127) * factor;
    if (byte < 128) break;
    factor *= 128;
  }
  return start + length <= bytes.length ? { start, end: start + length } : null;
}

/** PUBLISH with QoS 1, as the agent's; `id` is of the sender's choice, from 1. */
export function publication(topic: string, payload: Uint8Array, id: number): Buffer {
  return packet(
    PUBLISH_QOS_1,
    Buffer.concat([mqttText(topic), id16((id % MAX_PACKET_ID) + 1), NO_PROPERTIES, payload]),
  );
}

export class LoadClient {
  readonly #socket: TLSSocket;
  /** Begin of a packet whose end is yet to come. */
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: TLSSocket, heard: (payload: Buffer) => void) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes, heard);
    });
  }

  /** Connects as `clientId` and hears one topic. Errors: Error when the broker refuses. */
  static async open(
    { url, caPem, clientId, ...key }: { url: string; caPem: string; certPem: string; keyPem: string; clientId: string },
    topic: string,
    heard: (payload: Buffer) => void,
  ): Promise<LoadClient> {
    const socket = await rawClient(url, caPem, key);
    socket.setNoDelay(true);
    if ((await connected(socket, clientId)) !== 0) throw new Error(`the broker does not let ${clientId} in`);
    socket.write(packet(SUBSCRIBE, Buffer.concat([id16(1), NO_PROPERTIES, mqttText(topic), Buffer.from([1])])));
    const [granted] = (await once(socket, 'data')) as [Buffer];
    if (granted.at(-1) !== 1) throw new Error(`the broker does not grant ${topic}`);
    return new LoadClient(socket, heard);
  }

  /** Sends what `publication` made; whether it arrived is told by the answer. */
  send(made: Buffer): void {
    this.#socket.write(made);
  }

  #take(bytes: Buffer, heard: (payload: Buffer) => void): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (let body = bodyOf(all, at); body !== null; body = bodyOf(all, at)) {
      const { start, end } = body;
      // Results come with QoS 0 and without properties; what else comes is an acknowledgement.
      if (all[at] === PUBLISH_QOS_0) heard(all.subarray(start + 2 + all.readUInt16BE(start) + 1, end));
      at = end;
    }
    this.#rest = all.subarray(at);
  }
}
