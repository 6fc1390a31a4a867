// The firmware profile: what a class of devices measures, into which PCRs, and what happens on failure.
import { normalize } from 'node:path';
import { hexString, name, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { sha256 } from '../crypto/digest.ts';
import { fromUtf8 } from '../bytes/text.ts';
import { ConfigError, WireError } from '../errors.ts';
import { jsonFault, jsonLines, lineOf } from './json-lines.ts';
import { transferShape } from './transfer.ts';
import type { TransferProfile } from './transfer.ts';

/** Seconds everywhere a name ends in `Seconds`; a lease of 0 is not possible. */
export interface SlotProfile {
  readonly name: string;
  /** What the passport's `slotRole` must equal. */
  readonly role: string;
  /** Model ids that may be installed here. */
  readonly modelIds: readonly string[];
  /** Config files measured with the model: absolute paths, or globs of one folder level and `**`. */
  readonly configs: readonly ConfigProfile[];
  readonly required: boolean;
  readonly onFailure: 'stop' | 'last-good' | 'degraded';
  readonly onLeaseExpired: 'continue' | 'degraded' | 'stop';
  /** Ids of the planned changes (FDA, PCCP) that a release here may be, the first model's own id among them; left out: any, or none. */
  readonly plannedChanges?: readonly string[];
  /** For how long somebody at the device may answer for it while the controller's word does not count; left out: not at all. */
  readonly breakGlass?: { readonly maxSeconds: number };
  /** Which of the eight floors in the TPM is this slot's; left out: none, and the journal is all there is. */
  readonly floor?: number;
  /** How long a healthy release must have run before its trial is committed without a result; left out, or `never`: not at all. */
  readonly commitAfterSeconds?: number | 'never';
  /**
   * Program and arguments of the device's own runtime for golden cases: it gets the model folder as its last argument and answers each
   * line of JSON with one. No shell sees it.
   */
  readonly runtimeCommand?: readonly string[];
  /** The operator's own check of a release on trial: exit code 0 says yes. TOUCHSTONE_MODEL is the model folder. */
  readonly healthCommand?: readonly string[];
  /** For the whole health check; 60 where left out. */
  readonly healthSeconds?: number;
  /** Who runs it, and the compiler of engines; left out: who the agent is. */
  readonly healthUser?: RunAs;
  /** The device compiles an engine from the model; left out: it loads the model as it is. */
  readonly engine?: EngineProfile;
}

/** How the device's own runtime turns a signed model into an engine for its hardware. */
export interface EngineProfile {
  /**
   * Program and arguments; the program lies in the profile's `runtime`, and so is measured. It finds the model folder in TOUCHSTONE_MODEL and
   * writes its files into the folder TOUCHSTONE_ENGINE. No shell sees it.
   */
  readonly command: readonly string[];
  /** How long it may take; 900 where left out. */
  readonly seconds?: number;
}

/** A user and a group of the device, by number. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

export interface ConfigProfile {
  readonly path: string;
  /** Lower-case hex SHA-256 of the manifest of what the path matches; the owner's word for what it must be. */
  readonly sha256: string;
}

/** Formats of models that hold numbers and structure and no code. */
export const MODEL_FORMATS = ['safetensors', 'onnx', 'tflite', 'gguf', 'openvino'] as const;
export type ModelFormat = (typeof MODEL_FORMATS)[number];

/** Longest step of one floor token where the profile says nothing. */
export const DEFAULT_MAX_STEP = 16;

export interface Profile {
  readonly v: 1;
  readonly id: string;
  readonly hardwareClass: string;
  readonly tpm: {
    /** TCTI configuration; `auto` is /dev/tpmrm0. */
    readonly tcti: string;
    readonly bank: 'sha256';
    /** Where our events go: a PCR that locality 0 cannot reset and nobody else extends. */
    readonly eventPcr: number;
    /** Quoted beside the event PCR and compared with reference values: the measured boot. */
    readonly bootPcrs: readonly number[];
    readonly ownership: 'exclusive' | 'shared';
  };
  readonly slots: readonly SlotProfile[];
  /** The inference runtime's files, measured at boot and agent start; null where there is none to measure. */
  readonly runtime: string | null;
  /** What models may be made of; left out: anything that a publisher signed. */
  readonly formats?: readonly ModelFormat[];
  /** Longest step by which one token of the floor key may raise a floor; 16 where left out. */
  readonly floorMaxStep?: number;
  /** Releases that are fetched from a web server; left out: https, with the usual authorities, as fast as it comes. */
  readonly transfer?: TransferProfile;
  /** Group of the device whose members may break the glass; left out: only root and the agent's own user. */
  readonly breakGlassGid?: number;
  /** Longest time between two full passes over the bytes of every slot. */
  readonly maxDetectionSeconds: number;
  /** How often the controller asks for evidence. */
  readonly attestEverySeconds: number;
  /** How long a result is good for on the device's TPM clock. */
  readonly leaseSeconds: number;
}

/** PCRs that any local root process can reset (facts: locality 0 may reset 16 and 23) or that no one at locality 0 may extend. */
const UNUSABLE_PCRS: ReadonlySet<number> = new Set([16, 17, 18, 19, 20, 21, 22, 23]);

const pcr = v.pipe(
  uint(23),
  v.check(
    (value) => !UNUSABLE_PCRS.has(value),
    'PCR 16 to 23 can be reset by software or not be extended: use 0 to 15',
  ),
);

const argv = v.pipe(
  v.array(text(4096)),
  v.minLength(1),
  v.maxLength(64),
  v.check((list) => list[0]?.startsWith('/') === true, 'the program must be an absolute path'),
);

const distinctFloors = (slots: readonly { floor?: number }[]): boolean => {
  const floors = slots.flatMap(({ floor }) => floor ?? []);
  return new Set(floors).size === floors.length;
};
const distinctNames = (slots: readonly { name: string }[]): boolean =>
  new Set(slots.map((s) => s.name)).size === slots.length;

/** The shape of a profile file; firmware-profiles/profile.schema.json says the same for editors. */
export const Profile: Shape<Profile> = v.strictObject({
  v: v.literal(1),
  id: name,
  hardwareClass: name,
  tpm: v.strictObject({
    tcti: text(4096),
    bank: v.literal('sha256'),
    eventPcr: pcr,
    bootPcrs: v.pipe(
      v.array(pcr),
      v.maxLength(15),
      v.check((list) => list.every((value, i) => i === 0 || value > (list[i - 1] ?? 24)), 'must ascend'),
    ),
    ownership: v.picklist(['exclusive', 'shared']),
  }),
  slots: v.pipe(
    v.array(
      v.strictObject({
        name: name,
        role: name,
        modelIds: v.pipe(v.array(text(128)), v.minLength(1), v.maxLength(64)),
        configs: v.pipe(v.array(v.strictObject({ path: text(4096), sha256: hexString(32) })), v.maxLength(64)),
        required: v.boolean(),
        onFailure: v.picklist(['stop', 'last-good', 'degraded']),
        onLeaseExpired: v.picklist(['continue', 'degraded', 'stop']),
        plannedChanges: v.exactOptional(v.pipe(v.array(text(128)), v.minLength(1), v.maxLength(256))),
        breakGlass: v.exactOptional(v.strictObject({ maxSeconds: v.pipe(uint(7 * 86_400), v.minValue(1)) })),
        floor: v.exactOptional(uint(7)),
        runtimeCommand: v.exactOptional(argv),
        healthCommand: v.exactOptional(argv),
        healthSeconds: v.exactOptional(v.pipe(uint(3600), v.minValue(1))),
        healthUser: v.exactOptional(v.strictObject({ uid: uint(0xffff_fffe), gid: uint(0xffff_fffe) })),
        engine: v.exactOptional(
          v.strictObject({ command: argv, seconds: v.exactOptional(v.pipe(uint(86_400), v.minValue(1))) }),
        ),
        commitAfterSeconds: v.exactOptional(
          v.union([v.literal('never'), v.pipe(uint(30 * 86_400), v.minValue(1))], 'must be seconds, or never'),
        ),
      }),
    ),
    v.minLength(1),
    v.maxLength(32),
    v.check((slots) => distinctNames(slots), 'two slots have the same name'),
    v.check((slots) => distinctFloors(slots), 'two slots have the same floor'),
  ),
  runtime: v.nullable(text(4096)),
  floorMaxStep: v.exactOptional(v.pipe(uint(1_000_000), v.minValue(1))),
  formats: v.exactOptional(
    v.pipe(
      v.array(v.picklist(MODEL_FORMATS)),
      v.minLength(1),
      v.check((list) => new Set(list).size === list.length, 'names a format twice'),
    ),
  ),
  transfer: v.exactOptional(transferShape),
  breakGlassGid: v.exactOptional(uint(0xffff_fffe)),
  maxDetectionSeconds: v.pipe(uint(86_400), v.minValue(1)),
  attestEverySeconds: v.pipe(uint(86_400), v.minValue(1)),
  leaseSeconds: v.pipe(uint(30 * 86_400), v.minValue(1)),
});

/** A profile with the digest of its exact bytes: what events measure and challenges name. */
export interface LoadedProfile {
  readonly profile: Profile;
  readonly digest: Buffer;
}

/** One thing that is wrong with a profile file. `field` is the dotted path; empty where it is the file as a whole. */
export interface ProfileFault {
  readonly field: string;
  readonly message: string;
  /** In the file, from 1. */
  readonly line: number;
}

/** The file itself, or what lies in the folder. */
function isIn(path: string, folder: string | null): boolean {
  if (folder === null) return false;
  const [inside, outside] = [normalize(path), normalize(folder)];
  return inside === outside || inside.startsWith(outside.endsWith('/') ? outside : `${outside}/`);
}

/** What no single field shows: fields that contradict each other. */
function contradictions(profile: Profile): Omit<ProfileFault, 'line'>[] {
  const faults: Omit<ProfileFault, 'line'>[] = [];
  const fault = (field: string, message: string): void => {
    faults.push({ field, message });
  };
  if (profile.tpm.bootPcrs.includes(profile.tpm.eventPcr)) {
    fault(
      'tpm.eventPcr',
      'is also among tpm.bootPcrs: our events would change a value that must stay as the boot left it',
    );
  }
  if (profile.leaseSeconds <= profile.attestEverySeconds) {
    fault('leaseSeconds', 'not longer than attestEverySeconds: the lease would run out between two healthy results');
  }
  if (profile.breakGlassGid !== undefined && profile.slots.every((slot) => slot.breakGlass === undefined)) {
    fault('breakGlassGid', 'no slot has breakGlass: there is no glass to break');
  }
  for (const [index, slot] of profile.slots.entries()) {
    if (slot.breakGlass !== undefined && slot.onLeaseExpired === 'continue') {
      fault(`slots.${index}.breakGlass`, 'nothing to break: with onLeaseExpired continue the slot goes on by itself');
    }
    const { commitAfterSeconds: after, onLeaseExpired } = slot;
    if (onLeaseExpired === 'stop' && typeof after === 'number' && after >= profile.leaseSeconds) {
      fault(
        `slots.${index}.commitAfterSeconds`,
        'not shorter than leaseSeconds: the lease would run out, and roll the release back, before its trial ended',
      );
    }
    const program = slot.engine?.command[0];
    if (program !== undefined && !isIn(program, profile.runtime)) {
      fault(`slots.${index}.engine.command`, 'its program must lie in runtime: what makes engines is measured');
    }
    const paths = slot.configs.map((config) => config.path);
    if (new Set(paths).size !== paths.length) fault(`slots.${index}.configs`, 'names the same path twice');
    for (const [at, path] of paths.entries()) {
      const relative = !path.startsWith('/') || path.split('/').some((part) => part === '.' || part === '..');
      if (relative) fault(`slots.${index}.configs.${at}.path`, 'must be absolute, without . and ..');
    }
  }
  return faults;
}

/** What is wrong with a text that is no JSON, on its line as far as the parser knows it. */
function textFault(bytes: Uint8Array, error: WireError): ProfileFault {
  return { field: '', ...jsonFault(bytes, error) };
}

/** A parser's words for people who write profiles. */
function inWords({ type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (type === 'strict_object' && expected === 'never') return 'there is no such field';
  if (type === 'strict_object' && received === 'undefined') return 'is missing';
  if (type !== 'picklist' || expected === null) return message;
  return `must be ${expected.replaceAll(/[()]/g, '').replaceAll(' | ', ' or ')}, and is ${received}`;
}

/** Reads a profile and names everything that is wrong with it. Never throws, whatever the bytes are. */
export function inspectProfile(bytes: Uint8Array): { loaded: LoadedProfile } | { faults: ProfileFault[] } {
  let json: unknown;
  try {
    json = parseJsonStrict(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { faults: [textFault(bytes, error)] };
  }
  const parsed = v.safeParse(Profile, json);
  const faults = parsed.success
    ? contradictions(parsed.output)
    : parsed.issues.map((issue) => ({ field: v.getDotPath(issue) ?? '', message: inWords(issue) }));
  if (parsed.success && faults.length === 0) return { loaded: { profile: parsed.output, digest: sha256(bytes) } };
  const lines = jsonLines(fromUtf8(bytes));
  return { faults: faults.map((fault) => ({ ...fault, line: lineOf(lines, fault.field) })) };
}

/** Reads a profile from a file's bytes. Errors: ConfigError CONFIG_INVALID naming every bad field. */
export function loadProfile(bytes: Uint8Array, file: string): LoadedProfile {
  const read = inspectProfile(bytes);
  if ('loaded' in read) return read.loaded;
  const words = read.faults
    .slice(0, 8)
    .map(({ field, message, line }) => `line ${line}: ${field}${field === '' ? '' : ': '}${message}`);
  throw new ConfigError('CONFIG_INVALID', `${file}: ${words.join('; ')}`);
}

/** Event PCR and boot PCRs, ascending: what every challenge for this profile selects. */
export function quotedPcrs(profile: Profile): number[] {
  return [...profile.tpm.bootPcrs, profile.tpm.eventPcr].toSorted((a, b) => a - b);
}
