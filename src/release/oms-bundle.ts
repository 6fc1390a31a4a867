// The file model.sig: a Sigstore bundle v0.3 around a DSSE envelope (OpenSSF Model Signing v1.0, clauses 4 and 9).
import { parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { fromBase64, toBase64, toUtf8 } from '../bytes/text.ts';
import { WireError } from '../errors.ts';
import { IN_TOTO_TYPE, STATEMENT_LIMITS } from './oms-statement.ts';
import { orFault } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** How the signature is to be checked. `hint` says which key signed: SHA-256 of its PEM text, or null. */
export type SigningMethod =
  | { readonly method: 'key'; readonly hint: string | null }
  /** DER, leaf first. */
  | { readonly method: 'certificate'; readonly chain: readonly Buffer[] }
  | { readonly method: 'sigstore' };

export interface OmsBundle {
  readonly signing: SigningMethod;
  /** Exact bytes of the statement: not to be believed before the signature over them has been checked. */
  readonly payload: Buffer;
  /** DER ECDSA over PAE(payload type, payload). */
  readonly signature: Buffer;
}

interface Wire {
  readonly mediaType: string;
  readonly verificationMaterial: {
    readonly publicKey?: { readonly hint?: string | undefined } | undefined;
    readonly x509CertificateChain?: { readonly certificates: readonly { readonly rawBytes: string }[] } | undefined;
    readonly certificate?: unknown;
    readonly tlogEntries?: readonly unknown[] | undefined;
    readonly timestampVerificationData?: unknown;
  };
  readonly dsseEnvelope: {
    readonly payload: string;
    readonly payloadType: string;
    readonly signatures: readonly { readonly sig: string; readonly keyid?: string | null | undefined }[];
  };
}

const certificates = v.pipe(
  v.array(v.strictObject({ rawBytes: v.pipe(v.string(), v.maxLength(32_768)) })),
  v.minLength(1),
  v.maxLength(8),
);

const shape: Shape<Wire> = v.strictObject({
  mediaType: v.literal(BUNDLE_TYPE),
  verificationMaterial: v.strictObject({
    publicKey: v.optional(v.strictObject({ hint: v.optional(v.pipe(v.string(), v.maxLength(256))) })),
    x509CertificateChain: v.optional(v.strictObject({ certificates })),
    certificate: v.optional(v.unknown()),
    // Empty, absent or filled: only the keyless method gives them a meaning.
    tlogEntries: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(64))),
    timestampVerificationData: v.optional(v.unknown()),
  }),
  dsseEnvelope: v.strictObject({
    payload: v.string(),
    payloadType: v.literal(IN_TOTO_TYPE),
    // The bundle format wants exactly one, so that nobody has to say which of them counted.
    signatures: v.pipe(
      v.array(
        v.strictObject({
          sig: v.pipe(v.string(), v.maxLength(512)),
          keyid: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(256)))),
        }),
      ),
      v.length(1),
    ),
  }),
});

function methodOf(material: Wire['verificationMaterial']): SigningMethod {
  const { publicKey, x509CertificateChain: chain, certificate } = material;
  const given = [publicKey, chain, certificate].filter((one) => one !== undefined).length;
  if (given !== 1) {
    throw new WireError('WIRE_MALFORMED', `${given} kinds of verification material, must be one`, {
      field: 'bundle.verificationMaterial',
      offset: 0,
    });
  }
  if (publicKey !== undefined) return { method: 'key', hint: publicKey.hint ?? null };
  if (chain === undefined) return { method: 'sigstore' };
  return { method: 'certificate', chain: chain.certificates.map(({ rawBytes }) => fromBase64(rawBytes)) };
}

/** Reads the bytes of a model.sig. Never throws, whatever they are. Nothing in the result is trusted yet. */
export function readBundle(bytes: Uint8Array): { bundle: OmsBundle } | { faults: ReleaseFault[] } {
  const read = orFault('release-malformed', 'model signature', () => {
    const wire = parseShape(
      shape,
      parseJsonStrict(bytes, { ...STATEMENT_LIMITS, maxBytes: 96 * 1024 * 1024 }),
      'bundle',
    );
    const { payload, signatures } = wire.dsseEnvelope;
    return {
      signing: methodOf(wire.verificationMaterial),
      payload: fromBase64(payload),
      signature: fromBase64(signatures[0]?.sig ?? ''),
    };
  });
  return 'fault' in read ? { faults: [read.fault] } : { bundle: read.value };
}

/** A model.sig in key mode, as the reference tool writes it. */
export function encodeBundle(payload: Uint8Array, signature: Uint8Array, hint: string): Buffer {
  return toUtf8(
    JSON.stringify({
      mediaType: BUNDLE_TYPE,
      verificationMaterial: { publicKey: { hint }, tlogEntries: [] },
      dsseEnvelope: {
        payload: toBase64(payload),
        payloadType: IN_TOTO_TYPE,
        signatures: [{ sig: toBase64(signature), keyid: '' }],
      },
    }),
  );
}
