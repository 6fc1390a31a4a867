// The structure of an ONNX file: a well-formed protobuf message with one graph, whose external data stay inside of the model.
import { pathFault } from '../../release/oms-resources.ts';
import { Cursor, FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';

/** Messages of onnx.proto3 that are looked into, and the fields of each that hold another one of them. */
type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function' | 'training' | 'entry';

const INNER: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  tensor: { 13: 'entry' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  function: { 7: 'node', 11: 'attribute' },
  training: { 1: 'graph', 2: 'graph' },
  entry: {},
};

const MAX_DEPTH = 64;
const MAX_FIELDS = 20_000_000;
/** A path, or a number as text. */
const MAX_TEXT = 4096;

class Walk {
  readonly #cursor: Cursor;
  readonly #sizes: ReadonlyMap<string, number>;
  #fields = 0;
  graphs = 0;

  constructor(bytes: Bytes, sizes: ReadonlyMap<string, number>) {
    this.#cursor = new Cursor(bytes);
    this.#sizes = sizes;
  }

  /** Every field of one message; the texts of an entry come back by their field. */
  async message(kind: Kind, end: number, depth: number): Promise<Map<number, string>[]> {
    if (depth > MAX_DEPTH) throw new FormatError(`messages deeper than ${MAX_DEPTH}`);
    const cursor = this.#cursor;
    const texts = new Map<number, string>();
    const entries: Map<number, string>[] = [];
    while (cursor.at < end) {
      if (++this.#fields > MAX_FIELDS) throw new FormatError(`more than ${MAX_FIELDS} fields`);
      const tag = await cursor.varint();
      const [field, wire] = [Number(tag >> 3n), Number(tag & 7n)];
      if (field === 0 || tag >= 1n << 32n) throw new FormatError(`byte ${cursor.at}: no field has this number`);
      if (wire !== 2) {
        await this.#skipFixed(wire);
      } else {
        const length = Number(await cursor.varint());
        if (length > end - cursor.at)
          throw new FormatError(`byte ${cursor.at}: ${length} bytes announced, fewer are there`);
        const inner = INNER[kind][field];
        if (kind === 'entry' && length <= MAX_TEXT) texts.set(field, (await cursor.take(length)).toString('utf8'));
        else if (inner === undefined) cursor.skip(length);
        else entries.push(...(await this.#inner(kind, inner, cursor.at + length, depth)));
      }
      if (cursor.at > end) throw new FormatError(`byte ${cursor.at}: a field is longer than its message`);
    }
    if (kind === 'tensor' && entries.length > 0) this.#external(entries);
    if (kind === 'entry') return [texts];
    return [];
  }

  async #inner(outer: Kind, kind: Kind, end: number, depth: number): Promise<Map<number, string>[]> {
    if (outer === 'model' && kind === 'graph') this.graphs++;
    return this.message(kind, end, depth + 1);
  }

  async #skipFixed(wire: number): Promise<void> {
    if (wire === 0) await this.#cursor.varint();
    else if (wire === 1) this.#cursor.skip(8);
    else if (wire === 5) this.#cursor.skip(4);
    else throw new FormatError(`byte ${this.#cursor.at}: wire type ${wire}`);
  }

  /** Where a tensor's bytes lie in another file: inside of the model, in a file that was signed, and inside of that. */
  #external(entries: readonly Map<number, string>[]): void {
    const said = new Map(entries.map((entry) => [entry.get(1) ?? '', entry.get(2) ?? '']));
    const location = said.get('location') ?? '';
    const why = pathFault(location);
    if (why !== null) throw new FormatError(`external data at ${JSON.stringify(location)}: ${why}`);
    const size = this.#sizes.get(location);
    if (size === undefined) throw new FormatError(`external data at ${location}, which is no file of the model`);
    const number = (key: string, otherwise: number): number => {
      const text = said.get(key);
      if (text !== undefined && !/^\d{1,15}$/.test(text)) throw new FormatError(`external data: ${key} is no number`);
      return text === undefined ? otherwise : Number(text);
    };
    const offset = number('offset', 0);
    if (offset + number('length', 0) > size)
      throw new FormatError(`external data beyond the ${size} bytes of ${location}`);
  }
}

/** `sizes`: bytes of each file of the model by its path relative to the folder of this one. Errors: FormatError. */
export async function checkOnnx(bytes: Bytes, sizes: ReadonlyMap<string, number>): Promise<void> {
  const walk = new Walk(bytes, sizes);
  await walk.message('model', bytes.size, 0);
  if (walk.graphs !== 1) throw new FormatError(`${walk.graphs} graphs in place of one`);
}
