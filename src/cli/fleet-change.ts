// `touchstone fleet rotate|revoke`: the next root statement, made and signed by the first of its holders.
import type { KeyObject } from 'node:crypto';
import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { keyId, publicPem } from '../crypto/ecdsa.ts';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { encodeRootFile } from '../release/root-chain.ts';
import { nextRoot, proposalAfter, rolesOf } from '../release/root-change.ts';
import type { RootChange } from '../release/root-change.ts';
import { keysOf, rootKeyOf, signRoot } from '../release/root-keys.ts';
import { rootSigners } from '../release/root-link.ts';
import type { RootKey, RootStatement } from '../release/types.ts';
import { trustIn } from './fleet-folder.ts';
import { showProposal } from './fleet-root.ts';
import type { FleetPlace } from './fleet-root.ts';
import { readPrivateKey, readPublicKey } from './keys.ts';
import { outputOf } from './output.ts';

interface ChangeOptions extends FleetPlace {
  readonly key: readonly string[];
  readonly out: string;
  readonly expiresDays: number;
}

export interface RotateOptions extends ChangeOptions {
  readonly rootKey?: readonly string[];
  readonly threshold?: number;
  readonly publisher?: readonly string[];
  readonly releaseThreshold?: readonly string[];
  readonly floorKey?: readonly string[];
  readonly escrowKey?: string;
  readonly stationKey?: readonly string[];
  readonly operatorKey?: readonly string[];
  readonly resultKey?: readonly string[];
}

export interface RevokeOptions extends ChangeOptions {
  readonly reason: string;
}

const DAY_MS = 86_400_000;

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

async function publicKeys(files: readonly string[] = []): Promise<RootKey[]> {
  const keys: RootKey[] = [];
  for (const file of files) {
    const key = await readPublicKey(file);
    keys.push(rootKeyOf(key, publicPem(key)));
  }
  return keys;
}

/** `FILE=model-a,model-b`, or `MODEL=2`. */
function pairOf(text: string, option: string, example: string): [string, string] {
  const [, left, right] = /^(.+)=([^=]+)$/su.exec(text) ?? [];
  return left === undefined || right === undefined ? usage(`${option} ${text}: it must be ${example}`) : [left, right];
}

/** `FILE=a,b`: a key and what it is for. */
async function keyAndNames(pair: string, option: string, example: string): Promise<{ key: RootKey; names: string[] }> {
  const [file, names] = pairOf(pair, option, example);
  const [key] = await publicKeys([file]);
  if (key === undefined) throw new TypeError('a key was read');
  return { key, names: [...new Set(names.split(','))] };
}

async function publishersOf(pairs: readonly string[] = []): Promise<RootStatement['publishers']> {
  return Promise.all(
    pairs.map(async (pair) => {
      const { key, names } = await keyAndNames(pair, '--publisher', 'PUBLIC_KEY=MODEL[,MODEL]');
      return { ...key, modelIds: names };
    }),
  );
}

async function stationsOf(pairs: readonly string[] = []): Promise<NonNullable<RootStatement['stations']>> {
  return Promise.all(
    pairs.map(async (pair) => {
      const { key, names } = await keyAndNames(pair, '--station-key', 'PUBLIC_KEY=PROFILE[,PROFILE]');
      return { ...key, profiles: names };
    }),
  );
}

function thresholdsOf(pairs: readonly string[] = []): NonNullable<RootStatement['releaseThresholds']> {
  return pairs.map((pair) => {
    const [modelId, number] = pairOf(pair, '--release-threshold', 'MODEL=NUMBER');
    const threshold = /^\d{1,2}$/.test(number) ? Number(number) : 0;
    if (threshold < 1 || threshold > 16) usage(`--release-threshold ${pair}: the number must be from 1 to 16`);
    return { modelId, threshold };
  });
}

/** The new statement is one that can ever be signed, and that can be followed by another. */
function assertSensible(next: RootStatement): void {
  const { threshold, keys } = rootSigners(next);
  if (keys.length < threshold) {
    usage(`${keys.length} root keys would be left, and ${threshold} must sign: name new ones with rotate --root-key`);
  }
  const gone = new Set(next.revoked.map((one) => one.id));
  for (const { modelId, threshold: needed } of next.releaseThresholds ?? []) {
    const may = next.publishers.filter((one) => one.modelIds.includes(modelId) && !gone.has(one.id));
    if (may.length < needed)
      usage(`${needed} publishers of ${modelId} must sign its releases, and there are ${may.length}`);
  }
}

async function propose(
  options: ChangeOptions,
  change: (now: RootStatement) => Promise<RootChange>,
  command: Command,
): Promise<void> {
  const output = outputOf(command);
  const trust = await trustIn(options.fleet);
  const isThere = await access(options.out).then(
    () => true,
    () => false,
  );
  if (isThere) throw new ConfigError('ALREADY_THERE', `${options.out} is there already`);
  const root = nextRoot(trust.root, await change(trust.root));
  assertSensible(root);
  const keys: KeyObject[] = [];
  for (const file of options.key) keys.push(await readPrivateKey(file, output.note));
  const may = new Set([...rootSigners(trust.root).keys, ...rootSigners(root).keys].map((one) => one.id));
  for (const [at, key] of keys.entries()) {
    if (!may.has(keyId(key))) usage(`${options.key[at] ?? ''} is no root key of this fleet, or is revoked`);
  }
  const envelope = signRoot(root, keys);
  const proposal = proposalAfter(trust.links, envelope, root);
  await writeFileDurably(options.out, encodeRootFile([...trust.links.map((link) => link.envelope), envelope]), 0o644);
  showProposal(output, proposal, options.out);
}

/** `touchstone fleet rotate`. */
export async function rotate(options: RotateOptions, command: Command): Promise<void> {
  await propose(
    options,
    async (now) => {
      const issuedAt = Date.now();
      const rootKeys = await publicKeys(options.rootKey);
      const [escrow] = await publicKeys(options.escrowKey === undefined ? [] : [options.escrowKey]);
      const keys = rootKeys.length > 0 ? rootKeys : now.root.keys;
      const threshold = options.threshold ?? now.root.threshold;
      if (threshold > keys.length) usage(`--threshold ${threshold} of ${keys.length} root keys can never be reached`);
      return {
        issuedAt,
        expires: issuedAt + options.expiresDays * DAY_MS,
        root: { threshold, keys },
        publishers: await publishersOf(options.publisher),
        releaseThresholds: thresholdsOf(options.releaseThreshold),
        floor: await publicKeys(options.floorKey),
        ...(escrow === undefined ? {} : { escrow }),
        stations: await stationsOf(options.stationKey),
        operators: await publicKeys(options.operatorKey),
        results: await publicKeys(options.resultKey),
      };
    },
    command,
  );
}

/** `touchstone fleet revoke`. */
export async function revoke(name: string, options: RevokeOptions, command: Command): Promise<void> {
  await propose(
    options,
    async (now) => {
      const ids = [...new Set(keysOf(now).map((one) => one.id))].filter((id) => id.startsWith(name));
      const [id] = ids;
      if (!/^[0-9a-f]{8,64}$/.test(name) || id === undefined)
        usage(`${name} is no key of this fleet: see touchstone fleet show`);
      if (ids.length > 1) usage(`${name} is not clear: it fits ${ids.length} keys`);
      if (now.revoked.some((one) => one.id === id)) usage(`${id} is revoked already`);
      if (rolesOf(now, id).includes('result')) {
        outputOf(command).note(
          'endorsements that it signed count no more once it is revoked: start the controllers with another result key of the statement in force before, and they sign them anew; later only touchstone device approve endorses a device again',
        );
      }
      if (rolesOf(now, id).some((role) => role.startsWith('station'))) {
        outputOf(command).note(
          'no batch that it signed lets a device in any more, whatever its date; devices that are enrolled keep their place',
        );
      }
      const issuedAt = Date.now();
      return { issuedAt, expires: issuedAt + options.expiresDays * DAY_MS, revoke: [{ id, reason: options.reason }] };
    },
    command,
  );
}
