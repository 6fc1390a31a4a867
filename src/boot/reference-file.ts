// The owner's word on how devices of a profile boot, as a file: PCR values of each known boot, and the software that may measure.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { hexString, name, parseFile, text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { ConfigError, WireError } from '../errors.ts';

/** One boot that is as it should be: firmware, kernel and first file system of one version. */
export interface BootReference {
  /** For people: which version this is. */
  readonly name: string;
  /** Lower-case hex of the SHA-256 bank, by PCR. */
  readonly pcrs: Readonly<Record<string, string>>;
}

/** Components of cel/events.ts in hex. */
export interface ComponentReference {
  readonly agent: string;
  readonly node: string;
  readonly profile: string;
  readonly trust: string;
  readonly runtime: string | null;
  readonly gateMode: 'none' | 'kernel';
}

/** `references/<profile id>.json` of a controller. */
export interface BootReferenceFile {
  readonly v: 1;
  /** Profile id. */
  readonly profile: string;
  readonly bank: 'sha256';
  /**
   * The owner's word that these PCRs cover kernel, first file system, agent, gate and runtime: nothing that could lie runs
   * unmeasured. Without it no verdict is better than A1, whatever the PCRs are.
   */
  readonly coversAgent: boolean;
  /** Newest first. Each PCR may hold the value of any of them. */
  readonly boots: readonly BootReference[];
  /** Null: not pinned. */
  readonly components: readonly ComponentReference[] | null;
}

export const MAX_BOOTS = 16;

const digest = hexString(32);
const pcrName = v.pipe(v.string(), v.regex(/^(?:\d|1[0-5])$/, 'a PCR is 0 to 15'));

const bootReferenceFileShape: Shape<BootReferenceFile> = v.strictObject({
  v: v.literal(1),
  profile: name,
  bank: v.literal('sha256'),
  coversAgent: v.boolean(),
  boots: v.pipe(
    v.array(v.strictObject({ name: text(128), pcrs: v.record(pcrName, digest) })),
    v.minLength(1),
    v.maxLength(MAX_BOOTS),
  ),
  components: v.nullable(
    v.pipe(
      v.array(
        v.strictObject({
          agent: digest,
          node: digest,
          profile: digest,
          trust: digest,
          runtime: v.nullable(digest),
          gateMode: v.picklist(['none', 'kernel']),
        }),
      ),
      v.minLength(1),
      v.maxLength(MAX_BOOTS),
    ),
  ),
});

/** Errors: TouchstoneError CONFIG_INVALID naming every bad field. */
export function readBootReferenceFile(bytes: Uint8Array, file: string): BootReferenceFile {
  try {
    return parseFile(bootReferenceFileShape, parseJsonStrict(bytes), file, 'CONFIG_INVALID');
  } catch (cause) {
    if (cause instanceof WireError) throw new ConfigError('CONFIG_INVALID', `${file}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** For each of these PCRs that some boot names, its allowed values; one that none names is left out and so not judged. */
export function allowedPcrs(file: BootReferenceFile, pcrs: readonly number[]): Map<number, Set<string>> {
  const allowed = new Map<number, Set<string>>();
  for (const pcr of pcrs) {
    const values = file.boots.flatMap((boot) => boot.pcrs[String(pcr)] ?? []);
    if (values.length > 0) allowed.set(pcr, new Set(values));
  }
  return allowed;
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The first of each that is equal, at most `keep`. */
function newest<T>(items: readonly T[], keep: number, keyOf: (item: T) => unknown): T[] {
  return items
    .filter((item, at) => items.findIndex((other) => sameJson(keyOf(other), keyOf(item))) === at)
    .slice(0, keep);
}

/**
 * The new boot before those of `old`, at most `keep` of them: while a fleet is updated, the boots of N and N−1 are both right, and
 * the one before stops being so. Errors: ConfigError when the files are of different profiles.
 */
export function mergeReferences(old: BootReferenceFile, learned: BootReferenceFile, keep: number): BootReferenceFile {
  if (old.profile !== learned.profile) {
    throw new ConfigError('CONFIG_INVALID', `reference values of ${old.profile} are not of ${learned.profile}`);
  }
  const components = [...(learned.components ?? []), ...(old.components ?? [])];
  return {
    ...learned,
    // Both must cover the agent: the older boots stay allowed.
    coversAgent: learned.coversAgent && old.coversAgent,
    boots: newest([...learned.boots, ...old.boots], keep, ({ pcrs }) => Object.entries(pcrs)),
    components:
      learned.components === null || old.components === null ? null : newest(components, keep, Object.entries),
  };
}
