// The statement of an OpenSSF Model Signing v1.0 signature: which files, hashed how. Read strictly, judged as a whole.
import { hexString, parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import type { JsonLimits } from '../bytes/json-strict.ts';
import { fromHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { groupResources } from './oms-resources.ts';
import type { OmsFile, OmsResource, OmsSerialization } from './oms-types.ts';
import { orFault } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';

export const IN_TOTO_STATEMENT = 'https://in-toto.io/Statement/v1';
export const IN_TOTO_TYPE = 'application/vnd.in-toto+json';
/** What we write. Every v1.x is read (spec VERSIONING.md). */
export const OMS_PREDICATE = 'https://model_signing/signature/v1.0';
const OMS_PREDICATE_V1 = /^https:\/\/model_signing\/signature\/v1\.\d{1,4}$/;

/** A model of 100,000 files has a statement of about 20 MB. */
export const STATEMENT_LIMITS: JsonLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxDepth: 16,
};

export interface OmsStatement {
  /** Exact bytes that were signed. */
  readonly payload: Buffer;
  /** SHA-256 of `payload`: it binds names and bounds, which the root digest does not. */
  readonly digest: Buffer;
  readonly subject: { readonly name: string; readonly sha256: string };
  readonly resources: readonly OmsResource[];
  readonly serialization: OmsSerialization;
  readonly files: readonly OmsFile[];
}

interface Wire {
  readonly _type: string;
  readonly subject: readonly { readonly name?: string | undefined; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: { readonly resources: readonly OmsResource[]; readonly serialization: OmsSerialization };
}

const path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096 + 64));

const shape: Shape<Wire> = v.object({
  _type: v.literal(IN_TOTO_STATEMENT),
  subject: v.pipe(
    v.array(v.object({ name: v.exactOptional(v.string()), digest: v.object({ sha256: hexString(32) }) })),
    v.length(1),
  ),
  predicateType: v.pipe(v.string(), v.regex(OMS_PREDICATE_V1, `not ${OMS_PREDICATE} or a later 1.x`)),
  predicate: v.strictObject({
    // Fields beyond these three are allowed in a resource and mean nothing (predicate schema v1.0).
    resources: v.pipe(
      v.array(
        v.object({
          name: path,
          digest: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2}){16,64}$/, 'not lower-case hex of a digest')),
          algorithm: v.pipe(v.string(), v.maxLength(64)),
        }),
      ),
      v.minLength(1, 'names no file'),
      v.maxLength(500_000),
    ),
    serialization: v.strictObject({
      method: v.picklist(['files', 'shards']),
      hash_type: v.pipe(v.string(), v.maxLength(64)),
      // The reference tool writes 8.0 for 8: the same number in JSON.
      shard_size: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
      allow_symlinks: v.boolean(),
      ignore_paths: v.exactOptional(v.pipe(v.array(v.string()), v.maxLength(10_000))),
    }),
  }),
});

/** SHA-256 over the raw digests in the order of the statement (OMS v1.0, root digest): always SHA-256. */
export function rootDigest(resources: readonly OmsResource[]): Buffer {
  return sha256(Buffer.concat(resources.map((resource) => fromHex(resource.digest))));
}

/** Reads the exact bytes that a signature covered. Never throws, whatever they are. */
export function readStatement(payload: Uint8Array): { statement: OmsStatement } | { faults: ReleaseFault[] } {
  const read = orFault('release-malformed', 'model statement', () =>
    parseShape(shape, parseJsonStrict(payload, STATEMENT_LIMITS), 'statement'),
  );
  if ('fault' in read) return { faults: [read.fault] };
  const { subject, predicate } = read.value;
  const { resources, serialization } = predicate;
  const grouped = groupResources(resources, serialization);
  const faults = [...grouped.faults];
  const root = rootDigest(resources).toString('hex');
  const [only] = subject;
  const said = only?.digest.sha256 ?? '';
  if (said !== root) {
    faults.push({
      rule: 'release-statement',
      expected: `subject digest ${root}, computed from the resources`,
      found: said,
    });
  }
  if (faults.length > 0) return { faults };
  return {
    statement: {
      payload: Buffer.from(payload),
      digest: sha256(payload),
      subject: { name: only?.name ?? '', sha256: said },
      resources,
      serialization,
      files: grouped.files,
    },
  };
}
