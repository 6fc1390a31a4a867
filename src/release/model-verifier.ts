// Verifies a signed model as any OpenSSF Model Signing tool would: by one key or by certificates, without a fleet.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { pae } from '../crypto/dsse.ts';
import { keyId, verifyEcdsa } from '../crypto/ecdsa.ts';
import { checkSigningChain } from '../crypto/signing-chain.ts';
import type { ChainFault } from '../crypto/chain-checks.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { Finding } from '../rules/finding.ts';
import type { ReleaseRuleId } from '../rules/release-rules.ts';
import { checkFiles, readingIn } from './check-files.ts';
import { toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { DEFAULT_IGNORES, ignoring, listModel } from './model-files.ts';
import { readBundle } from './oms-bundle.ts';
import type { OmsBundle } from './oms-bundle.ts';
import { IN_TOTO_TYPE, readStatement } from './oms-statement.ts';
import { keyHint } from './open.ts';

/** Whom the caller believes. */
export type SignerTrust =
  | { readonly method: 'key'; readonly key: KeyObject }
  /** Roots and intermediates; `now` in ms: every certificate must be in its validity. */
  | { readonly method: 'certificate'; readonly given: readonly X509Certificate[]; readonly now: number };

export interface VerifyModelOptions {
  /** The model: a folder or a file. */
  readonly model: string;
  /** Bytes of model.sig; null where there is none. */
  readonly signature: Uint8Array | null;
  /** Path of the signature relative to the model, where it lies inside: it does not sign itself. */
  readonly signaturePath: string | null;
  readonly trust: SignerTrust;
  /** Files that nobody signed are no fault. */
  readonly surplusAllowed: boolean;
  readonly pool: HashPool;
  readonly onListed?: (bytes: number) => void;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface ModelJudgement {
  readonly findings: readonly Finding[];
  /** Who signed, as far as it was found out; key id or certificates, leaf first. */
  readonly signer: {
    readonly keyId: string | null;
    readonly path: readonly { readonly subject: string; readonly sha256: string }[];
  };
  /** SHA-256 of the statement, hex; null where no signature over it holds. */
  readonly statementDigest: string | null;
  readonly files: number;
  readonly bytes: number;
  /** Paths that the signer left out, beyond what every signer leaves out. */
  readonly ignored: readonly string[];
  /** Files that are there and not signed, where that was allowed; or that shards cannot name, because they are empty. */
  readonly unsigned: readonly string[];
}

const CHAIN_RULES: Readonly<Record<ChainFault['kind'], ReleaseRuleId>> = {
  chain: 'release-certificate-chain',
  validity: 'release-certificate-validity',
  purpose: 'release-certificate-purpose',
};

interface Signer {
  readonly faults: readonly ReleaseFault[];
  readonly signer: ModelJudgement['signer'];
}

function signedByKey({ signing, payload, signature }: OmsBundle, key: KeyObject): Signer {
  const id = keyId(key);
  const signer = { keyId: id, path: [] };
  if (signing.method !== 'key') {
    const fault: ReleaseFault = {
      rule: 'release-signing-method',
      expected: `a signature of key ${id}`,
      found: signing.method,
    };
    return { faults: [fault], signer };
  }
  // As the reference tool does: a signature that names another key is not this key's, whoever can be shown to have made it.
  const named = signing.hint !== null && signing.hint !== keyHint(key);
  if (!named && verifyEcdsa(key, pae(IN_TOTO_TYPE, payload), signature)) return { faults: [], signer };
  const fault: ReleaseFault = named
    ? { rule: 'release-signer', expected: `signed with the key of hint ${keyHint(key)}`, found: `hint ${signing.hint}` }
    : { rule: 'release-signature', expected: `the signature of key ${id}`, found: 'not valid' };
  return { faults: [fault], signer };
}

function signedByCertificate(
  { signing, payload, signature }: OmsBundle,
  trust: Extract<SignerTrust, { method: 'certificate' }>,
): Signer {
  if (signing.method !== 'certificate') {
    const expected = 'a signature with a certificate chain';
    const fault: ReleaseFault = { rule: 'release-signing-method', expected, found: signing.method };
    return { faults: [fault], signer: { keyId: null, path: [] } };
  }
  const { faults: links, key, path } = checkSigningChain(signing.chain, trust.given, trust.now);
  const faults: ReleaseFault[] = links.map(({ kind, expected, found }) => ({
    rule: CHAIN_RULES[kind],
    expected,
    found,
  }));
  if (key !== null && !verifyEcdsa(key, pae(IN_TOTO_TYPE, payload), signature)) {
    const expected = `the signature of ${path[0]?.subject ?? 'the certificate'}`;
    faults.push({ rule: 'release-signature', expected, found: 'not valid' });
  }
  return { faults, signer: { keyId: key === null ? null : keyId(key), path } };
}

/**
 * Judges a model: signature first, then what it says, then every byte. Symbolic links are never followed, whatever the signer
 * recorded. Errors: ReleaseError where the model cannot be listed; MeasureError; the signal's reason.
 */
export async function verifyModel(options: VerifyModelOptions): Promise<ModelJudgement> {
  const { model, trust, signal } = options;
  const nothing = { statementDigest: null, files: 0, bytes: 0, ignored: [], unsigned: [] };
  const refuse = (faults: readonly ReleaseFault[], signer: ModelJudgement['signer']): ModelJudgement => ({
    ...nothing,
    signer,
    findings: faults.map((fault) => toFinding(fault, 'model', signer.keyId ?? 'you')),
  });
  const nobody = { keyId: null, path: [] };
  if (options.signature === null) {
    return refuse([{ rule: 'release-unsigned', expected: 'a model signature (model.sig)', found: 'nothing' }], nobody);
  }
  const read = readBundle(options.signature);
  if ('faults' in read) return refuse(read.faults, nobody);
  const { bundle } = read;
  const { faults: signerFaults, signer } =
    trust.method === 'key' ? signedByKey(bundle, trust.key) : signedByCertificate(bundle, trust);
  if (signerFaults.length > 0) return refuse(signerFaults, signer);
  const said = readStatement(bundle.payload);
  if ('faults' in said) return refuse(said.faults, signer);

  const { statement } = said;
  const usual = new Set([...DEFAULT_IGNORES, ...(options.signaturePath === null ? [] : [options.signaturePath])]);
  const recorded = statement.serialization.ignore_paths ?? [];
  const listed = await listModel(model, ignoring([...usual, ...recorded]), signal);
  options.onListed?.(listed.files.reduce((sum, file) => sum + file.size, 0));
  const checked = await checkFiles(listed, statement, {
    read: readingIn(listed.folder, options.pool),
    withManifest: false,
    surplusAllowed: options.surplusAllowed,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  const signed = new Set(statement.files.map((file) => (file.path === '.' ? listed.name : file.path)));
  const found = listed.files.filter((file) => signed.has(file.path));
  const unsigned = listed.files.filter((file) => !signed.has(file.path)).map((file) => file.path);
  return {
    findings: checked.faults.map((fault) => toFinding(fault, 'model', signer.keyId ?? 'you')),
    signer,
    statementDigest: statement.digest.toString('hex'),
    files: found.length,
    bytes: found.reduce((sum, file) => sum + file.size, 0),
    ignored: recorded.filter((path) => !usual.has(path) && path !== 'model.sig'),
    unsigned: options.surplusAllowed ? unsigned : checked.unseen,
  };
}
