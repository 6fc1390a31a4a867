// Reads the part of CDDL (RFC 8610) that touchstone.cddl uses; what it does not know is an error, never skipped.

/** A type of the grammar. */
export type Cddl =
  | { readonly is: 'any' | 'bstr' | 'tstr' | 'bool' | 'null' | 'uint' }
  | { readonly is: 'literal'; readonly value: string | number | boolean }
  | { readonly is: 'range'; readonly from: number; readonly to: number }
  | { readonly is: 'size'; readonly of: Cddl; readonly from: number; readonly to: number }
  | { readonly is: 'regexp'; readonly pattern: string }
  | { readonly is: 'cbor'; readonly of: Cddl; readonly inner: Cddl }
  | { readonly is: 'choice'; readonly options: readonly Cddl[] }
  | { readonly is: 'array'; readonly items: readonly CddlItem[] }
  | { readonly is: 'map'; readonly fields: readonly CddlField[]; readonly open: boolean }
  | { readonly is: 'rule'; readonly name: string };

export interface CddlItem {
  readonly min: number;
  readonly max: number;
  readonly type: Cddl;
}

export interface CddlField {
  readonly key: string | number;
  readonly optional: boolean;
  readonly type: Cddl;
}

export type Grammar = ReadonlyMap<string, Cddl>;

const TOKEN =
  /\s+|;[^\n]*|(?<number>\d+)|(?<text>"(?:[^"\\]|\\.)*")|(?<control>\.(?:size|regexp|cbor)\b)|(?<word>[A-Za-z_][\w]*(?:-\w+)*)|(?<mark>=>|\.\.|[=/{}[\](),:?*])/gy;

function tokensOf(source: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    const match = TOKEN.exec(source);
    if (match === null) throw new SyntaxError(`cannot read the grammar at: ${source.slice(at, at + 40)}`);
    const { number, text, control, word, mark } = match.groups ?? {};
    const token = number ?? text ?? control ?? word ?? mark;
    if (token !== undefined) tokens.push(token);
  }
  return tokens;
}

const PRELUDE: ReadonlySet<string> = new Set(['any', 'bstr', 'tstr', 'bool', 'null', 'uint']);

class GrammarReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#tokens = tokensOf(source);
  }

  #peek(ahead = 0): string {
    return this.#tokens[this.#at + ahead] ?? '';
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? '';
  }

  #expect(token: string): void {
    const found = this.#next();
    if (found !== token) throw new SyntaxError(`${JSON.stringify(found)} where ${token} belongs`);
  }

  #taken(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  #number(): number {
    const token = this.#next();
    if (!/^\d+$/.test(token)) throw new SyntaxError(`${JSON.stringify(token)} is no number`);
    return Number(token);
  }

  #text(): string {
    return JSON.parse(this.#next()) as string;
  }

  #size(of: Cddl): Cddl {
    const bracket = this.#taken('(');
    const from = this.#number();
    const to = this.#taken('..') ? this.#number() : from;
    if (bracket) this.#expect(')');
    return { is: 'size', of, from, to };
  }

  #single(): Cddl {
    const token = this.#peek();
    if (token === '{') return this.#map();
    if (token === '[') return this.#array();
    if (this.#taken('(')) {
      const inner = this.#type();
      this.#expect(')');
      return inner;
    }
    if (token.startsWith('"')) return { is: 'literal', value: this.#text() };
    if (/^\d/.test(token)) {
      const from = this.#number();
      return this.#taken('..') ? { is: 'range', from, to: this.#number() } : { is: 'literal', value: from };
    }
    const name = this.#next();
    if (!/^[A-Za-z_]/.test(name)) throw new SyntaxError(`${JSON.stringify(name)} is no type`);
    if (name === 'true') return { is: 'literal', value: true };
    return PRELUDE.has(name) ? ({ is: name } as Cddl) : { is: 'rule', name };
  }

  #controlled(): Cddl {
    const of = this.#single();
    if (this.#taken('.size')) return this.#size(of);
    if (this.#taken('.cbor')) return { is: 'cbor', of, inner: this.#single() };
    return this.#taken('.regexp') ? { is: 'regexp', pattern: this.#text() } : of;
  }

  #type(): Cddl {
    const options = [this.#controlled()];
    while (this.#taken('/')) options.push(this.#controlled());
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { is: 'choice', options };
  }

  #array(): Cddl {
    this.#expect('[');
    const items: CddlItem[] = [];
    while (!this.#taken(']')) {
      let [min, max] = [1, 1];
      if (this.#taken('*')) [min, max] = [0, Infinity];
      else if (this.#peek(1) === '*') {
        min = this.#number();
        this.#expect('*');
        max = this.#number();
      }
      items.push({ min, max, type: this.#type() });
      this.#taken(',');
    }
    return { is: 'array', items };
  }

  #map(): Cddl {
    this.#expect('{');
    const fields: CddlField[] = [];
    let open = false;
    while (!this.#taken('}')) {
      if (this.#taken('*')) {
        for (const token of ['tstr', '=>', 'any']) this.#expect(token);
        open = true;
      } else {
        const optional = this.#taken('?');
        const key = /^\d/.test(this.#peek()) ? this.#number() : this.#next();
        this.#expect(this.#peek() === ':' ? ':' : '=>');
        fields.push({ key, optional, type: this.#type() });
      }
      this.#taken(',');
    }
    return { is: 'map', fields, open };
  }

  rules(): Grammar {
    const rules = new Map<string, Cddl>();
    while (this.#at < this.#tokens.length) {
      const name = this.#next();
      this.#expect('=');
      if (rules.has(name)) throw new SyntaxError(`the rule ${name} is there twice`);
      rules.set(name, this.#type());
    }
    return rules;
  }
}

export function readGrammar(source: string): Grammar {
  return new GrammarReader(source).rules();
}

/** The rule of this name. */
export function ruleOf(grammar: Grammar, name: string): Cddl {
  const rule = grammar.get(name);
  if (rule === undefined) throw new SyntaxError(`the grammar has no rule ${name}`);
  return rule;
}
