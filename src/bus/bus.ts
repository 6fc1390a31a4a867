// The Bus port: topics in, bytes out. Trusted with nothing.

export interface BusMessage {
  readonly topic: string;
  readonly payload: Buffer;
}

export interface PublishOptions {
  readonly retain?: boolean;
  readonly atMostOnce?: boolean;
}

/** Errors: BusError. Delivery is at least once and in order per topic while connected; nothing more. */
export interface Bus extends AsyncDisposable {
  readonly connected: boolean;
  /**
   * Resolves when the broker has taken it (QoS 1). Rejects when not connected. `atMostOnce`: resolves when it was handed to the
   * connection (QoS 0), and is lost with it; for what comes often and is followed by the next. `payload` must not change after.
   */
  publish(topic: string, payload: Uint8Array, options?: PublishOptions): Promise<void>;
  /**
   * `filter` may hold + and #; `shared` makes it a shared subscription of that group. Once granted it outlives the connection. Not
   * granted because the connection was lost: BUS_UNAVAILABLE; asked again, it waits for the next one.
   */
  subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    options?: { readonly shared?: string },
  ): Promise<void>;
  /** Called on every connect (again) and disconnect. */
  onState(listener: (connected: boolean) => void): void;
}

/**
 * How every client id begins that is asked for. The broker gives a client with a certificate the name in it instead, and no
 * certificate's name begins so: whoever comes without one can push nobody of the fleet off the broker.
 */
export const CLIENT_ID_PREFIX = 'touchstone-';

/** touchstone/1/d/<device>/<kind>: from controller to device. */
export const DOWN_KINDS = ['challenge', 'result', 'command', 'enrol', 'root', 'certificate'] as const;
export type DownKind = (typeof DOWN_KINDS)[number];
/** touchstone/1/c/<device>/<kind>: from device to controller. */
export const UP_KINDS = ['evidence', 'log', 'status', 'enrol'] as const;
export type UpKind = (typeof UP_KINDS)[number];

export function downTopic(device: string, kind: DownKind): string {
  return `touchstone/1/d/${device}/${kind}`;
}

export function upTopic(device: string, kind: UpKind): string {
  return `touchstone/1/c/${device}/${kind}`;
}

/** Device and kind of an up topic; null for anything else. */
export function parseUpTopic(topic: string): { device: string; kind: UpKind } | null {
  const match = /^touchstone\/1\/c\/([a-z2-7]{32})\/([a-z]+)$/.exec(topic);
  const device = match?.[1];
  const kind = UP_KINDS.find((known) => known === match?.[2]);
  return device === undefined || kind === undefined ? null : { device, kind };
}
