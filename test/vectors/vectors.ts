// Reads the golden vectors: what version 1 looks like on the wire, for ever. A vector is added, never edited.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A message in CBOR with the value it stands for; bytes in `value` are written `h'…'`. */
export interface CborVector {
  readonly rule: string;
  readonly value: unknown;
  readonly hex: string;
  /** Of a challenge: the key of its MAC. */
  readonly macKey?: string;
}

/** A signed statement: exact payload, envelope, and who signed it. */
export interface SignedVector {
  readonly rule: string;
  readonly value: unknown;
  readonly payload: string;
  readonly envelope: string;
  readonly keyId: string;
  readonly publicPem: string;
}

export const vectorNames: readonly string[] = globSync('*.json', { cwd: import.meta.dirname })
  .map((file) => basename(file, '.json'))
  .toSorted();

function asValue(_: string, value: unknown): unknown {
  const bytes = typeof value === 'string' ? /^h'([0-9a-f]*)'$/.exec(value)?.[1] : undefined;
  return bytes === undefined ? value : new Uint8Array(Buffer.from(bytes, 'hex'));
}

/** The vector of this name, with bytes as bytes. */
export function vector(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8'), asValue);
}

function withRule(rules: readonly string[]): string[] {
  return vectorNames.filter((name) => rules.includes(String((vector(name) as { rule?: string }).rule)));
}

export const SIGNED_RULES = ['result', 'command', 'instruction', 'endorsement'] as const;
export const signedNames: readonly string[] = withRule(SIGNED_RULES);
export const cborNames: readonly string[] = vectorNames.filter((name) => {
  const { rule, value, hex } = vector(name) as Partial<CborVector>;
  return rule !== undefined && value !== undefined && hex !== undefined;
});

export const cborVector = (name: string): CborVector => vector(name) as CborVector;
export const signedVector = (name: string): SignedVector => vector(name) as SignedVector;
