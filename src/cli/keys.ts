// Key files as people keep them: read with an error that says what to do, written once and never over another.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { curveOf } from '../crypto/ecdsa.ts';
import { ConfigError } from '../errors.ts';

/** The longest PEM of a key is a tenth of this. */
const MAX_KEY_FILE_BYTES = 65_536;
const CURVES = 'P-256, P-384 or P-521';

function refuse(file: string, why: string): never {
  throw new ConfigError('KEY_INVALID', `${file} ${why}`);
}

/** What a PEM text says it is, by its first label; empty where it is none. */
function labelOf(pem: string): string {
  return /-----BEGIN ([A-Z0-9 ]{1,64})-----/.exec(pem)?.[1] ?? '';
}

/** What calls itself `-` comes over standard input. */
const STANDARD_INPUT = '-';

async function readInput(max: number): Promise<{ text: string; mode: number }> {
  const blocks: Buffer[] = [];
  let length = 0;
  for await (const block of process.stdin) {
    blocks.push(block as Buffer);
    length += (block as Buffer).length;
    if (length > max) refuse('standard input', `is longer than ${max} bytes, so it is no key`);
  }
  return { text: Buffer.concat(blocks).toString('utf8'), mode: 0 };
}

/** At most `max` bytes of a text file, and its mode. Errors: ConfigError. */
async function readText(file: string, max: number): Promise<{ text: string; mode: number }> {
  if (file === STANDARD_INPUT) return readInput(max);
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) refuse(file, 'is a folder, must be a key file');
    const bytes = Buffer.alloc(max + 1);
    let length = 0;
    while (length < bytes.length) {
      // At the place where it is, not at an offset: a pipe is a file too.
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > max) refuse(file, `is longer than ${max} bytes, so it is no key`);
    return { text: bytes.toString('utf8', 0, length), mode: stat.isFile() ? stat.mode : 0 };
  } finally {
    await handle.close();
  }
}

/** The key, when it is on one of our curves; otherwise an error that says what it is instead. */
function onOurCurves(file: string, key: KeyObject): KeyObject {
  try {
    curveOf(key);
    return key;
  } catch {
    const { asymmetricKeyType = 'unknown', asymmetricKeyDetails } = key;
    const kind = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType;
    return refuse(file, `is a key of kind ${kind}, must be ECDSA on ${CURVES}: make one with touchstone keygen`);
  }
}

/**
 * A private signing key from PEM. `note` hears of a file that others may read. Errors: ConfigError that says what the file is
 * instead and holds nothing of the key.
 */
export async function readPrivateKey(file: string, note: (message: string) => void): Promise<KeyObject> {
  const { text, mode } = await readText(file, MAX_KEY_FILE_BYTES);
  const label = labelOf(text);
  if (label.includes('ENCRYPTED') || /^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    refuse(file, `is encrypted; decrypt it into a pipe: openssl pkey -in ${file} | touchstone … --key -`);
  }
  if (label.includes('PUBLIC KEY') || label === 'CERTIFICATE') {
    refuse(file, `holds a ${label.toLowerCase()}; signing needs the private key that belongs to it`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    return refuse(file, `is not a private key in PEM (ECDSA on ${CURVES}): make one with touchstone keygen`);
  }
  onOurCurves(file, key);
  if ((mode & 0o077) !== 0) note(`${file} can be read by others on this machine: chmod 600 ${file}`);
  return key;
}

/** A public key from PEM. Errors: ConfigError, also for a private key: who only verifies should not hold one. */
export async function readPublicKey(file: string): Promise<KeyObject> {
  const { text } = await readText(file, MAX_KEY_FILE_BYTES);
  const label = labelOf(text);
  if (label.includes('PRIVATE KEY')) {
    refuse(file, 'holds a private key; give the public one: openssl pkey -pubout -in KEY -out PUB');
  }
  if (label === 'CERTIFICATE') refuse(file, 'holds a certificate: use --certificate-chain');
  try {
    return onOurCurves(file, createPublicKey(text));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    return refuse(file, `is not a public key in PEM (ECDSA on ${CURVES})`);
  }
}
