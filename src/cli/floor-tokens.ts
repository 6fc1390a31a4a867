// `touchstone floor token|first-token`: what the holders of floor keys sign, far from any TPM.
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import type { Command } from 'commander';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { hexString, parseShape, text, v } from '../bytes/shape.ts';
import { fromHex } from '../bytes/text.ts';
import { keyId } from '../crypto/ecdsa.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { DEFAULT_MAX_STEP, loadProfile } from '../profile/profile.ts';
import type { Profile } from '../profile/profile.ts';
import { floorDefinitionOf } from '../release/floor-definition.ts';
import { keyTableOf, openRelease } from '../release/open.ts';
import { FLOOR_TOKEN_FILE, readSignedFiles } from '../release/release-folder.ts';
import type { Trust } from '../release/root.ts';
import { FLOOR_SLOTS } from '../tpm/floor/definition.ts';
import type { AuthorityRole, FloorDefinition } from '../tpm/floor/definition.ts';
import { encodeFloorToken } from '../tpm/floor/token-file.ts';
import { floorToken } from '../tpm/floor/token.ts';
import type { FloorOrder } from '../tpm/floor/token.ts';
import { trustIn } from './fleet-folder.ts';
import { readPrivateKey } from './keys.ts';
import { cleanText, outputOf } from './output.ts';

interface SigningOptions {
  readonly fleet: string;
  readonly key: string;
}

export interface TokenOptions extends SigningOptions {
  readonly profile: string;
  readonly slot: string;
  readonly maxStep?: number;
  readonly release?: string;
  readonly to?: number;
  readonly out?: string;
}

export interface FirstTokenOptions extends SigningOptions {
  readonly out: string;
  readonly profile?: string;
  readonly at?: readonly string[];
}

function usage(message: string): never {
  throw new TouchstoneError('USAGE', message);
}

async function bytesOf(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
}

interface Signer {
  readonly definition: FloorDefinition;
  readonly by: AuthorityRole;
  readonly privateKey: KeyObject;
}

/** Which of the fleet's two floor keys this is. */
async function signerOf({ root }: Trust, options: SigningOptions, note: (text: string) => void): Promise<Signer> {
  const definition = floorDefinitionOf(root);
  if (definition === null) return usage('this fleet has no floor key on P-256');
  const privateKey = await readPrivateKey(options.key, note);
  const id = keyId(privateKey);
  if (root.revoked.some((one) => one.id === id)) usage(`${options.key} is revoked: no device takes its tokens`);
  const found = definition.authorities.find(({ key }) => keyId(key) === id);
  return found === undefined
    ? usage(`${options.key} is no floor key of this fleet`)
    : { definition, by: found.role, privateKey };
}

function sign({ definition, by, privateKey }: Signer, order: FloorOrder): Buffer {
  return encodeFloorToken(floorToken(definition, order, { by, privateKey }));
}

function floorOfSlot({ slots }: Profile, slot: string): number {
  const found = slots.find((one) => one.name === slot);
  if (found === undefined) return usage(`the profile has no slot ${slot}`);
  return found.floor ?? usage(`slot ${slot} has no version floor in the profile`);
}

/** Security version of a release that a publisher of this fleet signed: nobody raises a floor to what a stranger wrote down. */
async function versionOf(folder: string, { root }: Trust): Promise<number> {
  const opened = openRelease({ ...(await readSignedFiles(folder)), ...keyTableOf(root) });
  if (opened.ok) return opened.release.passport.securityVersion;
  const why = opened.findings.map(({ rule, found }) => `${rule}: ${found}`).join('; ');
  throw new ConfigError('CONFIG_INVALID', `${folder} is no release of this fleet: ${why}`);
}

async function assertNew(file: string): Promise<void> {
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) throw new ConfigError('ALREADY_THERE', `${file} is there already`);
}

/** `touchstone floor token`. */
export async function token(options: TokenOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { release, slot: name } = options;
  if ((release === undefined) === (options.to === undefined)) usage('give --release, or --to and --out');
  const out = options.out ?? (release === undefined ? usage('--to needs --out') : join(release, FLOOR_TOKEN_FILE));
  await assertNew(out);
  const trust = await trustIn(options.fleet);
  const signer = await signerOf(trust, options, output.note);
  const { profile } = loadProfile(await bytesOf(options.profile), options.profile);
  const slot = floorOfSlot(profile, name);
  const maxStep = options.maxStep ?? profile.floorMaxStep ?? DEFAULT_MAX_STEP;
  const to = release === undefined ? (options.to ?? 0) : await versionOf(release, trust);
  const bytes = sign(signer, { kind: 'raise', slot, to: BigInt(to), maxStep: BigInt(maxStep) });
  await writeFileDurably(out, bytes, 0o644);
  output.result({ file: out, slot: name, floor: slot, to, maxStep, by: signer.by }, () =>
    [
      output.paint('green', `made ${cleanText(out)}`),
      `  raises the floor of slot ${name} to ${to}, on devices where it is ${Math.max(0, to - maxStep)} or higher`,
      '  No device that has taken it goes back below.',
    ].join('\n'),
  );
}

const requestShape = v.object({ v: v.literal(1), akName: hexString(34), generation: text(20) });

function requestOf(bytes: Buffer, file: string): { akName: Buffer; generation: bigint } {
  try {
    const { akName, generation } = parseShape(requestShape, parseJsonStrict(bytes), 'request');
    if (!/^\d+$/.test(generation)) usage(`${file}: the generation is no number`);
    return { akName: Buffer.from(fromHex(akName)), generation: BigInt(generation) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new ConfigError('CONFIG_INVALID', `${file} is no floor-request.json of a device: ${error.message}`, {
      cause: error,
    });
  }
}

/** `touchstone floor first-token`. */
export async function firstToken(request: string, options: FirstTokenOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  await assertNew(options.out);
  const signer = await signerOf(await trustIn(options.fleet), options, output.note);
  const { akName, generation } = requestOf(await bytesOf(request), request);
  const values = Array.from({ length: FLOOR_SLOTS }, () => 0n);
  for (const pair of options.at ?? []) {
    const [, name = '', value = ''] = /^([^=]+)=(\d{1,16})$/.exec(pair) ?? usage(`--at ${pair} is not SLOT=VERSION`);
    const file = options.profile ?? usage('--at needs --profile');
    values[floorOfSlot(loadProfile(await bytesOf(file), file).profile, name)] = BigInt(value);
  }
  if (signer.by === 'floor' && signer.definition.authorities.length > 1) {
    usage(`${options.key} raises floors; a first token is signed with the floor recovery key`);
  }
  await writeFileDurably(options.out, sign(signer, { kind: 'first-write', values, generation, akName }), 0o644);
  output.result(
    { file: options.out, values: values.map(String), generation: generation.toString(), by: signer.by },
    () =>
      [
        output.paint('green', `made ${cleanText(options.out)}`),
        `  good once, on this one device; its floors start at ${values.join(', ')}`,
        '',
        'Next: touchstone floor give DEVICE --token-file FILE; or put it into the state directory of the device as',
        'floor-first-token.json, and start its agent again',
      ].join('\n'),
  );
}
