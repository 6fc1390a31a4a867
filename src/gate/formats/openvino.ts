// The description of an OpenVINO model: plain XML without entities, whose constants lie inside of the weights beside it.
import { fromUtf8 } from '../../bytes/text.ts';
import { WireError } from '../../errors.ts';
import { FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';

const MAX_BYTES = 64 * 1024 * 1024;

function numberIn(tag: string, name: string): bigint | null {
  const match = new RegExp(`\\s${name}\\s*=\\s*["'](\\d{1,19})["']`).exec(tag);
  return match?.[1] === undefined ? null : BigInt(match[1]);
}

/** `weights`: bytes of the .bin beside it; null where there is none. Errors: FormatError. */
export async function checkOpenvino(bytes: Bytes, weights: number | null): Promise<void> {
  if (bytes.size > MAX_BYTES) throw new FormatError(`${bytes.size} bytes of description, at most ${MAX_BYTES} can be`);
  let text: string;
  try {
    text = fromUtf8(await bytes.read(0, bytes.size));
  } catch (cause) {
    if (cause instanceof WireError) throw new FormatError('is no UTF-8', { cause });
    throw cause;
  }
  if (!/^\s*(?:<\?xml[^<>]*\?>)?\s*<net[\s>]/.test(text) || !/<\/net>\s*$/.test(text)) {
    throw new FormatError('is not one <net>');
  }
  // Entities make a reader fetch other files, or a short text an endless one.
  if (/<!(?:DOCTYPE|ENTITY|\[CDATA\[)/i.test(text) || text.indexOf('<?', 2) !== -1) {
    throw new FormatError('holds a document type, an entity or an instruction');
  }
  for (const [tag] of text.matchAll(/<data\s[^<>]*>/g)) {
    const [offset, size] = [numberIn(tag, 'offset'), numberIn(tag, 'size')];
    if (offset === null || size === null) continue;
    if (weights === null) throw new FormatError('has constants, and there is no .bin of its name');
    if (offset + size > BigInt(weights))
      throw new FormatError(`a constant ends at ${offset + size}, the weights at ${weights}`);
  }
}
