// The bus over MQTT 5 with TLS: reconnects for ever, subscribes again, and says when it is connected.
import { randomBytes } from 'node:crypto';
import type { IClientOptions, MqttClient } from 'mqtt';
import { BusError } from '../errors.ts';
import { CLIENT_ID_PREFIX } from './bus.ts';
import type { Bus, BusMessage, PublishOptions } from './bus.ts';
import { firstConnection, startMqttClient } from './mqtt-client.ts';

export interface MqttOptions {
  /** mqtts://host:port */
  readonly url: string;
  /** Trust anchors for the broker's certificate; nothing else is trusted. */
  readonly caPem: string;
  /** Client certificate chain and key, where the listener asks for one. */
  readonly certPem?: string;
  readonly keyPem?: string;
  readonly clientId: string;
  /** Published by the broker when this client is gone without a word. */
  readonly will?: { readonly topic: string; readonly payload: Uint8Array };
  /** Where the broker keeps what arrives while this client is away; 0 = nowhere. */
  readonly sessionSeconds?: number;
}

/** Longest message either side takes: the protocol's limit and room for its head. */
const MAX_PACKET = 300 * 1024;
const RECONNECT_MS = 1000;

interface Subscription {
  readonly filter: string;
  readonly matches: RegExp;
  readonly handler: (message: BusMessage) => void;
}

/** A topic filter as a regular expression over topics. */
function matcher(filter: string): RegExp {
  const levels = filter.split('/').map((level) => {
    if (level === '+') return '[^/]+';
    return level === '#' ? '.*' : level.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${levels.join('/')}$`);
}

/** Without a certificate the id is kept as it is asked for: one that nobody can guess is ended by nobody. */
function idOf({ clientId, certPem }: MqttOptions): string {
  const own = certPem === undefined ? `${clientId}-${randomBytes(8).toString('hex')}` : clientId;
  return `${CLIENT_ID_PREFIX}${own}`;
}

function clientOptions(options: MqttOptions): IClientOptions {
  const session = options.sessionSeconds ?? 0;
  return {
    protocolVersion: 5,
    clientId: idOf(options),
    clean: session === 0,
    ca: options.caPem,
    ...(options.certPem === undefined ? {} : { cert: options.certPem }),
    ...(options.keyPem === undefined ? {} : { key: options.keyPem }),
    rejectUnauthorized: true,
    keepalive: 30,
    // Spread over time, so that a broker that comes back is not met by the whole fleet at once.
    reconnectPeriod: RECONNECT_MS + Math.floor(Math.random() * RECONNECT_MS),
    connectTimeout: 15_000,
    queueQoSZero: false,
    resubscribe: true,
    // Would keep a buffer of each of 65,536 numbers: more than 10 MB, to save nothing that shows.
    writeCache: false,
    properties: { maximumPacketSize: MAX_PACKET, sessionExpiryInterval: session },
    ...(options.will === undefined
      ? {}
      : { will: { topic: options.will.topic, payload: Buffer.from(options.will.payload), qos: 1, retain: false } }),
  };
}

class MqttBus implements Bus {
  readonly #client: MqttClient;
  readonly #subscriptions: Subscription[] = [];
  readonly #listeners: ((connected: boolean) => void)[] = [];

  constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload) => {
      for (const { matches, handler } of this.#subscriptions) {
        if (matches.test(topic)) handler({ topic, payload });
      }
    });
    client.on('connect', () => {
      for (const listener of this.#listeners) listener(true);
    });
    client.on('close', () => {
      for (const listener of this.#listeners) listener(false);
    });
    // A broken connection is a state, not a failure: the client connects again.
    client.on('error', () => {});
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  async publish(topic: string, payload: Uint8Array, options: PublishOptions = {}): Promise<void> {
    if (!this.#client.connected) throw new BusError('BUS_UNAVAILABLE', `not connected: ${topic} was not published`);
    const { retain = false, atMostOnce = false } = options;
    // Not copied.
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    if (atMostOnce) {
      this.#client.publish(topic, bytes, { qos: 0, retain });
      return;
    }
    try {
      await this.#client.publishAsync(topic, bytes, { qos: 1, retain });
    } catch (cause) {
      throw new BusError('BUS_REFUSED', `the broker did not take ${topic}`, { cause });
    }
  }

  async subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    options: { readonly shared?: string } = {},
  ): Promise<void> {
    const subscription = { filter, matches: matcher(filter), handler };
    this.#subscriptions.push(subscription);
    const asked = options.shared === undefined ? filter : `$share/${options.shared}/${filter}`;
    let isLost = false;
    const onClose = (): void => {
      isLost = true;
    };
    this.#client.once('close', onClose);
    try {
      const granted = await this.#client.subscribeAsync(asked, { qos: 1 });
      if (granted.some(({ qos }) => qos >= 128)) throw new Error('not granted');
    } catch (cause) {
      this.#subscriptions.splice(this.#subscriptions.indexOf(subscription), 1);
      if (isLost)
        throw new BusError('BUS_UNAVAILABLE', `the connection was lost before ${filter} was granted`, { cause });
      throw new BusError('BUS_REFUSED', `the broker did not grant ${filter}`, { cause });
    } finally {
      this.#client.off('close', onClose);
    }
  }

  onState(listener: (connected: boolean) => void): void {
    this.#listeners.push(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(!this.#client.connected);
  }
}

/** Connects once, then stays connected. Errors: BusError BUS_UNAVAILABLE when the first attempt fails. */
export async function connectMqttBus(options: MqttOptions): Promise<Bus> {
  try {
    return new MqttBus(await firstConnection(startMqttClient(options.url, clientOptions(options))));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BusError('BUS_UNAVAILABLE', `no connection to ${options.url}: ${reason}`, { cause });
  }
}
