// `touchstone floor request|give`: what a device asks for its version floors with, and the token it gets, by way of its controller.
import { access, readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { toHex } from '../bytes/text.ts';
import { askController, followDevices } from '../controller/control-client.ts';
import type { DeviceDetail } from '../controller/views.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { decodeFloorToken } from '../tpm/floor/token-file.ts';
import type { FloorToken } from '../tpm/floor/token.ts';
import { EXIT } from './exit.ts';
import { cleanText, outputOf } from './output.ts';

export interface RequestOptions {
  readonly state: string;
  readonly out: string;
}

export interface GiveOptions {
  readonly state: string;
  readonly tokenFile: string;
  readonly timeout: number;
}

/** The device, and what it asks with. Errors: USAGE when it does not ask. */
async function asking(state: string, name: string): Promise<DeviceDetail & { readonly floorRequest: object }> {
  const { device } = (await askController(state, 'show', { device: name })) as { device: DeviceDetail };
  const { floorRequest } = device;
  if (floorRequest === null) {
    const why = 'has not asked for version floors in its last evidence; touchstone device attest asks it for new one';
    throw new TouchstoneError('USAGE', `${device.id} ${why}`);
  }
  return { ...device, floorRequest };
}

/** `touchstone floor request`. */
export async function request(name: string, { state, out }: RequestOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const isThere = await access(out).then(
    () => true,
    () => false,
  );
  if (isThere) throw new ConfigError('ALREADY_THERE', `${out} is there already`);
  const { id, floorRequest, floors } = await asking(state, name);
  await writeFileDurably(out, `${JSON.stringify({ v: 1, ...floorRequest }, null, 2)}\n`, 0o644);
  const before = floors.map(({ slot, floor }) => `${slot}=${floor}`);
  output.result({ file: out, device: id, floorsBefore: before }, () =>
    [
      output.paint('green', `made ${cleanText(out)}`),
      before.length === 0
        ? `Next, where the recovery key is: touchstone floor first-token ${cleanText(out)}`
        : `Its floors were ${before.join(', ')}. Next, where the recovery key is: touchstone floor recover ${cleanText(out)} ${before.map((one) => `--at ${one}`).join(' ')}`,
      `then here: touchstone floor give ${id.slice(0, 12)} --token-file TOKEN`,
    ].join('\n'),
  );
}

async function tokenIn(file: string): Promise<{ readonly json: string; readonly token: FloorToken }> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  try {
    return { token: decodeFloorToken(bytes), json: bytes.toString('utf8').trim() };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new ConfigError('CONFIG_INVALID', `${file} is no floor token: ${error.message}`, { cause: error });
  }
}

interface Outcome {
  readonly kind: string;
  readonly rule: string;
  readonly detail: string;
}

/** What became of the command; null when the device did not say in time. */
async function outcomeOf(state: string, device: string, command: string, ms: number): Promise<Outcome | null> {
  const enough = new AbortController();
  const signal = AbortSignal.any([AbortSignal.timeout(ms), enough.signal]);
  for await (const line of followDevices(state, [device], signal)) {
    const { commands } = (line as { device: DeviceDetail }).device;
    const outcome = commands.find(({ id }) => id === command)?.outcome ?? null;
    if (outcome !== null) return outcome as Outcome;
  }
  return null;
}

/** `touchstone floor give`. */
export async function give(name: string, options: GiveOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { state, tokenFile: file, timeout } = options;
  const { token, json } = await tokenIn(file);
  const { id, floorRequest } = await asking(state, name);
  const fits =
    token.kind === 'first-write' &&
    JSON.stringify({ akName: toHex(token.akName), generation: token.generation.toString() }) ===
      JSON.stringify(floorRequest);
  if (!fits) throw new TouchstoneError('USAGE', `${file} is not the token for what ${id} asks with now`);
  const given = (await askController(state, 'floors', { device: id, token: json })) as { command: string };
  const outcome = await outcomeOf(state, id, given.command, Math.round(timeout * 1000));
  if (outcome === null) {
    output.note(`no word in ${timeout} s; the device takes it when it answers next: touchstone device show`);
    process.exitCode = EXIT.failed;
  } else if (outcome.rule !== 'done') process.exitCode = EXIT.against;
  output.result({ device: id, command: given.command, outcome: outcome === null ? null : { ...outcome } }, () =>
    outcome === null
      ? output.paint('yellow', `given to ${id}`)
      : output.paint(outcome.rule === 'done' ? 'green' : 'red', cleanText(`${outcome.rule}: ${outcome.detail}`)),
  );
}
