// What our event log says: the content of each record that is extended into the profile's event PCR.
import { byteString, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';

/** A file of a slot that is not as the release says. Digests are SHA-256; null means absent on that side. */
export interface DifferingFile {
  readonly path: string;
  readonly expected: Uint8Array | null;
  readonly found: Uint8Array | null;
}

/** At most this many differing files are named in one event; `more` counts the rest. */
export const MAX_DIFFERING = 64;

/** SHA-256 of each part of the software that measures and gates; null where the profile has no such part. */
export interface Components {
  readonly agent: Uint8Array;
  readonly node: Uint8Array;
  readonly profile: Uint8Array;
  /** fleet.json and the root statement, exact bytes concatenated. */
  readonly trust: Uint8Array;
  readonly runtime: Uint8Array | null;
  readonly gateMode: 'none' | 'kernel';
}

/** The first event after the PCRs were zero. */
export interface BootEvent {
  readonly v: 1;
  readonly type: 'boot';
  readonly deviceId: string;
  readonly why: EpochChange;
  readonly components: Components;
}

/** The first event of each agent start; `session` is random per start and in RAM only. */
export interface AgentStartEvent {
  readonly v: 1;
  readonly type: 'agent-start';
  readonly session: Uint8Array;
  /** How the run before ended, as far as the journal knows. */
  readonly previous: 'first' | 'stopped' | 'killed';
  readonly components: Components;
}

/** One change of what a slot holds: found by measuring, or made by an activation. */
export interface SlotEvent {
  readonly v: 1;
  readonly type: 'slot';
  readonly slot: string;
  readonly cause: 'activated' | 'measured' | 'changed' | 'restored' | 'emptied';
  /** SHA-256 of the passport's exact payload bytes; null while the slot holds no release. */
  readonly release: Uint8Array | null;
  /** SHA-256 of the OMS statement's exact bytes; null while the slot holds no release. */
  readonly statement: Uint8Array | null;
  /** SHA-256 of the manifest of what was found (measure/manifest.ts). */
  readonly manifest: Uint8Array;
  /** SHA-256 of the manifest of the slot's configs; null where the profile names none. */
  readonly configs: Uint8Array | null;
  readonly differing: readonly DifferingFile[];
  readonly more: number;
}

/**
 * What the device's own compiler made of a slot's model: bound to the signed statement that it was made from, to what made it, and to every
 * byte of it. `compiled`: it was made just now; `measured`: it was found so.
 */
export interface EngineEvent {
  readonly v: 1;
  readonly type: 'engine';
  readonly slot: string;
  readonly cause: 'compiled' | 'measured';
  /** SHA-256 of the OMS statement's exact bytes: of the model that it was made from. */
  readonly statement: Uint8Array;
  /** The runtime's digest, as in Components, when it was made. */
  readonly compiler: Uint8Array;
  /** SHA-256 of the manifest of its files; null: there is none any more. */
  readonly engine: Uint8Array | null;
}

/** The PCR held a value that no journalled event explains: replay goes on from `found`, and the verifier says so. */
export interface ForeignExtensionEvent {
  readonly v: 1;
  readonly type: 'foreign-extension';
  /** What our log replays to. */
  readonly expected: Uint8Array;
  /** What the PCR held. */
  readonly found: Uint8Array;
}

export type LogEvent = BootEvent | AgentStartEvent | SlotEvent | EngineEvent | ForeignExtensionEvent;

/** How one epoch followed another (design: only the last two are suspicious). */
export const EPOCH_CHANGES = [
  'first',
  'continued',
  'resumed',
  'restarted',
  'rebooted',
  'power-cut',
  'tpm-cleared-or-replaced',
  'clock-rolled-back',
] as const;
export type EpochChange = (typeof EPOCH_CHANGES)[number];

const digest = byteString(32);

const Components: Shape<Components> = v.object({
  agent: digest,
  node: digest,
  profile: digest,
  trust: digest,
  runtime: v.nullable(digest),
  gateMode: v.picklist(['none', 'kernel']),
});

/** Everything a record's content may be; an unknown `type` or version is refused, never skipped. */
export const LogEvent: Shape<LogEvent> = v.variant('type', [
  v.strictObject({
    v: v.literal(1),
    type: v.literal('boot'),
    deviceId: text(64),
    why: v.picklist(EPOCH_CHANGES),
    components: Components,
  }),
  v.strictObject({
    v: v.literal(1),
    type: v.literal('agent-start'),
    session: byteString(16),
    previous: v.picklist(['first', 'stopped', 'killed']),
    components: Components,
  }),
  v.strictObject({
    v: v.literal(1),
    type: v.literal('slot'),
    slot: text(64),
    cause: v.picklist(['activated', 'measured', 'changed', 'restored', 'emptied']),
    release: v.nullable(digest),
    statement: v.nullable(digest),
    manifest: digest,
    configs: v.nullable(digest),
    differing: v.pipe(
      v.array(v.strictObject({ path: text(4096), expected: v.nullable(digest), found: v.nullable(digest) })),
      v.maxLength(MAX_DIFFERING),
    ),
    more: uint(),
  }),
  v.strictObject({
    v: v.literal(1),
    type: v.literal('engine'),
    slot: text(64),
    cause: v.picklist(['compiled', 'measured']),
    statement: digest,
    compiler: digest,
    engine: v.nullable(digest),
  }),
  v.strictObject({ v: v.literal(1), type: v.literal('foreign-extension'), expected: digest, found: digest }),
]);
