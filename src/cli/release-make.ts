// The publisher's half of `touchstone release`: make a release, make one that withdraws others.
import type { Command } from 'commander';
import { toHex } from '../bytes/text.ts';
import { TouchstoneError, WireError } from '../errors.ts';
import { HashPool } from '../files/hash-pool.ts';
import { compareVersions } from '../gate/version.ts';
import { listReleaseModel, makeRelease } from '../release/release-maker.ts';
import type { MadeRelease, PassportWords } from '../release/release-maker.ts';
import { makeWithdrawal } from '../release/publisher-withdrawal.ts';
import type { PassportAttestation } from '../release/types.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { interruptible } from './interrupt.ts';
import { readPrivateKey } from './keys.ts';
import { insideOf, modelPlace } from './models.ts';
import { cleanText, humanBytes, outputOf } from './output.ts';
import type { Json, Output } from './output.ts';
import { ProgressBar } from './progress.ts';
import { namedReleases } from './release-names.ts';

export interface MakeOptions {
  readonly key: string;
  readonly modelId: string;
  readonly releaseVersion: string;
  readonly securityVersion: number;
  readonly slotRole: string;
  readonly hardwareClass: readonly string[];
  readonly out: string;
  readonly minimumAgent: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly predecessor?: string;
  readonly withdraw?: readonly string[];
  readonly intendedUse?: string;
  readonly modelCard?: string;
  readonly healthCheck?: string;
  readonly attestation?: readonly string[];
  readonly pccpChangeId?: string;
  readonly link?: true;
}

export interface WithdrawOptions {
  readonly replacement: string;
  readonly key: string;
  readonly out: string;
  readonly securityVersion?: number;
  readonly releaseVersion?: string;
  readonly state?: string;
  readonly link?: true;
}

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

function assertSensible(options: MakeOptions, now: number): void {
  const { notBefore, notAfter, minimumAgent, predecessor } = options;
  if (notAfter !== undefined && notAfter < now) usage('--not-after is past: no device would install this release');
  if (notBefore !== undefined && notAfter !== undefined && notAfter < notBefore) {
    usage('--not-after is before --not-before: no device would ever install this release');
  }
  if (compareVersions(minimumAgent, minimumAgent) === null)
    usage(`--minimum-agent ${minimumAgent} is no version 1.2.3`);
  for (const id of [...(options.withdraw ?? []), ...(predecessor === undefined ? [] : [predecessor])]) {
    if (!/^[0-9a-f]{64}$/.test(id)) usage(`${id} is no release id: 64 hex digits, as release make and list print them`);
  }
}

async function attestationsOf(pairs: readonly string[], pool: HashPool): Promise<PassportAttestation[]> {
  return Promise.all(
    pairs.map(async (pair) => {
      const [, type, file] = /^([^=]+)=(.+)$/su.exec(pair) ?? [];
      if (type === undefined || file === undefined) {
        return usage(
          `--attestation ${pair} is not TYPE=FILE, for example https://slsa.dev/provenance/v1=provenance.json`,
        );
      }
      return { type, digest: toHex((await pool.hashFile(file)).sha256) };
    }),
  );
}

async function wordsOf(options: MakeOptions, pool: HashPool): Promise<PassportWords> {
  const { modelId, securityVersion, slotRole, hardwareClass, minimumAgent, healthCheck, pccpChangeId } = options;
  const attestations = await attestationsOf(options.attestation ?? [], pool);
  return {
    modelId,
    version: options.releaseVersion,
    securityVersion,
    slotRole,
    hardwareClass: [...new Set(hardwareClass)],
    minimumAgent,
    notBefore: options.notBefore ?? null,
    notAfter: options.notAfter ?? null,
    predecessor: options.predecessor ?? null,
    withdraws: [...new Set(options.withdraw ?? [])],
    intendedUse: options.intendedUse ?? null,
    modelCard: options.modelCard ?? null,
    ...(healthCheck === undefined ? {} : { healthCheck }),
    ...(attestations.length === 0 ? {} : { attestations }),
    ...(pccpChangeId === undefined ? {} : { pccpChangeId }),
  };
}

/** What the shape of a passport refuses was typed by a person. */
async function asTyped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WireError && error.field.startsWith('passport'))
      return usage(`the passport: ${error.message}`);
    throw error;
  }
}

function show(output: Output, made: MadeRelease, out: string, next: string): void {
  const { release, entries } = made;
  const { passport } = release;
  const bytes = entries.reduce((sum, entry) => sum + entry.size, 0);
  const document: Json = {
    release: release.id,
    dir: out,
    signedBy: release.signedBy,
    files: entries.length,
    bytes,
    next,
    passport: { ...passport, hardwareClass: [...passport.hardwareClass] } as unknown as Json,
  };
  output.result(document, () =>
    [
      output.paint('green', `made release ${release.id}`),
      `  ${cleanText(passport.modelId)} ${cleanText(passport.version)}, security version ${passport.securityVersion}, for ${passport.slotRole} on ${passport.hardwareClass.join(', ')}`,
      `  ${entries.length} files, ${humanBytes(bytes)}, signed by key ${release.signedBy}`,
      ...passport.withdraws.map((id) => `  withdraws ${id}`),
      `  in ${cleanText(out)}`,
      '',
      `Next: ${cleanText(next)}`,
    ].join('\n'),
  );
}

/** `touchstone release make`. */
export async function make(asGiven: string, options: MakeOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  assertSensible(options, Date.now());
  const { model, isFolder } = await modelPlace(asGiven, undefined);
  if (isFolder && insideOf(model, options.key) !== null) {
    usage(`the key ${options.key} lies inside of the model and would be shipped with it`);
  }
  const key = await readPrivateKey(options.key, output.note);
  await using pool = new HashPool();
  const made = await interruptible(async (signal) => {
    const words = await wordsOf(options, pool);
    const listed = await listReleaseModel(model, signal);
    const bytes = listed.files.reduce((sum, file) => sum + file.size, 0);
    using bar = new ProgressBar({ label: 'copying and hashing', total: 2 * bytes });
    const onProgress = (more: number): void => {
      bar.advance(more);
    };
    const { out, link = false } = options;
    return asTyped(async () => makeRelease(listed, { model, out, key, words, pool, link, onProgress, signal }));
  });
  if (options.withdraw !== undefined) {
    output.note(
      'a withdrawal holds for good only where --security-version is above that of the withdrawn: an older disk forgets it',
    );
  }
  show(output, made, options.out, `touchstone release add ${options.out} --state CONTROLLER_STATE`);
}

/** `touchstone release withdraw`. */
export async function withdraw(names: readonly string[], options: WithdrawOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { replacement, out, link = false } = options;
  const named = await namedReleases(names, options.state ?? null);
  const highest = named.reduce((max, one) => Math.max(max, one.securityVersion ?? -1), -1);
  const unknown = named.find((one) => one.securityVersion === null);
  if (unknown !== undefined && options.securityVersion === undefined) {
    usage(`nothing is known of ${unknown.id}: give --state, its folder, or --security-version`);
  }
  const key = await readPrivateKey(options.key, output.note);
  await using pool = new HashPool();
  using bar = new ProgressBar({ label: 'verifying and copying' });
  const result = await interruptible(async (signal) =>
    asTyped(async () =>
      makeWithdrawal({
        replacement,
        out,
        key,
        pool,
        link,
        signal,
        onProgress: (more) => {
          bar.advance(more);
        },
        words: ({ id, passport }) => {
          if (named.some((one) => one.id === id)) usage(`the replacement ${id} is itself to be withdrawn`);
          const other = named.find((one) => one.modelId !== null && one.modelId !== passport.modelId);
          if (other !== undefined) {
            usage(`${other.id} is of model ${other.modelId}: a release of ${passport.modelId} cannot withdraw it`);
          }
          const { v: _v, crit: _crit, statementDigest: _s, manifestDigest: _m, ...old } = passport;
          return {
            ...old,
            version: options.releaseVersion ?? old.version,
            securityVersion: options.securityVersion ?? Math.max(highest + 1, old.securityVersion),
            predecessor: id,
            withdraws: [...new Set([...old.withdraws, ...named.map((one) => one.id)])],
          };
        },
      }),
    ),
  );
  if (!result.ok) {
    process.exitCode = EXIT.against;
    output.result({ release: null, findings: findingDocuments(result.findings) }, () =>
      [
        output.paint(
          'red',
          `nothing made: the replacement ${cleanText(replacement)} is not one of this key's good releases`,
        ),
        ...findingLines(output, result.findings),
      ].join('\n'),
    );
    return;
  }
  const { securityVersion } = result.made.release.passport;
  if (securityVersion <= highest) {
    output.note(
      `security version ${securityVersion} is not above the withdrawn ${highest}: who restores a device's older disk makes it forget this withdrawal`,
    );
  }
  show(output, result.made, out, `touchstone release add ${out} --state ${options.state ?? 'CONTROLLER_STATE'}`);
}
