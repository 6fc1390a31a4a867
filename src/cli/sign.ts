// `touchstone sign`: an OpenSSF Model Signing signature over a folder or file.
import { Command, Option } from 'commander';
import { ReleaseError, TouchstoneError } from '../errors.ts';
import { each, wholeNumber } from './options.ts';
import { cleanText, humanBytes, outputOf } from './output.ts';
import { ProgressBar } from './progress.ts';
import type { ModelPlace } from './models.ts';

interface SignOptions {
  readonly key: string;
  readonly signature?: string;
  readonly method: 'files' | 'shards';
  readonly shardSize?: number;
  readonly ignore?: readonly string[];
}

/** A signature is made again over an older one of the same model, and over nothing else. */
async function assertReplaceable(place: ModelPlace, subject: string): Promise<void> {
  const [{ readBounded, SIGNATURE_FILE_BYTES }, { readBundle }, { readStatement }] = await Promise.all([
    import('../release/release-folder.ts'),
    import('../release/oms-bundle.ts'),
    import('../release/oms-statement.ts'),
  ]);
  const { signature, isFolder } = place;
  const bytes = await readBounded(signature, SIGNATURE_FILE_BYTES);
  if (bytes === null) return;
  const read = readBundle(bytes);
  if ('faults' in read) {
    throw new ReleaseError('ALREADY_THERE', `${signature} is there and is no model signature`);
  }
  const said = readStatement(read.bundle.payload);
  // Beside a lone file lies only one model.sig, whatever else is there.
  if (!isFolder && 'statement' in said && said.statement.subject.name !== subject) {
    const other = said.statement.subject.name;
    throw new ReleaseError('ALREADY_THERE', `${signature} signs ${other}: choose another place with --signature`);
  }
}

function assertIgnorable(paths: readonly string[], present: readonly string[]): void {
  for (const path of paths) {
    const exact = path.replace(/^\.\//, '').replace(/\/+$/, '');
    if (!present.some((one) => one === exact || one.startsWith(`${exact}/`))) {
      throw new TouchstoneError(
        'USAGE',
        `--ignore ${path}: nothing of that name in the model (relative to it, no patterns)`,
      );
    }
  }
}

async function sign(asGiven: string, options: SignOptions, command: Command): Promise<void> {
  const [{ HashPool }, files, oms, { writeFileDurably }, { readPrivateKey }, { modelPlace, insideOf }, { keyId }] =
    await Promise.all([
      import('../files/hash-pool.ts'),
      import('../release/model-files.ts'),
      import('../release/oms-sign.ts'),
      import('../files/durable.ts'),
      import('./keys.ts'),
      import('./models.ts'),
      import('../crypto/ecdsa.ts'),
    ]);
  const { interruptible } = await import('./interrupt.ts');
  const output = outputOf(command);
  const { method, shardSize, ignore = [] } = options;
  if (shardSize !== undefined && method !== 'shards')
    throw new TouchstoneError('USAGE', '--shard-size goes with --method shards');
  const place = await modelPlace(asGiven, options.signature);
  const { model, isFolder, signature, signatureInside } = place;
  if (isFolder && insideOf(model, options.key) !== null) {
    throw new TouchstoneError('USAGE', `the key ${options.key} lies inside of the model and would be shipped with it`);
  }
  if (!isFolder && ignore.length > 0) throw new TouchstoneError('USAGE', '--ignore goes with a folder');
  const key = await readPrivateKey(options.key, output.note);
  await using pool = new HashPool();
  const made = await interruptible(async (signal) => {
    const always = isFolder ? [...files.DEFAULT_IGNORES, ...(signatureInside === null ? [] : [signatureInside])] : [];
    const whole = await files.listModel(model, files.ignoring(always), signal);
    assertIgnorable(
      ignore,
      [...whole.files, ...whole.faults].map((one) => one.path),
    );
    const listed = await files.listModel(model, files.ignoring([...always, ...ignore]), signal);
    await assertReplaceable(place, listed.name);
    const bytes = listed.files.reduce((sum, file) => sum + file.size, 0);
    using bar = new ProgressBar({ label: 'hashing', total: method === 'shards' ? 2 * bytes : bytes });
    const { statement } = await oms.makeStatement(listed, {
      method,
      ...(shardSize === undefined ? {} : { shardBytes: shardSize }),
      ignored: [...new Set([...always, ...ignore])],
      pool,
      signal,
      onProgress: (more) => {
        bar.advance(more);
      },
    });
    signal.throwIfAborted();
    await writeFileDurably(signature, oms.signStatement(statement, key), 0o644);
    const empty = listed.files.filter((file) => file.size === 0).length;
    return { statement, bytes, files: listed.files.length, empty };
  });
  if (method === 'shards' && made.empty > 0) {
    output.note(
      `${made.empty} empty files cannot be named by shards: anybody may add or remove empty files. Use --method files`,
    );
  }
  for (const path of ignore) output.note(`not signed, so anybody may change it: ${cleanText(path)}`);
  const document = {
    model,
    signature,
    method,
    files: made.files,
    bytes: made.bytes,
    statementDigest: made.statement.digest.toString('hex'),
    keyId: keyId(key),
    ignored: [...ignore],
  };
  output.result(document, () =>
    [
      output.paint('green', `signed ${cleanText(model)}: ${made.files} files, ${humanBytes(made.bytes)}`),
      `  signature ${cleanText(signature)}`,
      `  by key ${document.keyId}`,
    ].join('\n'),
  );
}

/** `touchstone sign`. */
export function signCommand(): Command {
  return new Command('sign')
    .description('sign a model (OpenSSF Model Signing v1.0)')
    .argument('<model>', 'folder or file')
    .addOption(
      new Option('--key <file>', 'private key, PEM; - for standard input').env('TOUCHSTONE_KEY').makeOptionMandatory(),
    )
    .option('--signature <file>', 'where the signature goes (default: model.sig in the folder or beside the file)')
    .addOption(
      new Option('--method <method>', 'one digest for each file, or for each shard of one')
        .choices(['files', 'shards'])
        .default('files'),
    )
    .option('--shard-size <bytes>', 'of shards (default: 1000000000)', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--ignore <path>', 'path relative to the model that is left out (repeatable)', each)
    .addHelpText(
      'after',
      `
Left out at the top level of a folder: .git, .gitignore, .gitattributes, .github, and the signature itself. Symbolic links,
pipes and devices cannot be signed.

Devices take releases, not bare signatures: see touchstone release make, which signs too.

Examples:
  touchstone sign models/detector --key publisher.key.pem
  pass show publisher | touchstone sign detector.onnx --key - --signature detector.onnx.sig`,
    )
    .action(async (model: string, options: SignOptions, self: Command) => sign(model, options, self));
}
