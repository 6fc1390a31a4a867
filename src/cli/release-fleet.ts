// The fleet's half of `touchstone release`: take releases in, list what is there.
import { dayText } from '../bytes/text.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { STATE_FILES } from '../controller/settings.ts';
import { ConfigError } from '../errors.ts';
import { HashPool } from '../files/hash-pool.ts';
import { addRelease, listReleases } from '../release/publisher-releases.ts';
import type { ListedRelease } from '../release/publisher-releases.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import { EXIT } from './exit.ts';
import { findingDocuments, findingLines } from './findings.ts';
import { interruptible } from './interrupt.ts';
import { cleanText, outputOf, table } from './output.ts';
import { adviceOn } from './release-advice.ts';
import type { Json } from './output.ts';
import { ProgressBar } from './progress.ts';

export interface AddOptions {
  readonly state: string;
  readonly link?: true;
}

export interface ListOptions {
  readonly state: string;
}

async function read(state: string, name: string): Promise<Buffer> {
  return readFile(join(state, name)).catch((cause: unknown) => {
    throw new ConfigError(
      'CONFIG_MISSING',
      `cannot read ${join(state, name)}: is ${state} the state directory of a controller?`,
      { cause },
    );
  });
}

/** What the root says to the controller of this state directory. Errors: ConfigError. */
export async function trustOf(state: string): Promise<Trust> {
  const [fleet, root] = await Promise.all([read(state, STATE_FILES.fleet), read(state, STATE_FILES.root)]);
  return loadTrust(fleet, root, Date.now(), 0);
}

/** `touchstone release add`. */
export async function add(from: string, options: AddOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const trust = await trustOf(options.state);
  const releases = join(options.state, STATE_FILES.releases);
  await using pool = new HashPool();
  using bar = new ProgressBar({ label: 'verifying and copying' });
  const onProgress = (more: number): void => {
    bar.advance(more);
  };
  const added = await interruptible(async (signal) =>
    addRelease({ from, releases, trust, pool, link: options.link ?? false, onProgress, signal }),
  );
  if (!added.ok) {
    process.exitCode = EXIT.against;
    output.result({ release: null, from, state: 'refused', findings: findingDocuments(added.findings) }, () =>
      [output.paint('red', `refused: ${cleanText(from)}`), ...findingLines(output, added.findings)].join('\n'),
    );
    return;
  }
  const { release, folder, state } = added;
  const { modelId, version, securityVersion } = release.passport;
  const next = `touchstone upgrade DEVICE --release ${release.id}`;
  const advice = await adviceOn(release, folder, options.state, await listReleases(releases, trust));
  for (const sentence of advice) output.note(cleanText(sentence));
  output.result(
    { release: release.id, from, state, folder, modelId, version, securityVersion, findings: [], advice, next },
    () =>
      [
        output.paint('green', `${state}: release ${release.id}`),
        `  ${cleanText(modelId)} ${cleanText(version)}, security version ${securityVersion}, signed by key ${release.signedBy}`,
        `  in ${cleanText(folder)}`,
        '',
        `Next: ${next}`,
      ].join('\n'),
  );
}

function documentOf({ folder, opened, withdrawnBy }: ListedRelease): Json {
  if (!opened.ok) return { folder, usable: false, findings: findingDocuments(opened.findings) };
  const { id, passport, signedBy } = opened.release;
  const { modelId, version, securityVersion, slotRole, hardwareClass, notBefore, notAfter, predecessor } = passport;
  return {
    folder,
    usable: withdrawnBy === null,
    release: id,
    modelId,
    version,
    securityVersion,
    slotRole,
    hardwareClass: [...hardwareClass],
    notBefore,
    notAfter,
    predecessor,
    withdraws: [...passport.withdraws],
    withdrawnBy,
    signedBy,
    findings: [],
  };
}

function standing({ opened, withdrawnBy }: ListedRelease, now: number): string {
  if (!opened.ok) return `refused: ${[...new Set(opened.findings.map((one) => one.rule))].join(', ')}`;
  const { notBefore, notAfter } = opened.release.passport;
  if (withdrawnBy !== null) return `withdrawn by ${withdrawnBy.slice(0, 12)}…`;
  if (notAfter !== null && notAfter < now) return `expired ${dayText(notAfter)}`;
  if (notBefore !== null && notBefore > now) return `from ${dayText(notBefore)}`;
  return 'usable';
}

/** `touchstone release list`. */
export async function list(options: ListOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const listed = await listReleases(join(options.state, STATE_FILES.releases), await trustOf(options.state));
  const now = Date.now();
  output.result({ releases: listed.map((one) => documentOf(one)) }, () => {
    if (listed.length === 0) return 'no releases yet; add one with: touchstone release add RELEASE';
    const rows = listed.map((one) => {
      const state = standing(one, now);
      const shown = output.paint(state === 'usable' ? 'green' : one.opened.ok ? 'yellow' : 'red', state);
      if (!one.opened.ok) return [cleanText(one.folder), '', '', '', '', shown];
      const { id, passport } = one.opened.release;
      const { modelId, version, securityVersion, slotRole, hardwareClass } = passport;
      return [
        id,
        `${cleanText(modelId)} ${cleanText(version)}`,
        String(securityVersion),
        slotRole,
        hardwareClass.join(', '),
        shown,
      ];
    });
    return table(['release', 'model', 'security', 'role', 'hardware', 'state'], rows);
  });
}
