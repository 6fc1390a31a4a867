// A strict reader for the XML that build servers read: elements, attributes, text and the five entities, and nothing else.

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
  /** All elements of this name below it, in order. */
  find(name: string): XmlElement[];
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const NAME = '[A-Za-z_][\\w.-]*';
const TAG = new RegExp(`^<(/)?(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/)?>`);

function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what XML 1.0 forbids
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text))
    throw new Error('a character that XML forbids');
  return text.replaceAll(/&([^;\s]*);?/g, (all, name: string) => {
    const number = /^#(\d+)$/.exec(name)?.[1];
    const found = number === undefined ? ENTITIES[name] : String.fromCodePoint(Number(number));
    if (found === undefined || !all.endsWith(';')) throw new Error(`not an entity: ${all}`);
    return found;
  });
}

function attributesOf(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(new RegExp(`(${NAME})="([^"]*)"`, 'g'))) {
    if (name in attributes) throw new Error(`attribute ${name} occurs twice`);
    attributes[name] = plain(value);
  }
  return attributes;
}

class Element implements XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[] = [];
  text = '';

  constructor(name: string, attributes: Readonly<Record<string, string>>) {
    this.name = name;
    this.attributes = attributes;
  }

  find(name: string): Element[] {
    return this.children.flatMap((child) => [...(child.name === name ? [child] : []), ...child.find(name)]);
  }
}

/** The document, as the one child of an element without a name. Errors: Error for anything that is not well-formed. */
export function readXml(xml: string): XmlElement {
  const root = new Element('', {});
  const open = [root];
  let rest = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\s*/, '').trimEnd();
  while (rest !== '') {
    const inner = open.at(-1) ?? root;
    const tag = TAG.exec(rest);
    if (tag === null) {
      const text = /^[^<]+/.exec(rest)?.[0] ?? '';
      if (text === '' || (inner === root && text.trim() !== ''))
        throw new Error(`not well-formed: ${rest.slice(0, 40)}`);
      inner.text += plain(text);
      rest = rest.slice(text.length);
      continue;
    }
    const [all, closing, name = '', attributes = '', empty] = tag;
    if (closing === undefined) {
      const element = new Element(name, attributesOf(attributes));
      inner.children.push(element);
      if (empty === undefined) open.push(element);
    } else if (open.pop()?.name !== name || open.length === 0) throw new Error(`</${name}> closes nothing`);
    rest = rest.slice(all.length);
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error('the document does not end where it should');
  return root;
}
