// Files that run or unpack into something that runs, known by their first bytes: no model is made of them.
interface Sign {
  readonly what: string;
  readonly at: number;
  readonly bytes: Buffer;
}

const sign = (what: string, hex: string, at = 0): Sign => ({ what, at, bytes: Buffer.from(hex, 'hex') });

const SIGNS: readonly Sign[] = [
  sign('a pickle', '8002'),
  sign('a pickle', '8003'),
  sign('a pickle', '8004'),
  sign('a pickle', '8005'),
  sign('a zip archive (PyTorch, NumPy, Keras, Java)', '504b0304'),
  sign('an empty zip archive', '504b0506'),
  sign('a spanned zip archive', '504b0708'),
  sign('a gzip archive', '1f8b08'),
  sign('a bzip2 archive', '425a68'),
  sign('an xz archive', 'fd377a585a00'),
  sign('a zstd archive', '28b52ffd'),
  sign('a 7z archive', '377abcaf271c'),
  sign('a tar archive', '7573746172', 257),
  sign('an HDF5 file (Keras), which may hold code', '894844460d0a1a0a'),
  sign('a NumPy file, which may hold a pickle', '934e554d5059'),
  sign('a program (ELF)', '7f454c46'),
  sign('a program (PE)', '4d5a'),
  sign('a program (Mach-O)', 'cffaedfe'),
  sign('a program (Mach-O)', 'cefaedfe'),
  sign('Java or Mach-O code', 'cafebabe'),
  sign('WebAssembly', '0061736d'),
  sign('a script', '2321'),
];

/** Bytes of a file's beginning that `codeIn` wants. */
export const HEAD_BYTES = 4096;

/** A pickle of protocol 0 begins with text: two lines that name what is to be called. */
const OLD_PICKLE = /^[(\]}]?[lp\d\n]{0,4}c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n/;

/** What kind of code a file is, by its first bytes; null for none. `raw`: a file that should be numbers, where text is suspicious. */
export function codeIn(head: Buffer, raw: boolean): string | null {
  const found = SIGNS.find(({ at, bytes }) => head.subarray(at, at + bytes.length).equals(bytes));
  if (found !== undefined) return found.what;
  return raw && OLD_PICKLE.test(head.toString('latin1')) ? 'a pickle' : null;
}
