// `touchstone verify`: is this model exactly what the holder of a key, or of a certificate, signed.
import { readFile } from 'node:fs/promises';
import type { X509Certificate } from 'node:crypto';
import { Command } from 'commander';
import { ConfigError, TouchstoneError } from '../errors.ts';
import type { ModelJudgement, SignerTrust } from '../release/model-verifier.ts';
import { EXIT } from './exit.ts';
import { cleanText, humanBytes, outputOf } from './output.ts';
import type { Output } from './output.ts';
import { ProgressBar } from './progress.ts';

interface VerifyOptions {
  readonly signature?: string;
  readonly key?: string;
  readonly certificateChain?: readonly string[];
  readonly ignoreUnsignedFiles?: true;
}

const SHOWN_PATHS = 20;

async function readCertificates(files: readonly string[]): Promise<X509Certificate[]> {
  const { certificatesOf } = await import('../crypto/ek-certificate.ts');
  const all: X509Certificate[] = [];
  for (const file of files) {
    const pem = await readFile(file, 'latin1').catch((cause: unknown) => {
      throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
    });
    const { certificates, broken } = certificatesOf(pem);
    if (certificates.length === 0 || broken > 0) {
      throw new ConfigError('CONFIG_INVALID', `${file}: must hold X.509 certificates in PEM and nothing broken`);
    }
    all.push(...certificates);
  }
  return all;
}

async function trustOf({ key, certificateChain }: VerifyOptions): Promise<SignerTrust> {
  if ((key === undefined) === (certificateChain === undefined)) {
    throw new TouchstoneError(
      'USAGE',
      'say whom you trust: --key PUB, or --certificate-chain PEM… (never the roots of the operating system)',
    );
  }
  if (key !== undefined) return { method: 'key', key: await (await import('./keys.ts')).readPublicKey(key) };
  return { method: 'certificate', given: await readCertificates(certificateChain ?? []), now: Date.now() };
}

function listPaths(output: Output, title: string, paths: readonly string[]): void {
  if (paths.length === 0) return;
  output.note(`${title}:`);
  for (const path of paths.slice(0, SHOWN_PATHS)) output.note(`  ${cleanText(path)}`);
  if (paths.length > SHOWN_PATHS) output.note(`  and ${paths.length - SHOWN_PATHS} more`);
}

function signerLines({ signer }: ModelJudgement): string[] {
  const [leaf, ...above] = signer.path;
  if (leaf === undefined) return [`  signed by key ${signer.keyId ?? 'unknown'}`];
  return [
    `  signed by ${cleanText(leaf.subject)}, certificate ${leaf.sha256}`,
    ...above.map((one) => `  vouched for by ${cleanText(one.subject)}`),
  ];
}

async function verify(asGiven: string, options: VerifyOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const trust = await trustOf(options);
  const [{ HashPool }, { verifyModel }, { readBounded, SIGNATURE_FILE_BYTES }, { modelPlace }] = await Promise.all([
    import('../files/hash-pool.ts'),
    import('../release/model-verifier.ts'),
    import('../release/release-folder.ts'),
    import('./models.ts'),
  ]);
  const { interruptible } = await import('./interrupt.ts');
  const { findingDocuments, findingLines } = await import('./findings.ts');
  const { model, signature, signatureInside } = await modelPlace(asGiven, options.signature);
  const bytes = await readBounded(signature, SIGNATURE_FILE_BYTES);
  await using pool = new HashPool();
  using bar = new ProgressBar({ label: 'verifying' });
  const judged = await interruptible(async (signal) =>
    verifyModel({
      model,
      signature: bytes,
      signaturePath: signatureInside,
      trust,
      surplusAllowed: options.ignoreUnsignedFiles ?? false,
      pool,
      signal,
      onListed: (total) => {
        bar.setTotal(total);
      },
      onProgress: (more) => {
        bar.advance(more);
      },
    }),
  );
  bar[Symbol.dispose]();
  const trusted = judged.findings.length === 0;
  if (!trusted) process.exitCode = EXIT.against;
  listPaths(output, 'left out by the signer, so anybody may have changed it', judged.ignored);
  listPaths(output, 'not signed', judged.unsigned);
  const { signer, statementDigest, files, ignored, unsigned } = judged;
  const document = {
    model,
    signature,
    trusted,
    method: trust.method,
    signer: { keyId: signer.keyId, certificates: signer.path.map((one) => ({ ...one })) },
    statementDigest,
    files,
    bytes: judged.bytes,
    ignored: [...ignored],
    unsigned: [...unsigned],
    findings: findingDocuments(judged.findings),
  };
  output.result(document, () =>
    trusted
      ? [
          output.paint('green', `${cleanText(asGiven)}: as signed, ${files} files, ${humanBytes(judged.bytes)}`),
          ...signerLines(judged),
        ].join('\n')
      : [
          output.paint('red', `${cleanText(asGiven)}: not to be trusted`),
          ...findingLines(output, judged.findings),
        ].join('\n'),
  );
}

/** `touchstone verify`. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('verify a signed model (OpenSSF Model Signing v1.0)')
    .argument('<model>', 'folder or file')
    .option('--signature <file>', 'the signature (default: model.sig in the folder or beside the file)')
    .option('--key <file>', "the signer's public key, PEM")
    .option('--certificate-chain <pem...>', 'root and intermediate certificates that you trust')
    .option('--ignore-unsigned-files', 'files that nobody signed are no fault')
    .addHelpText(
      'after',
      `
Exit code 0: every byte is as signed, and there is no other file. 1: not to be trusted, with each broken rule. Of the given
certificates those that signed themselves are roots; the roots of the operating system are never used, and a certificate
out of its validity is refused. Symbolic links are never followed.

Examples:
  touchstone verify models/detector --key publisher.pub.pem
  touchstone verify models/detector --certificate-chain root.pem intermediate.pem`,
    )
    .action(async (model: string, options: VerifyOptions, self: Command) => verify(model, options, self));
}
