// `touchstone device escrow`: the auth values of a TPM whose device lost its disk, out of the controller and opened where the key is.
import { access, readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { parseShape, text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromHex, toHex } from '../bytes/text.ts';
import { decode } from '../bytes/wire.ts';
import { askController } from '../controller/control-client.ts';
import type { DeviceDetail } from '../controller/views.ts';
import { ConfigError, TouchstoneError, WireError } from '../errors.ts';
import { escrowKeyId, openEscrow } from '../evidence/escrow.ts';
import { writeFileDurably } from '../files/durable.ts';
import { objectName } from '../tpm/wire/names.ts';
import { TpmtPublic } from '../tpm/wire/public.ts';
import { readPrivateKey } from './keys.ts';
import { cleanText, outputOf } from './output.ts';

export interface EscrowOptions {
  readonly state: string;
  readonly out: string;
  readonly sealed?: string;
  readonly key?: string;
}

/** What travels from the controller to where the key is. Nothing of it is secret. */
interface SealedFile {
  readonly v: 1;
  readonly deviceId: string;
  /** TPM Name of the EK, hex. */
  readonly ekName: string;
  readonly sealed: string;
}

const sealedShape: Shape<SealedFile> = v.strictObject({
  v: v.literal(1),
  deviceId: text(64),
  ekName: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2}){34,66}$/)),
  sealed: v.pipe(v.string(), v.maxLength(2048), v.regex(/^(?:[0-9a-f]{2})+$/)),
});

async function kept(device: string, state: string): Promise<SealedFile> {
  const { device: detail } = (await askController(state, 'show', { device })) as { device: DeviceDetail };
  const { escrow, endorsement, id } = detail;
  if (escrow === null || endorsement === null) {
    const why =
      'has given no auth values into escrow: see its profile (ownership), and whether the root names an escrow key';
    throw new TouchstoneError('CONTROL_REFUSED', `${id} ${why}`);
  }
  const ekName = toHex(objectName(decode(TpmtPublic, fromHex(endorsement.ekPublic))));
  return { v: 1, deviceId: id, ekName, sealed: escrow.sealed };
}

async function read(file: string): Promise<SealedFile> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  try {
    return parseShape(sealedShape, parseJsonStrict(bytes), 'sealed');
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new ConfigError('CONFIG_INVALID', `${file} is not what device escrow wrote: ${error.message}`);
  }
}

/** Errors name no byte of a secret. */
async function opened(file: SealedFile, key: string, note: (text: string) => void): Promise<Buffer> {
  const { deviceId, ekName, sealed } = file;
  const privateKey = await readPrivateKey(key, note);
  try {
    return openEscrow(privateKey, fromHex(sealed), { deviceId, ekName: fromHex(ekName) });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new ConfigError('CONFIG_INVALID', `${key} does not open it: ${error.message}`);
  }
}

/** `touchstone device escrow`. */
export async function giveEscrow(device: string | undefined, options: EscrowOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  const { out, key, sealed, state } = options;
  if ((device === undefined) === (sealed === undefined)) {
    throw new TouchstoneError('USAGE', 'name a device, or with --sealed what was written of one');
  }
  const isThere = await access(out).then(
    () => true,
    () => false,
  );
  if (isThere) throw new ConfigError('ALREADY_THERE', `${out} is there already`);
  const file = sealed === undefined ? await kept(device ?? '', state) : await read(sealed);
  const { deviceId } = file;
  const keyId = escrowKeyId(fromHex(file.sealed));
  if (key === undefined) {
    await writeFileDurably(out, `${JSON.stringify(file, null, 2)}\n`, 0o644);
    output.result({ file: out, deviceId, key: keyId, opened: false }, () =>
      [
        output.paint('green', `made ${cleanText(out)}`),
        `  sealed to key ${keyId}`,
        `Next, where that key is: touchstone device escrow --sealed ${cleanText(out)} --key KEY --out tpm-auth.json`,
      ].join('\n'),
    );
    return;
  }
  await writeFileDurably(out, await opened(file, key, output.note), 0o600);
  output.result({ file: out, deviceId, key: keyId, opened: true }, () =>
    [
      output.paint('green', `made ${cleanText(out)}`),
      `  the auth values of the TPM of ${deviceId}: secret, mode 0600`,
      "Next: put it as tpm-auth.json (0600) into the device's new state directory, and start its agent there; then destroy every copy.",
    ].join('\n'),
  );
}
