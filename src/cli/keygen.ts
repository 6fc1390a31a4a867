// `touchstone keygen`: a publisher's key pair.
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import { outputOf, cleanText } from './output.ts';

interface KeygenOptions {
  readonly out: string;
  readonly name: string;
  readonly curve: 'p256' | 'p384';
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function keygen(options: KeygenOptions, command: Command): Promise<void> {
  const [{ generateKey, keyId, publicPem }, { writeFileDurably }] = await Promise.all([
    import('../crypto/ecdsa.ts'),
    import('../files/durable.ts'),
  ]);
  const output = outputOf(command);
  const { out, curve } = options;
  const privateFile = join(out, `${options.name}.key.pem`);
  const publicFile = join(out, `${options.name}.pub.pem`);
  for (const file of [privateFile, publicFile]) {
    if (await isThere(file)) throw new ConfigError('ALREADY_THERE', `${file} is there already`);
  }
  await mkdir(out, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKey(curve);
  await writeFileDurably(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  await writeFileDurably(publicFile, publicPem(publicKey), 0o644);
  const id = keyId(publicKey);
  output.result({ privateKey: privateFile, publicKey: publicFile, keyId: id, curve }, () =>
    [
      output.paint('green', `made key ${id}`),
      `  ${cleanText(privateFile)}   keep it secret (mode 0600), and a copy of it offline`,
      `  ${cleanText(publicFile)}   for who verifies`,
      '',
      'A fleet takes releases signed with it once the holders of its root keys have named it.',
      `Next: touchstone sign MODEL --key ${cleanText(privateFile)}`,
    ].join('\n'),
  );
}

/** `touchstone keygen`. */
export function keygenCommand(): Command {
  return new Command('keygen')
    .description("make a publisher's key pair (ECDSA)")
    .requiredOption('--out <dir>', 'folder of the two files; made where it is not there')
    .addOption(new Option('--curve <curve>', 'P-256, or P-384').choices(['p256', 'p384']).default('p256'))
    .option('--name <name>', 'of the files: NAME.key.pem and NAME.pub.pem', 'publisher')
    .addHelpText('after', '\nKeys are never overwritten.\n\nExample:\n  touchstone keygen --out keys --curve p384')
    .action(async (options: KeygenOptions, self: Command) => keygen(options, self));
}
